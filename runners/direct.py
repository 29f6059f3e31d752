"""This machine: one process, or several."""

from __future__ import annotations

from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions

RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"  # `DirectRunner` tries others


def options(workers: int, more: Sequence[str] = ()) -> PipelineOptions:
    """Pipeline options for one in-process worker, or for `workers` processes."""
    mode = "in_memory" if workers == 1 else "multi_processing"
    return PipelineOptions(
        [f"--direct_num_workers={workers}", f"--direct_running_mode={mode}", *more]
    )
