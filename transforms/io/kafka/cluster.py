"""KafkaCluster: how a Kafka cluster is reached, by librdkafka and by Java clients alike.

People use one vocabulary, librdkafka's. A secret is never part of a job: it stays the name of an
environment variable or of a file, which the process that connects reads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from transforms.io.retry import LONGEST_REQUEST
from transforms.io.secrets import SettingsError, check_secret, read_secret, variable_in

SECRETS: Final = ("sasl.password", "ssl.key.password")
SETTINGS: Final = {
    "security.protocol": "PLAINTEXT (the default), SSL, SASL_PLAINTEXT or SASL_SSL",
    "sasl.mechanism": "PLAIN (the default), SCRAM-SHA-256 or SCRAM-SHA-512",
    "sasl.username": "the user",
    "sasl.password": "${NAME}: an environment variable of each process that connects",
    "sasl.password.file": "a file with the password, on each machine that connects",
    "ssl.ca.location": "a PEM file with the authorities' certificates",
    "ssl.certificate.location": "a PEM file with the client's certificate",
    "ssl.key.location": "a PEM file with the client's key",
    "ssl.key.password": "${NAME}: an environment variable of each process that connects",
    "ssl.key.password.file": "a file with the key's password, on each machine that connects",
    "ssl.endpoint.identification.algorithm": "https (the default) or none",
    "client.id": "el_beam by default",
}
"""What the connection can be set to, and a sentence on each."""
_BROKER = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):\d{1,5}")
_CHOICES: Final = {
    "security.protocol": ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"),
    "sasl.mechanism": ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"),
    "ssl.endpoint.identification.algorithm": ("https", "none"),
}


@dataclass(frozen=True)
class KafkaCluster:
    """Brokers and how to connect to them. Holds no secret: only where it is to be found."""

    brokers: str  # host:port,host:port
    settings: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not self.brokers:
            raise SettingsError("kafka: has no brokers: write kafka://host:9092/")
        for broker in self.brokers.split(","):
            if "@" in broker:  # what stands before it is a secret, most likely
                raise SettingsError("brokers have no user: give sasl.username and a password")
            if not _BROKER.fullmatch(broker):
                raise SettingsError(f"{broker!r} is not a broker: write host:port,host:port")
        self._check_settings(dict(self.settings))

    def _check_settings(self, settings: Mapping[str, str]) -> None:
        for name in SECRETS:
            check_secret(name, settings)
        for name, value in settings.items():
            if name in _CHOICES and value not in _CHOICES[name]:
                known = ", ".join(_CHOICES[name])
                raise SettingsError(f"{name} {value!r} is unknown; there are {known}")
        protocol = settings.get("security.protocol", "PLAINTEXT")
        for prefix in ("SASL", "SSL"):
            given = [name for name in settings if name.startswith(f"{prefix.lower()}.")]
            if given and prefix not in protocol:  # it would be passed over in silence
                raise SettingsError(f"{given[0]} needs security.protocol with {prefix} in it")
        if "SASL" in protocol:
            password = {"sasl.password", "sasl.password.file"} & set(settings)
            if "sasl.username" not in settings or not password:
                raise SettingsError("SASL needs sasl.username and one password")

    @classmethod
    def of(cls, rest: str, parameters: Mapping[str, str]) -> KafkaCluster:
        """The cluster of a URI kafka://BROKERS/?PARAMETERS. Raises SettingsError."""
        chosen = sorted((name, value) for name, value in parameters.items() if name in SETTINGS)
        return cls(rest.removeprefix("//").rstrip("/"), tuple(chosen))

    def for_librdkafka(self) -> dict[str, Any]:
        """Settings for confluent-kafka, secrets filled in: for the process that connects.

        Raises SettingsError where a secret isn't there."""
        settings: dict[str, Any] = {
            "bootstrap.servers": self.brokers, "client.id": "el_beam",
            "socket.timeout.ms": int(LONGEST_REQUEST * 1000),
        }  # fmt: skip
        if "sasl.username" in dict(self.settings):
            settings["sasl.mechanism"] = "PLAIN"  # unless given; librdkafka's own is Kerberos
        given = dict(self.settings)
        settings |= {name: value for name, value in given.items()
                     if name.removesuffix(".file") not in SECRETS}  # fmt: skip
        try:
            for name in SECRETS:
                if (secret := read_secret(name, given)) is not None:
                    settings[name] = secret.decode()
        except UnicodeDecodeError as error:
            raise SettingsError(f"{name} is not UTF-8") from error
        return settings

    def for_java(self) -> dict[str, str]:
        """The same settings for a Java client; it looks for the secrets itself, where it runs."""
        given = dict(self.settings)
        java = {"bootstrap.servers": self.brokers, "client.id": given.get("client.id", "el_beam")}
        for name in ("security.protocol", "ssl.endpoint.identification.algorithm"):
            if name in given:
                # what librdkafka calls none, Java calls the empty text
                java[name] = "" if given[name] == "none" else given[name]
        if "ssl.ca.location" in given:
            java["ssl.truststore.type"] = "PEM"
            java["ssl.truststore.location"] = given["ssl.ca.location"]
        if "ssl.certificate.location" in given and "ssl.key.location" in given:
            java["ssl.keystore.type"] = "PEM"
            java["ssl.keystore.certificate.chain"] = _in_file(given["ssl.certificate.location"])
            java["ssl.keystore.key"] = _in_file(given["ssl.key.location"])
        if key_password := _for_java(given, "ssl.key.password"):
            java["ssl.key.password"] = key_password
        if "sasl.username" in given:
            mechanism = given.get("sasl.mechanism", "PLAIN")
            java["sasl.mechanism"] = mechanism
            java["sasl.jaas.config"] = _jaas(mechanism, given)
        if any("${" in value for value in java.values()):
            providers = "org.apache.kafka.common.config.provider"
            java["config.providers"] = "env,directory"
            java["config.providers.env.class"] = f"{providers}.EnvVarConfigProvider"
            java["config.providers.directory.class"] = f"{providers}.DirectoryConfigProvider"
        return java

    def __str__(self) -> str:
        return self.brokers


def _jaas(mechanism: str, given: Mapping[str, str]) -> str:
    package = "org.apache.kafka.common.security"
    module = "plain.PlainLoginModule" if mechanism == "PLAIN" else "scram.ScramLoginModule"
    user = given["sasl.username"].replace("\\", "\\\\").replace('"', '\\"')
    password = _for_java(given, "sasl.password")
    return f'{package}.{module} required username="{user}" password="{password}";'


def _for_java(given: Mapping[str, str], name: str) -> str:
    if variable := variable_in(given.get(name, "")):
        return f"${{env:{variable}}}"
    return _in_file(given[f"{name}.file"]) if f"{name}.file" in given else ""


def _in_file(path: str) -> str:
    folder, _, name = path.rpartition("/")
    return f"${{directory:{folder or '.'}:{name}}}"
