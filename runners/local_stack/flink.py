"""Flink 1.19: ZooKeeper for its high availability, a JobManager, a TaskManager."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from runners.jars import log4j
from runners.local_stack.component import LOOPBACK, Component, listens
from runners.local_stack.process import ServerProcess
from runners.packages import unpack_package
from runners.programs import ProgramFailed, run_program
from runners.user_folders import cache_folder

VERSION = "1.19.3"
# Java 17 keeps these closed; Flink serializes what is in them.
_OPENS = [
    f"--add-opens=java.base/{package}=ALL-UNNAMED"
    for package in ("java.util", "java.lang", "java.net", "java.nio", "java.time", "java.io")
]


class Flink(Component):
    """A session cluster with one TaskManager of four slots. A killed JobManager, started again,
    takes its jobs up from their last checkpoint."""

    name = "flink"
    ports = ("rest", "rpc", "blob", "zookeeper")
    needs = ("workers",)

    def servers(self, folder: Path) -> list[ServerProcess]:
        runtime = "org.apache.flink.runtime"
        entry = f"{runtime}.entrypoint.StandaloneSessionClusterEntrypoint"
        conf = self.folder / "conf"
        zookeeper = [
            *self._java(["-Xmx128m"]), f"{runtime}.zookeeper.FlinkZooKeeperQuorumPeer",
            "--zkConfigFile", str(conf / "zoo.cfg"), "--peerId", "1"]  # fmt: skip
        return [
            ServerProcess("zookeeper", folder, zookeeper, lambda: listens(self.port["zookeeper"])),
            self._flink_server(folder, "jobmanager", entry, self._has_leader),
            self._flink_server(folder, "taskmanager", f"{runtime}.taskexecutor.TaskManagerRunner",
                               lambda: self._slots() > 0),
        ]  # fmt: skip

    def _flink_server(self, folder: Path, name: str, entry: str, ready: Any) -> ServerProcess:
        # What the memory settings come down to is known, and in files, once they are written.
        conf = self.folder / "conf"
        java = self._java([f"@{conf}/{name}.jvm"])
        script = f'exec "$@" {entry} --configDir {conf} $(cat {conf}/{name}.args)'
        return ServerProcess(name, folder, ["bash", "-c", script, name, *java], ready)

    def _java(self, options: list[str]) -> list[str]:
        conf = self.folder / "conf"
        log4j = f"-Dlog4j.configurationFile=file:{conf}/log4j.properties"
        return ["java", *options, *_OPENS, log4j, "-cp", f"{_distribution()}/lib/*"]

    def endpoint(self) -> str:
        return f"http://{LOOPBACK}:{self.port['rest']}"

    @staticmethod
    def missing() -> str:
        return "" if _distribution().exists() else f"Flink {VERSION}"

    @staticmethod
    def install() -> None:
        # As the Python API's source package has it.
        unpack_package("apache-flink-libraries", VERSION, "deps", _distribution())

    def configure(self) -> None:
        conf = self.folder / "conf"
        conf.mkdir(parents=True, exist_ok=True)
        (conf / "log4j.properties").write_text(log4j("info"))
        (conf / "zoo.cfg").write_text(
            f"dataDir={self.folder}/zookeeper\nclientPort={self.port['zookeeper']}\n"
            f"clientPortAddress={LOOPBACK}\nadmin.enableServer=false\ntickTime=1000\n"
            "initLimit=10\nsyncLimit=5\n"
        )
        settings = yaml.safe_dump(self._settings())
        known = conf / "config.yaml"
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
            "high-availability.zookeeper.quorum": f"{LOOPBACK}:{self.port['zookeeper']}",
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
        conf = self.folder / "conf"
        flink = _distribution()
        path = f"{flink}/bin/bash-java-utils.jar:{flink}/lib/*"
        for name, what in (("jobmanager", "JM"), ("taskmanager", "TM")):
            output = run_program(
                "work out Flink's memory",
                ["java", "-cp", path, "org.apache.flink.runtime.util.bash.BashJavaUtils",
                 f"GET_{what}_RESOURCE_PARAMS", "--configDir", str(conf)],
            )  # fmt: skip
            mark = "BASH_JAVA_UTILS_EXEC_RESULT:"
            found = [line.removeprefix(mark) for line in output.splitlines()
                     if line.startswith(mark)]  # fmt: skip
            if len(found) != 2:
                raise ProgramFailed("Flink refuses its settings", output)
            for part, text in zip(("jvm", "args"), found, strict=True):
                (conf / f"{name}.{part}").write_text(text)

    def _has_leader(self) -> bool:
        return "taskmanagers" in self._overview()

    def _slots(self) -> int:
        return int(self._overview().get("slots-total", 0))

    def _overview(self) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(f"{self.endpoint()}/overview", timeout=2) as answer:
                return dict(json.load(answer))
        except (OSError, ValueError, urllib.error.URLError):
            return {}


def _distribution() -> Path:
    return cache_folder() / f"flink-{VERSION}"
