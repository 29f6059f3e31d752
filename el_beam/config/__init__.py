"""What a person asks for: options, each parsed once, and the job that they make."""

from el_beam.config.assemble import assemble, config_of, rules_and_sinks, run_config
from el_beam.config.options import (
    ConfigError,
    Given,
    add_options,
    from_arguments,
    from_yaml,
    option,
    table,
    text,
)
from el_beam.config.run_config import GraphConfig, RunConfig

__all__ = [
    "ConfigError",
    "Given",
    "GraphConfig",
    "RunConfig",
    "add_options",
    "assemble",
    "config_of",
    "from_arguments",
    "from_yaml",
    "option",
    "rules_and_sinks",
    "run_config",
    "table",
    "text",
]
