"""Spark 3.5, standalone: a Master and a Worker."""

from collections.abc import Callable
from typing import Any

from runners.addresses import LOOPBACK, ask_json
from runners.jars import SPARK_OPENS, SPARK_VERSION, log4j, our_spark
from runners.local_stack.component import Component, ServerProcess
from runners.programs import unpack_package


class Spark(Component):
    """A Worker with two cores. Its executors run in `work`, with a folder for each job."""

    name = "spark"
    ports = ("master", "master_ui", "worker", "worker_ui")
    needs = ("workers",)

    def servers(self) -> list[ServerProcess]:
        worker = ["--cores", "2", "--memory", "3g", "--work-dir", f"{self.folder}/work"]
        return [
            self._server("master", [], lambda: self._state().get("status") == "ALIVE"),
            self._server("worker", [*worker, self.endpoint()], self._has_worker),
        ]

    def _server(self, name: str, arguments: list[str], ready: Callable[[], bool]) -> ServerProcess:
        command = [
            *("java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
            *SPARK_OPENS,
            f"-Dlog4j2.configurationFile=file:{self.folder}/log4j2.properties",
            f"-Dspark.local.dir={self.folder}/tmp",
            *("-cp", f"{our_spark()}/jars/*", f"org.apache.spark.deploy.{name}.{name.title()}"),
            *("--host", LOOPBACK, "--port", str(self.port[name])),
            *("--webui-port", str(self.port[f"{name}_ui"]), *arguments),
        ]
        # Executors are started by what the Worker's environment says, and listen where it says.
        environment = {
            "SPARK_HOME": str(our_spark()),
            "SPARK_SCALA_VERSION": "2.12",
            "SPARK_LOCAL_IP": LOOPBACK,
        }
        return ServerProcess(f"spark-{name}", self.stack, command, ready, environment)

    def endpoint(self) -> str:
        return f"spark://{super().endpoint()}"

    @staticmethod
    def missing() -> str:
        return "" if (our_spark() / "jars").exists() else f"Spark {SPARK_VERSION}"

    @staticmethod
    def install() -> None:
        # As the Python API's source package has them.
        unpack_package("pyspark", SPARK_VERSION, "deps/jars", our_spark() / "jars")

    def configure(self) -> None:
        for path in ("work", "tmp"):
            (self.folder / path).mkdir(parents=True, exist_ok=True)
        (self.folder / "log4j2.properties").write_text(log4j("info"))

    def _has_worker(self) -> bool:
        return int(self._state().get("aliveworkers", 0)) > 0

    def _state(self) -> dict[str, Any]:
        """What the Master's page says, for machines."""
        return ask_json(f"http://{self.address('master_ui')}/json/")
