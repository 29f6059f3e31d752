"""Tables on HDFS as analysts read them: pyarrow, DuckDB and Spark SQL see the same rows and types,
and leave alone the hours that a query doesn't ask for."""

import getpass
import gzip
import re
import subprocess
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import fsspec
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs as fs
import pytest
from jobs_here import ImportingHere

from runners.jars import SPARK_OPENS, spark_lib
from runners.local_stack import Stack
from traffic.feed import put
from traffic.truth import truth
from transforms.io.files import filesystem

ROOT = Path(__file__).parents[2]
HOURS, INCREMENTS = 4, (1_600, 200)  # lines
_TIME = re.compile(rb"(?<=\t)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?=\t)")


def lines() -> Iterator[bytes]:
    """The sample, over some hours."""
    sample = gzip.decompress((ROOT / "examples" / "sample.log.gz").read_bytes()).splitlines()
    day = datetime(2019, 3, 10, 5)
    for number, line in enumerate(sample):
        time = day + timedelta(hours=number % HOURS, seconds=number % 3_600)
        yield _TIME.sub(time.isoformat().encode(), line, count=1)


@pytest.fixture(scope="module")
def imported(stack: Stack, kafka: str, hdfs: str) -> ImportingHere:
    """Hours of every schema on HDFS, in two increments."""
    name = f"back{uuid.uuid4().hex[:8]}"
    job = ImportingHere(stack, name, f"{hdfs}/{name}")
    source = lines()
    for number in INCREMENTS:
        put(kafka, job.raw, islice(source, number), 4)
        job.lines += number
        job.once()
    return job


@pytest.fixture(scope="module")
def wanted(imported: ImportingHere) -> dict[str, int]:
    """Events of each table."""
    return Counter(truth(imported.kafka, imported.raw).destinations.values())


@pytest.fixture(scope="module")
def webhdfs(hdfs: str) -> fsspec.AbstractFileSystem:
    host, _, port = hdfs.removeprefix("hdfs://").partition(":")
    # By default it remembers what was in a folder.
    return fsspec.filesystem(
        "webhdfs", host=host, port=int(port), user=getpass.getuser(), use_listings_cache=False
    )


def below(imported: ImportingHere) -> str:
    """The tables' folder, without scheme and host."""
    return "/" + imported.root.split("/", 3)[3] + "/parquet"


def by_arrow(webhdfs: fsspec.AbstractFileSystem, folder: str, where: Any = None) -> Any:
    """(different uuids by hour, types) of a table."""
    files = fs.PyFileSystem(fs.FSSpecHandler(webhdfs))
    table = ds.dataset(folder, filesystem=files, format="parquet", partitioning="hive")
    rows: dict[int, set[str]] = defaultdict(set)
    for row in table.to_table(["hour", "uuid"], filter=where).to_pylist():
        assert row["uuid"] not in rows[row["hour"]]
        rows[row["hour"]].add(row["uuid"])
    counts = Counter({hour: len(found) for hour, found in rows.items()})
    return counts, {field.name: of_arrow(field.type) for field in table.schema}


def of_arrow(type_: pa.DataType) -> str:
    if pa.types.is_struct(type_):
        inside = ",".join(f"{field.name}:{of_arrow(field.type)}" for field in type_)
        return f"struct<{inside}>"
    if pa.types.is_list(type_):
        return f"array<{of_arrow(type_.value_type)}>"
    return {"int64": "bigint", "int32": "int", "bool": "boolean"}.get(str(type_), str(type_))


def by_duckdb(webhdfs: fsspec.AbstractFileSystem, folder: str, where: str = "true") -> Any:
    with duckdb.connect() as connection:
        connection.register_filesystem(webhdfs)
        table = f"read_parquet('webhdfs://{folder}/**/*.parquet', hive_partitioning=true)"
        counts = connection.sql(
            f"SELECT CAST(hour AS INT), COUNT(DISTINCT uuid), COUNT(*) FROM {table} "
            f"WHERE {where} GROUP BY ALL"
        ).fetchall()
        assert all(different == rows for _, different, rows in counts)
        columns = connection.sql(f"FROM {table}")
        types = dict(zip(columns.columns, map(of_duckdb, columns.types), strict=True))
    return Counter({hour: different for hour, different, _ in counts}), types


def of_duckdb(type_: Any) -> str:
    if type_.id == "struct":
        return f"struct<{','.join(f'{name}:{of_duckdb(each)}' for name, each in type_.children)}>"
    if type_.id == "list":
        return f"array<{of_duckdb(type_.children[0][1])}>"
    return str({"varchar": "string"}.get(type_.id, type_.id))


