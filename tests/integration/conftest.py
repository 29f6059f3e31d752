"""What tests of `el mysql` share."""

from pathlib import Path

import pytest

from traffic import Database
from traffic.admin import Admin


@pytest.fixture
def admin(database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Admin:
    return Admin(database, tmp_path, capsys)
