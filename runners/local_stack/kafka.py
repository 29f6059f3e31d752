"""Kafka: one KRaft broker. Topics are never made by themselves, as in production; unlike there
nothing is ever removed, for sample events are years old. Rights can be given and taken (ACLs); what
has none is everybody's."""

import uuid

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from runners import jars
from runners.addresses import LOOPBACK, answers
from runners.local_stack.component import Component, ServerProcess
from runners.programs import run_program

_HEAP = "-Xmx1g"
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners=PLAINTEXT://{host}:{broker},CONTROLLER://{host}:{controller}{listeners}
advertised.listeners=PLAINTEXT://{host}:{broker}{listeners}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
num.partitions=2
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.retention.ms=-1
group.initial.rebalance.delay.ms=0
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true
"""
_SECURE = """\
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_ssl.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required user_el="{password}";
listener.name.sasl_ssl.ssl.keystore.type=PEM
listener.name.sasl_ssl.ssl.keystore.location={folder}/broker.pem
"""


class Kafka(Component):
    """A broker. With `secure.txt` (a password for the user `el`) and `broker.pem` (key and
    certificate) in its folder before it starts, it listens on a SASL_SSL port too."""

    name = "kafka"
    ports = ("broker", "controller", "secure")

    def servers(self) -> list[ServerProcess]:
        properties = str(self.folder / "server.properties")
        logging = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        command = ["java", _HEAP, logging, "-cp", _class_path(), "kafka.Kafka", properties]
        return [ServerProcess("kafka", self.stack, command, self._answers)]

    def _answers(self) -> bool:
        """A broker that was killed listens at once, but waits for its old session to end."""
        if not answers(self.endpoint()):
            return False
        admin = AdminClient({"bootstrap.servers": self.endpoint(), "log_level": 0})
        try:
            return bool(admin.list_topics(timeout=2).brokers)
        except KafkaException:
            return False

    def secure_endpoint(self) -> str:
        """The SASL_SSL port."""
        return self.address("secure")

    @staticmethod
    def missing() -> str:
        return "" if jars.library("kafka-broker").exists() else jars.NAME

    @staticmethod
    def install() -> None:
        jars.build()

    def configure(self) -> None:
        data = self.folder / "data"
        self.folder.mkdir(parents=True, exist_ok=True)
        password = self.folder / "secure.txt"
        secure = password.exists()
        settings = _PROPERTIES.format(
            host=LOOPBACK, data=data, broker=self.port["broker"],
            controller=self.port["controller"],
            listeners=f",SASL_SSL://{self.secure_endpoint()}" if secure else "",
        )  # fmt: skip
        if secure:
            settings += _SECURE.format(password=password.read_text(), folder=self.folder)
        properties = self.folder / "server.properties"
        properties.write_text(settings)
        if not (data / "meta.properties").exists():
            tool = ["java", "-cp", _class_path(), "kafka.tools.StorageTool", "format"]
            options = ["-t", str(uuid.uuid4()), "-c", str(properties)]
            run_program("format Kafka's storage", [*tool, *options])


def _class_path() -> str:
    return f"{jars.library('kafka-broker')}/*"
