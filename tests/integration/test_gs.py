"""gs:// against a local fake of the service: sinks write there what they write on a disk."""

import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from gcp_storage_emulator.server import create_server
from in_process import call

from runners.addresses import free_ports

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "examples" / "sample.log.gz"
LINES, SCHEMAS = 40, (b"Popups", b"Echo")  # the fake is slow: half a second a file
COUNT = """
import json, sys
from transforms.io.files import filesystem
found = {each.path: each.size for each in filesystem.below(sys.argv[1])}
import pyarrow.parquet as pq
rows = 0
for path in found:
    if path.endswith(".parquet"):
        with filesystem.open_file(path) as file:
            rows += pq.ParquetFile(file).metadata.num_rows
print(json.dumps({"files": sorted(found), "rows": rows}))
"""


class _Tokens(BaseHTTPRequestHandler):
    """Gives everyone a token: Beam looks 20 seconds for credentials where it has none."""

    def do_POST(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"access_token": "x", "expires_in": 3600, "token_type": "Bearer"}')

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which gs://events is on this machine."""
    tokens = ThreadingHTTPServer(("127.0.0.1", 0), _Tokens)
    threading.Thread(target=tokens.serve_forever, daemon=True).start()
    key = subprocess.run(["openssl", "genrsa", "2048"], capture_output=True, text=True, check=True)
    account = tmp_path_factory.mktemp("gs") / "account.json"
    about = {
        "type": "service_account", "project_id": "here", "private_key": key.stdout,
        "client_email": "el@here", "token_uri": f"http://127.0.0.1:{tokens.server_port}/token",
    }  # fmt: skip
    account.write_text(json.dumps(about))
    (port,) = free_ports(1)
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket="events")
    server.start()
    yield {
        "STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{port}",
        "GOOGLE_APPLICATION_CREDENTIALS": str(account),
    }
    server.stop()
    tokens.shutdown()


def told_by(environment: dict[str, str], *arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True, text=True, check=False, timeout=300,
        env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_files_there_are_those_of_a_disk(bucket: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    sample = gzip.decompress(SAMPLE.read_bytes()).splitlines()
    some = [line for line in sample if any(schema in line for schema in SCHEMAS)]
    log.write_bytes(b"\n".join(some[:LINES]))
    run = ("run", f"file:{log}", "--json")
    there, here = "gs://events/a[1]*", f"{tmp_path}/a"
    told = told_by(bucket, "-m", "el_beam.cli", *run, f"parquet:{there}/parquet",
                   f"jsonl:{there}/jsonl")  # fmt: skip
    assert told["balanced"]
    assert call(*run, f"parquet:{here}/parquet", f"jsonl:{here}/jsonl").code == 0
    found = told_by(bucket, "-c", COUNT, there)
    names = [name.removeprefix(there) for name in found["files"] if "/_ledger/" not in name]
    assert len(names) >= 2 * len(SCHEMAS)
    assert names == sorted(
        str(path).removeprefix(here)
        for path in Path(here).rglob("*")
        if path.is_file() and "_ledger" not in path.parts
    )
    assert found["rows"] == LINES
    assert not [name for name in names if "_temporary" in name]
    again = told_by(bucket, "-m", "el_beam.cli", *run, f"parquet:{there}/parquet")
    assert again["balanced"]
    assert told_by(bucket, "-c", COUNT, there) == found
