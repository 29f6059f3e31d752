"""Numbers as people read them."""

from typing import Any


def whole(value: Any) -> int:
    """A count from the report; 0 where it is missing or no number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        return 0
    return int(value) if abs(value) < 1e18 else 0


def count(value: Any) -> str:
    """`1234567` -> `1,234,567`."""
    return f"{whole(value):,}"


def counted(value: Any, noun: str) -> str:
    """`1 event`, `1,200 events`."""
    return f"{count(value)} {noun}{'' if whole(value) == 1 else 's'}"


def share(part: Any, total: Any) -> str:
    """`4.7 %`; a part that is there never reads as none, nor an incomplete one as all."""
    part, total = whole(part), whole(total)
    if total <= 0:
        return "–"
    percent = 100 * part / total
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    return f"{percent:.0f} %" if percent in (0, 100) else f"{percent:.1f} %"


def size(value: Any) -> str:
    """Bytes: `512 B`, `3.4 MB` (of 1,000,000)."""
    amount = float(whole(value))
    units = ["B", "kB", "MB", "GB", "TB"]
    while abs(amount) >= 1000 and len(units) > 1:
        amount /= 1000
        del units[0]
    digits = 0 if units[0] == "B" or amount >= 100 else 1
    return f"{amount:,.{digits}f} {units[0]}"


def duration(value: Any) -> str:
    """Seconds: `0.84 s`, `12.3 s`, `4 min 05 s`, `2 h 07 min`."""
    seconds = float(value) if isinstance(value, (int, float)) and value > 0 else 0.0
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60:,} h {minutes % 60:02d} min"


def rate(events: Any, seconds: Any) -> str:
    """Events a second, to three digits; a dash where no time passed."""
    if not isinstance(seconds, (int, float)) or seconds <= 0:
        return "–"
    per_second = whole(events) / seconds
    digits = 0 if per_second >= 10 else 1
    return f"{per_second:,.{digits}f}"


def cut(value: object, most: int = 100) -> str:
    """Text of at most `most` characters: a name in a bad line may be of any length."""
    text = str(value)
    return text if len(text) <= most else text[: most - 1] + "…"


def cell(value: Any) -> str:
    """A value of a query's answer."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else cut(value, 500)
