"""The config of a run from values, as tests write them."""

from el_beam.config.assemble import config_of
from el_beam.config.options import Given
from el_beam.config.run_config import RunConfig


def run_config(**values: object) -> RunConfig:
    """Parse the options that a program gives, by the names of RunConfig's fields, as `config_of`
    does. Raises ConfigError."""
    given = {name: Given(name, value) for name, value in values.items() if value is not None}
    return config_of(RunConfig, given)
