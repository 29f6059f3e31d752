"""What is called otherwise than its name says is said beforehand, also of columns."""

import json
from pathlib import Path
from typing import Any

from el_beam.config.alike import alike
from schemas.registry import open_registry

TEXT = {"type": "string"}


def test_properties_that_flatten_alike(tmp_path: Path) -> None:
    """In three ways, at two depths; with names that the table has already."""
    inner = {"properties": {"c": TEXT, "C": TEXT}}
    document: dict[str, Any] = {
        "properties": {
            "a_b_c": TEXT,
            "a": {"properties": {"b": inner, "b_c": TEXT}},
            "a.b": {"properties": {"c": TEXT}},
            "wiki": TEXT,
            "id": TEXT,
        }
    }
    for name, each in {"B": {"properties": 5}, "S": document}.items():  # B has no events
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.json").write_text(json.dumps(each))
    begin = "schema S revision 1: event."
    assert [*alike(open_registry(str(tmp_path)))] == [
        f"{begin}a.b.c is event_a_b_c_2 in tables, c_2 in files",
        f"{begin}a.b_c is event_a_b_c_3 in tables",
        f"{begin}a_b_c is event_a_b_c_4 in tables",
    ]
