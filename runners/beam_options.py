"""Which options Beam knows: it passes over others in silence."""

import argparse
from collections.abc import Sequence
from contextlib import suppress

from apache_beam.options.pipeline_options import PipelineOptions

from runners import flink, spark

_MORE = {"flink": flink.OPTIONS, "spark": spark.OPTIONS}
"""The options of runners in Java, which Beam learns from them when a job starts."""


def problem_of(options: Sequence[str], runner: str) -> str:
    """What is wrong with options for Beam and a runner, as a sentence, or ''."""
    unknown: list[str] = []

    def parse(parser: argparse.ArgumentParser) -> None:
        parser.exit_on_error = False
        for name in _MORE.get(runner, ()):
            with suppress(argparse.ArgumentError):  # one of Beam's own, too
                parser.add_argument(f"--{name}", nargs="?")
        unknown.extend(parser.parse_known_args(asked)[1])

    helps = [each for each in options if each in ("-h", "--help")]  # prints Beam's help, and exits
    asked = [each for each in options if each not in helps]
    try:  # Beam gives its parser to those who have options to add
        PipelineOptions([]).get_all_options(add_extra_args_fn=parse)
    except argparse.ArgumentError as error:
        return f"after `--`: {error}"
    if unknown := [*unknown, *helps]:
        return f"Beam has no option {' '.join(unknown)}: see its PipelineOptions"
    return ""
