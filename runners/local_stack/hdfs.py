"""HDFS: a NameNode and a DataNode. People and Beam reach it by WebHDFS, Hive and Spark by RPC."""

import json
from typing import Any
from xml.sax.saxutils import escape

from runners import jars
from runners.addresses import LOOPBACK, ask_json
from runners.local_stack.component import Component, ServerProcess
from runners.programs import run_program

_OPENS = jars.opening("java.lang java.util")
_LOG4J = """\
log4j.rootLogger=INFO,err
log4j.appender.err=org.apache.log4j.ConsoleAppender
log4j.appender.err.target=System.err
log4j.appender.err.layout=org.apache.log4j.PatternLayout
log4j.appender.err.layout.ConversionPattern=%d{ISO8601} %p %c{2}: %m%n
"""


class Hdfs(Component):
    """One copy of each block. Permissions are kept: the user who starts it is its superuser."""

    name = "hdfs"
    ports = ("rpc", "http", "data", "data_http", "data_ipc")

    def servers(self) -> list[ServerProcess]:
        server = "org.apache.hadoop.hdfs.server"
        return [
            ServerProcess("namenode", self.stack, self._java(f"{server}.namenode.NameNode"),
                          self._has_space),
            ServerProcess("datanode", self.stack, self._java(f"{server}.datanode.DataNode"),
                          lambda: self._is_registered() and self._has_space()),
        ]  # fmt: skip

    def _java(self, main: str) -> list[str]:
        return ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *_OPENS,
                "-cp", f"{self.folder}/conf:{jars.library('hdfs')}/*", main]  # fmt: skip

    def endpoint(self) -> str:
        """By WebHDFS."""
        return f"hdfs://{self.address('http')}"

    def rpc_endpoint(self) -> str:
        """By Hadoop's own protocol."""
        return f"hdfs://{self.address('rpc')}"

    @staticmethod
    def missing() -> str:
        return "" if jars.library("hdfs").exists() else jars.NAME

    @staticmethod
    def install() -> None:
        jars.build()

    def configure(self) -> None:
        conf = self.folder / "conf"
        for page in ("hdfs", "datanode", "static"):  # without them its web server won't start
            (conf / "webapps" / page).mkdir(parents=True, exist_ok=True)
        (conf / "log4j.properties").write_text(_LOG4J)
        (conf / "core-site.xml").write_text(_xml({"fs.defaultFS": self.rpc_endpoint()}))
        (conf / "hdfs-site.xml").write_text(_xml(self._settings()))
        if not any(self.folder.glob("namenode/current/fsimage_*")):
            command = self._java("org.apache.hadoop.hdfs.server.namenode.NameNode")
            run_program("format the NameNode's folder", [*command, "-format", "-force"])

    def _settings(self) -> dict[str, Any]:
        return {
            "dfs.namenode.name.dir": (self.folder / "namenode").as_uri(),
            "dfs.datanode.data.dir": (self.folder / "datanode").as_uri(),
            "dfs.replication": 1,
            "dfs.permissions.enabled": "true",
            "dfs.webhdfs.enabled": "true",
            "dfs.namenode.rpc-address": self.address("rpc"),
            "dfs.namenode.http-address": self.address("http"),
            "dfs.datanode.address": self.address("data"),
            "dfs.datanode.http.address": self.address("data_http"),
            "dfs.datanode.ipc.address": self.address("data_ipc"),
            # The NameNode sends readers and writers there; the machine's own name may lead
            # elsewhere, and loopback has none that it could check.
            "dfs.datanode.hostname": LOOPBACK,
            "dfs.namenode.datanode.registration.ip-hostname-check": "false",
            # How soon a DataNode that was killed is missed: 2 x 2 s + 10 x 1 s, not ten minutes.
            "dfs.heartbeat.interval": 1,
            "dfs.namenode.heartbeat.recheck-interval": 2000,  # milliseconds
            # Read-only until all blocks are there (99.9 % of a few would be all but one), not for
            # half a minute more.
            "dfs.namenode.safemode.threshold-pct": 1,
            "dfs.namenode.safemode.extension": 0,
            # There is no other DataNode to go on with.
            "dfs.client.block.write.replace-datanode-on-failure.policy": "NEVER",
            # Milliseconds until a client looks again whether its block is complete, when it
            # wasn't at once: by default 400, which is what each small file would take.
            "dfs.client.block.write.locateFollowingBlock.initial.delay.ms": 20,
        }

    def _has_space(self) -> bool:
        """The NameNode lets write, and knows where to."""
        info = self._jmx("http", "NameNode,name=NameNodeInfo")
        state = self._jmx("http", "NameNode,name=FSNamesystemState")
        return info.get("Safemode") == "" and state.get("CapacityRemaining", 0) > 0

    def _is_registered(self) -> bool:
        """The DataNode knows its NameNode. (That goes on counting a killed one for a while.)"""
        info = self._jmx("data_http", "DataNode,name=DataNodeInfo")
        actors = json.loads(info.get("BPServiceActorInfo", "[]"))
        return any(each["ActorState"] == "RUNNING" for each in actors)

    def _jmx(self, port: str, bean: str) -> dict[str, Any]:
        url = f"http://{self.address(port)}/jmx?qry=Hadoop:service={bean}"
        return dict(next(iter(ask_json(url).get("beans", ())), {}))


def _xml(settings: dict[str, Any]) -> str:
    rows = [
        f"  <property><name>{name}</name><value>{escape(str(value))}</value></property>\n"
        for name, value in settings.items()
    ]
    return f"<configuration>\n{''.join(rows)}</configuration>\n"
