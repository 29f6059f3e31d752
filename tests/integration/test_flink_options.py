"""Options for Flink that people may give are those that its job server knows."""

from __future__ import annotations

from apache_beam.options.pipeline_options import FlinkRunnerOptions, PipelineOptions
from apache_beam.portability.api import beam_job_api_pb2
from apache_beam.runners.portability.flink_runner import FlinkJarJobServer

from runners.flink import OPTIONS
from runners.jars import jar


def test_the_job_server_knows_them() -> None:
    options = PipelineOptions([f"--flink_job_server_jar={jar('flink-job-server')}"])
    server = FlinkJarJobServer(options)
    service = server.start()
    described = service.DescribePipelineOptions(
        beam_job_api_pb2.DescribePipelineOptionsRequest(), wait_for_ready=True, timeout=60
    )
    server.stop()
    flink = {each.name for each in described.options if "FlinkPipelineOptions" in each.group}
    of_beam = set(PipelineOptions().view_as(FlinkRunnerOptions).get_all_options())
    ours = {"sdk_worker_parallelism", "environment_cache_millis", "load_balance_bundles"}
    assert flink - of_beam <= set(OPTIONS)
    assert set(OPTIONS) <= flink | ours | of_beam
    assert ours <= {each.name for each in described.options}
