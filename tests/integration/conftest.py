"""What tests of `el mysql` share."""

from pathlib import Path

import pytest
from mysql_admin import Admin

from traffic.database import Database


@pytest.fixture
def admin(database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Admin:
    return Admin(database, tmp_path, capsys)
