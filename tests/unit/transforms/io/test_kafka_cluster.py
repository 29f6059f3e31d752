"""How a cluster is reached: settings that can't work are refused, secrets are never written."""

import pickle
import re
from pathlib import Path

import pytest

from transforms.io.kafka.cluster import KafkaCluster
from transforms.io.secrets import SettingsError

SECRET = "hunter2-and-more"
SASL = {"security.protocol": "SASL_SSL", "sasl.username": "el"}


@pytest.fixture(autouse=True)
def _(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", SECRET)


def of(settings: dict[str, str]) -> KafkaCluster:
    return KafkaCluster.of("//a:9092/", settings)


@pytest.mark.parametrize(
    ("rest", "brokers"),
    [
        ("//a:9092/", "a:9092"),
        ("//a:9092", "a:9092"),
        ("//kafka1001.eqiad.wmnet:9092,b-2:1/", "kafka1001.eqiad.wmnet:9092,b-2:1"),
        ("//[::1]:9092/", "[::1]:9092"),
    ],
)
def test_brokers(rest: str, brokers: str) -> None:
    made = KafkaCluster.of(rest, {"topic": "not a setting"})
    assert (made.brokers, str(made), made.settings) == (brokers, brokers, ())
    assert made.for_librdkafka() == {
        "bootstrap.servers": brokers, "client.id": "el_beam", "socket.timeout.ms": 15_000,
    }  # fmt: skip
    assert made.for_java() == {"bootstrap.servers": brokers, "client.id": "el_beam"}


@pytest.mark.parametrize(
    "rest", ["", "//", "///", "//a/", "//a:9092,/", "//a:/", "//a:9/topic", "//a b:1/"]
)
def test_what_is_no_broker(rest: str) -> None:
    with pytest.raises(SettingsError, match="write"):
        KafkaCluster.of(rest, {})


def test_a_password_among_the_brokers_is_not_repeated() -> None:
    with pytest.raises(SettingsError, match="have no user") as caught:
        KafkaCluster.of(f"//el:{SECRET}@a:9092/", {})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (SASL | {"sasl.password": SECRET}, r"must not be written down: give \${VARIABLE}"),
        ({"security.protocol": "SSL", "ssl.key.password": SECRET}, "must not be written down"),
        ({"security.protocol": "ssl"}, "there are PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"),
        (SASL | {"sasl.mechanism": "GSSAPI"}, "there are PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"),
        (
            {"security.protocol": "SSL", "ssl.endpoint.identification.algorithm": "off"},
            "there are https, none",
        ),
        (SASL, "SASL needs sasl.username and one password"),
        ({"security.protocol": "SASL_SSL", "sasl.password": "${PASSWORD}"}, "SASL needs"),
        (
            SASL | {"sasl.password": "${PASSWORD}", "sasl.password.file": "f"},
            "sasl.password is given twice",
        ),
        (  # they would be passed over in silence
            {"sasl.username": "el", "sasl.password": "${PASSWORD}"},
            "sasl.password needs security.protocol with SASL",
        ),
        ({"ssl.ca.location": "f"}, "ssl.ca.location needs security.protocol with SSL"),
        (
            {"security.protocol": "SASL_PLAINTEXT", "ssl.ca.location": "f"},
            "ssl.ca.location needs security.protocol with SSL",
        ),
    ],
)
def test_settings_that_cannot_work(settings: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError, match=told) as caught:
        of(settings)
    assert SECRET not in str(caught.value)


def test_a_secret_of_the_environment() -> None:
    made = of(SASL | {"sasl.password": "${PASSWORD}"})
    assert made.for_librdkafka() == {
        "bootstrap.servers": "a:9092",
        "client.id": "el_beam",
        "socket.timeout.ms": 15_000,
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "PLAIN",  # librdkafka's default is Kerberos, ours that of for_java
        "sasl.username": "el",
        "sasl.password": SECRET,
    }


