"""Events of the test corpus that EventLogging found valid, as it would have written them to tables:
its verdicts, and capsules as json and urllib read them."""

import gzip
import json
import math
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import ua_parser

CORPUS = Path(__file__).resolve().parents[2] / "tests" / "golden" / "oracle"
Json = dict[str, Any]
_LINE = re.compile(
    r"(\?\S+)\s+(\S+)\s+(\d+)\s+(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\s+[^\t]+\s+([^\t]+)"
)
_BOT = re.compile("bot|spider|WordPress|AppEngine|[Ff]acebook|[Yy]ahoo|http")


def events() -> Iterator[Json]:
    """Those of the corpus that EventLogging found valid and that a database can hold. A line's own
    fields win over its capsule's."""
    raw = gzip.decompress((CORPUS / "corpus.log.gz").read_bytes()).splitlines()
    with gzip.open(CORPUS / "valid.jsonl.gz", "rt") as verdicts:
        for verdict in map(json.loads, verdicts):
            line = raw[verdict["line"] - 1].decode("utf-8", "replace")
            match = _LINE.match(line)
            assert match, line
            query, recv_from, seq_id, dt, agent = match.groups()
            event = json.loads(unquote_plus(query.strip("?;")))
            if not _storable(event) or int(seq_id) >= 2**63:
                continue
            name = f"event://{recv_from}/?seqId={int(seq_id)}&dt={dt}Z"
            event |= {"dt": f"{dt}Z", "uuid": uuid.uuid5(uuid.NAMESPACE_URL, name).hex}
            event |= {"recvFrom": recv_from, "seqId": int(seq_id)}
            for key in ("clientValidated", "isTruncated"):
                event.pop(key, None)
            found = verdict["event"]["userAgent"]
            yield event | {"userAgent": _agent(event.get("userAgent", agent), found)}


def _storable(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_storable(key) and _storable(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_storable, value))
    if isinstance(value, str):
        return not re.search("[\ud800-\udfff]", value)
    if isinstance(value, float):
        return math.isfinite(value)
    return not isinstance(value, int) or -(2**63) <= value < 2**63


def _agent(text: str, found: Json) -> Json:
    """What EventLogging found, with what this version of ua-parser says."""
    told = ua_parser.parse(text).with_defaults()
    device, browser, system = told.device.family, told.user_agent, told.os
    made = {f"browser_{key}": getattr(browser, key) or None for key in ("family", "major", "minor")}
    made |= {f"os_{key}": getattr(system, key) or None for key in ("family", "major", "minor")}
    words = found["is_bot"] if found["device_family"] == "Other" else bool(_BOT.search(text))
    bot = device == "Spider" or (device == "Other" and words)
    return found | made | {"device_family": device, "is_bot": bot}
