"""Packaging: four packages, one command (`el`). Exact versions live in requirements.txt."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent
PACKAGES = ["schemas", "transforms", "runners", "el_beam"]
JAVA = ["java/pom.xml", "java/*/pom.xml", "java/*/src/**/*.*"]  # as in runners/jars.py
BEAM = "2.70.0"  # the Java parts (job servers, Kafka expansion) are of the same release


def version() -> str:
    """VERSION of schemas/__init__.py, read as text: building must not import the project."""
    source = (HERE / "schemas" / "__init__.py").read_text(encoding="utf-8")
    match = re.search(r'^VERSION = "([^"]+)"$', source, re.MULTILINE)
    if not match:
        raise RuntimeError('schemas/__init__.py has no line VERSION = "..."')
    return match[1]


def readme() -> str:
    """README.md, or nothing where a build tree comes without it."""
    path = HERE / "README.md"
    return path.read_text(encoding="utf-8") if path.exists() else ""


setup(
    name="el_beam",
    version=version(),
    description="Wikimedia's EventLogging rebuilt on Apache Beam",
    long_description=readme(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11,<3.12",
    # Explicit, because a stray top-level package (tests, scripts, build) must never be shipped.
    packages=find_packages(include=[p for name in PACKAGES for p in (name, f"{name}.*")]),
    package_data={
        "transforms": ["py.typed"],
        "schemas": ["py.typed", "catalog/**/*.json"],
        "runners": ["py.typed", "flink_local/*", *JAVA],
        "el_beam": ["py.typed", "**/templates/*", "**/templates/**/*"],
    },
    include_package_data=False,
    entry_points={"console_scripts": ["el = el_beam.cli:entry"]},
    install_requires=[
        f"apache-beam=={BEAM}",
        "confluent-kafka",
        "google-re2",
        "hdfs",
        "jsonschema",
        "mmh3",
        "orjson",
        "psutil",
        "pyarrow",
        "PyMySQL",
        "python-dateutil",
        "PyYAML",
        "referencing",
        "rich",
        "SQLAlchemy",
        "tenacity",
        "ua-parser[regex]>=1.0",
        "zstandard",
    ],
    extras_require={
        "gcp": [f"apache-beam[gcp]=={BEAM}"],
        "interactive": [f"apache-beam[interactive]=={BEAM}"],
        "test": [
            f"apache-beam[gcp]=={BEAM}",
            "duckdb",
            "fsspec",
            "gcp-storage-emulator",
            "hypothesis",
            "mypy",
            "playwright",
            "pre-commit",
            "pytest",
            "pytest-instafail",
            "pytest-timeout",
            "pytest-xdist",
            "ruff",
            "setuptools>=70.1",  # which makes wheels by itself
            "types-grpcio",
            "types-jsonschema",
            "types-psutil",
            "types-PyMySQL",
            "types-python-dateutil",
            "types-PyYAML",
            "types-setuptools",
        ],
    },
    classifiers=[
        "Programming Language :: Python :: 3.11",
        "Operating System :: POSIX",
        "Topic :: System :: Logging",
    ],
)