def test_an_empty_secret_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a key that isn't encrypted, from settings that serve encrypted ones too."""
    monkeypatch.setenv("KEY_PASSWORD", "")
    settings = SASL | {"sasl.password": "${PASSWORD}", "ssl.key.password": "${KEY_PASSWORD}"}
    assert of(settings).for_librdkafka()["ssl.key.password"] == ""


def test_a_secret_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    settings = SASL | {"sasl.password.file": f"{tmp_path}/secret", "client.id": "mine"}
    found = of(settings | {"sasl.mechanism": "SCRAM-SHA-512"}).for_librdkafka()
    assert found["sasl.password"] == SECRET
    assert found["sasl.mechanism"] == "SCRAM-SHA-512"
    assert found["client.id"] == "mine"
    assert "sasl.password.file" not in found


def test_a_secret_that_is_not_there(tmp_path: Path) -> None:
    made = of(SASL | {"sasl.password": "${NOT_SET_ANYWHERE}"})
    with pytest.raises(SettingsError, match="variable NOT_SET_ANYWHERE is not set here"):
        made.for_librdkafka()
    made = of(SASL | {"sasl.password.file": f"{tmp_path}/none"})
    with pytest.raises(SettingsError, match=re.escape(f"{tmp_path}/none: No such file")):
        made.for_librdkafka()


@pytest.mark.parametrize("where", ["environment", "file"])
def test_no_secret_is_in_a_job(tmp_path: Path, where: str) -> None:
    (tmp_path / "secret").write_text(SECRET)
    given = {
        "environment": {"sasl.password": "${PASSWORD}"},
        "file": {"sasl.password.file": f"{tmp_path}/secret"},
    }
    made = of(SASL | given[where])
    made.for_librdkafka()  # leaves none behind
    assert SECRET.encode() not in pickle.dumps(made)
    assert SECRET not in f"{made} {made!r} {made.for_java()} {vars(made)}"
    assert pickle.loads(pickle.dumps(made)) == made


def test_java_looks_for_secrets_itself() -> None:
    java = of(SASL | {"sasl.password": "${PASSWORD}", "ssl.ca.location": "/ca.pem"}).for_java()
    assert java["sasl.jaas.config"] == (
        "org.apache.kafka.common.security.plain.PlainLoginModule required "
        'username="el" password="${env:PASSWORD}";'
    )
    assert java["sasl.mechanism"] == "PLAIN"
    assert java["security.protocol"] == "SASL_SSL"
    assert java["ssl.truststore.location"] == "/ca.pem"
    assert java["config.providers"] == "env,directory"
    java = of(
        SASL | {"sasl.mechanism": "SCRAM-SHA-256", "sasl.password.file": "/run/secrets/kafka"}
    ).for_java()
    assert java["sasl.jaas.config"] == (
        "org.apache.kafka.common.security.scram.ScramLoginModule required "
        'username="el" password="${directory:/run/secrets:kafka}";'
    )


def test_java_with_certificates() -> None:
    java = of(
        {
            "security.protocol": "SSL",
            "ssl.certificate.location": "/c/cert.pem",
            "ssl.key.location": "/c/key.pem",
            "ssl.key.password": "${PASSWORD}",
            "ssl.endpoint.identification.algorithm": "none",
        }
    ).for_java()
    assert java["ssl.keystore.type"] == "PEM"
    assert java["ssl.keystore.certificate.chain"] == "${directory:/c:cert.pem}"
    assert java["ssl.keystore.key"] == "${directory:/c:key.pem}"
    assert java["ssl.key.password"] == "${env:PASSWORD}"
    assert java["ssl.endpoint.identification.algorithm"] == ""
    assert "sasl.jaas.config" not in java


def test_a_user_name_cannot_end_its_quotes() -> None:
    settings = SASL | {"sasl.username": 'a" b\\', "sasl.password": "${PASSWORD}"}
    assert r'username="a\" b\\" password=' in of(settings).for_java()["sasl.jaas.config"]
