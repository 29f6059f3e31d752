"""Flink 1.19: ZooKeeper for its high availability, a JobManager, a TaskManager."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from runners.addresses import LOOPBACK, answers, ask_json
from runners.jars import log4j, opening
from runners.local_stack.component import Component, ServerProcess
from runners.programs import ProgramFailed, run_program, unpack_package
from runners.user_folders import cache_folder

VERSION = "1.19.3"
# Java 17 keeps these packages closed; Flink serializes objects of their classes.
_OPENS = opening("java.util java.lang java.net java.nio java.time java.io")


class Flink(Component):
    """A session cluster with one TaskManager of four slots. A killed JobManager, started again,
    takes its jobs up from their last checkpoint."""

    name = "flink"
    ports = ("rest", "rpc", "blob", "zookeeper")
    needs = ("workers",)

    def servers(self) -> list[ServerProcess]:
        runtime = "org.apache.flink.runtime"
        entry = f"{runtime}.entrypoint.StandaloneSessionClusterEntrypoint"
        zookeeper = [
            *self._java("-Xmx128m"), f"{runtime}.zookeeper.FlinkZooKeeperQuorumPeer",
            "--zkConfigFile", f"{self._conf}/zoo.cfg", "--peerId", "1"]  # fmt: skip
        return [
            ServerProcess("zookeeper", self.stack, zookeeper,
                          lambda: answers(self.address("zookeeper"))),
            self._server("jobmanager", entry, self._has_leader),
            self._server("taskmanager", f"{runtime}.taskexecutor.TaskManagerRunner",
                         self._has_slots),
        ]  # fmt: skip

    def _server(self, name: str, entry: str, ready: Callable[[], bool]) -> ServerProcess:
        # What the memory settings come down to is known, and in files, once they are written.
        java = self._java(f"@{self._conf}/{name}.jvm")
        script = f'exec "$@" {entry} --configDir {self._conf} $(cat {self._conf}/{name}.args)'
        return ServerProcess(name, self.stack, ["bash", "-c", script, name, *java], ready)

    def _java(self, option: str) -> list[str]:
        log4j = f"-Dlog4j.configurationFile=file:{self._conf}/log4j.properties"
        return ["java", option, *_OPENS, log4j, "-cp", f"{_distribution()}/lib/*"]

    @property
    def _conf(self) -> Path:
        return self.folder / "conf"

    def endpoint(self) -> str:
        return f"http://{super().endpoint()}"

    @staticmethod
    def missing() -> str:
        return "" if _distribution().exists() else f"Flink {VERSION}"

    @staticmethod
    def install() -> None:
        # As the Python API's source package has it.
        unpack_package("apache-flink-libraries", VERSION, "deps", _distribution())

    def configure(self) -> None:
        self._conf.mkdir(parents=True, exist_ok=True)
        (self._conf / "log4j.properties").write_text(log4j("info"))
        (self._conf / "zoo.cfg").write_text(
            f"dataDir={self.folder}/zookeeper\nclientPort={self.port['zookeeper']}\n"
            f"clientPortAddress={LOOPBACK}\nadmin.enableServer=false\ntickTime=1000\n"
            "initLimit=10\nsyncLimit=5\n"
        )
        settings = yaml.safe_dump(self._settings())
        known = self._conf / "config.yaml"
        if not known.exists() or known.read_text() != settings:
            known.write_text(settings)
            self._work_out_memory()

    def _settings(self) -> dict[str, Any]:
        return {
            "env.java.opts.all": " ".join(_OPENS),
            "jobmanager.rpc.address": LOOPBACK,
            "jobmanager.rpc.port": self.port["rpc"],
            "jobmanager.bind-host": LOOPBACK,
            "jobmanager.memory.process.size": "1100m",
            "blob.server.port": str(self.port["blob"]),
            "rest.address": LOOPBACK,
            "rest.bind-address": LOOPBACK,
            "rest.port": self.port["rest"],
            "taskmanager.host": LOOPBACK,
            "taskmanager.bind-host": LOOPBACK,
            "taskmanager.numberOfTaskSlots": 4,
            "taskmanager.memory.process.size": "3500m",
            # Each job of a session leaves classes behind; the default cap ends it after a few.
            "taskmanager.memory.jvm-metaspace.size": "1600m",
            "state.backend.type": "hashmap",
            "state.checkpoints.dir": f"file://{self.folder}/checkpoints",
            "state.savepoints.dir": f"file://{self.folder}/savepoints",
            "high-availability.type": "zookeeper",
            "high-availability.zookeeper.quorum": self.address("zookeeper"),
            "high-availability.storageDir": f"file://{self.folder}/ha",
            "high-availability.jobmanager.port": str(self.port["rpc"]),
            # By default only the slot whose worker died starts again, and finds the dead worker in
            # what all slots of its TaskManager share, for ever.
            "jobmanager.execution.failover-strategy": "full",
            # For bounded jobs: what fails again and again has a reason, which people want to see.
            # Continuous ones bring a strategy of their own, without an end.
            "restart-strategy.type": "fixed-delay",
            "restart-strategy.fixed-delay.attempts": 3,
            "restart-strategy.fixed-delay.delay": "2 s",
            # How soon a server that was killed is missed, milliseconds. The defaults, 10 s and
            # 50 s, and 60 s for the JobManager that ZooKeeper knows, suit a busier network.
            "heartbeat.interval": 1000,
            "heartbeat.timeout": 10000,
            "high-availability.zookeeper.client.session-timeout": 6000,
            "io.tmp.dirs": f"{self.folder}/tmp",
        }

    def _work_out_memory(self) -> None:
        """JVM options and arguments of both servers, from Flink's own arithmetic."""
        path = f"{_distribution()}/bin/bash-java-utils.jar:{_distribution()}/lib/*"
        for name, what in (("jobmanager", "JM"), ("taskmanager", "TM")):
            output = run_program(
                "work out Flink's memory",
                ["java", "-cp", path, "org.apache.flink.runtime.util.bash.BashJavaUtils",
                 f"GET_{what}_RESOURCE_PARAMS", "--configDir", str(self._conf)],
            )  # fmt: skip
            mark = "BASH_JAVA_UTILS_EXEC_RESULT:"
            found = [line.removeprefix(mark) for line in output.splitlines()
                     if line.startswith(mark)]  # fmt: skip
            if len(found) != 2:
                raise ProgramFailed("Flink refuses its settings", output)
            for part, text in zip(("jvm", "args"), found, strict=True):
                (self._conf / f"{name}.{part}").write_text(text)

    def _has_leader(self) -> bool:
        return "taskmanagers" in self._overview()

    def _has_slots(self) -> bool:
        return int(self._overview().get("slots-total", 0)) > 0

    def _overview(self) -> dict[str, Any]:
        return ask_json(f"{self.endpoint()}/overview")


def _distribution() -> Path:
    return cache_folder() / f"flink-{VERSION}"