@pytest.fixture(scope="module")
def spark_sql(stack: Stack) -> Callable[..., list[list[str]]]:
    """Runs statements in Spark's own shell, and gives the rows of all; the last one `fails` with
    this message."""
    stack.component("spark").install()
    scratch = stack.folder / "spark-sql"
    scratch.mkdir()

    def run(statements: str, fails: str = "") -> list[list[str]]:
        done = subprocess.run(
            ["java", "-Xmx1g", "-XX:TieredStopAtLevel=1", *SPARK_OPENS, "-cp", f"{spark_lib()}/*",
             "org.apache.spark.deploy.SparkSubmit", "--master", "local[2]",
             *(f"--conf=spark.{name}" for name in (
                 "ui.enabled=false", "driver.bindAddress=127.0.0.1", "driver.host=127.0.0.1",
                 "sql.debug.maxToStringFields=1000", "sql.shuffle.partitions=2",
                 f"sql.warehouse.dir={scratch}", f"local.dir={scratch}",
                 "sql.catalogImplementation=in-memory")),
             "--class", "org.apache.spark.sql.hive.thriftserver.SparkSQLCLIDriver",
             "spark-internal", "-e", statements],
            cwd=scratch, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert bool(done.returncode) == bool(fails), done.stderr
        assert fails in done.stderr
        rows = (line.split("\t") for line in done.stdout.splitlines())
        return [[cell.strip() for cell in row] for row in rows]

    return run


def test_all_read_the_same(
    stack: Stack, imported: ImportingHere, webhdfs: Any, spark_sql: Any, wanted: dict[str, int]
) -> None:
    folder = below(imported)
    names = (path.rpartition("/")[2] for path in webhdfs.ls(folder, detail=False))
    tables = sorted(name for name in names if name[0] != "_")
    arrow = {table: by_arrow(webhdfs, f"{folder}/{table}") for table in tables}
    assert {table: sum(rows.values()) for table, (rows, _) in arrow.items()} == wanted
    assert len(wanted) > 15
    duck = {table: by_duckdb(webhdfs, f"{folder}/{table}") for table in tables}
    at = f"{stack.hdfs.rpc_endpoint()}{folder}"
    told = spark_sql(
        "".join(
            f"SELECT '#'; SELECT '{table}', hour, COUNT(DISTINCT uuid), COUNT(*) "
            f"FROM parquet.`{at}/{table}` GROUP BY hour;"
            f"CREATE TEMP VIEW v USING parquet OPTIONS (path '{at}/{table}');"
            "DESCRIBE v; DROP VIEW v;"
            for table in tables
        )
    )
    spark: dict[str, Any] = {}
    for row in told:
        if row == ["#"]:
            rows: Counter[int] = Counter()
            types: dict[str, str] = {}
        elif row[0] in tables:
            table, hour, different, all_ = row
            assert different == all_
            rows[int(hour)] = int(different)
            spark[table] = rows, types
        elif not row[0].startswith("#"):
            types[row[0]] = row[1]
    for table in tables:
        for hours in (duck[table][0], spark[table][0]):
            assert hours == arrow[table][0]
        for found in (duck[table][1], spark[table][1]):
            # Of the folders' names each engine makes a number of its own kind.
            assert {**found, **PARTITION} == {**arrow[table][1], **PARTITION}


PARTITION = dict.fromkeys(("year", "month", "day", "hour"), "a number")


def test_hours_that_are_not_asked_for_are_not_read(
    stack: Stack, imported: ImportingHere, webhdfs: Any, spark_sql: Any
) -> None:
    """One hour's file is damaged: who asks for another hour doesn't notice."""
    hours = f"{below(imported)}/Edit_17541122/year=2019/month=3/day=10"
    hours = hours if webhdfs.exists(hours) else hours.replace("month=3", "month=03")
    folder = f"{below(imported)}-damaged"
    for hour in ("07", "08"):
        path = next(path for path in webhdfs.ls(f"{hours}/hour={hour}", detail=False)
                    if path.endswith(".parquet"))  # fmt: skip
        content = webhdfs.cat_file(path) if hour == "07" else b"no Parquet"
        webhdfs.makedirs(f"{folder}/hour={hour}")
        webhdfs.pipe_file(f"{folder}/hour={hour}/a.parquet", content)
    rows = by_arrow(webhdfs, folder, ds.field("hour") == 7)[0]
    assert rows[7] > 0
    assert by_duckdb(webhdfs, folder, "CAST(hour AS INT) = 7")[0] == rows
    table = f"parquet.`{stack.hdfs.rpc_endpoint()}{folder}`"
    queries = f"SELECT COUNT(*) FROM {table} WHERE hour = 7; SELECT MAX(uuid) FROM {table};"
    assert spark_sql(queries, fails="is not a Parquet file") == [[str(rows[7])]]
    with pytest.raises(pa.ArrowInvalid, match="Parquet"):
        by_arrow(webhdfs, folder)
    with pytest.raises(duckdb.Error, match=r"(?i)parquet"):
        by_duckdb(webhdfs, folder)


def test_no_more_files_than_documented(imported: ImportingHere, wanted: dict[str, int]) -> None:
    """Splits of an hour: one, in each of two increments."""
    files = Counter(
        each.path.rpartition("/")[0]
        for each in filesystem.find(f"{imported.root}/parquet/**.parquet")
    )
    hours = Counter(folder.rpartition("/day=")[2] for folder in files)
    assert len(hours) >= HOURS
    assert max(files.values()) == 2
    assert max(hours.values()) <= len(wanted)
