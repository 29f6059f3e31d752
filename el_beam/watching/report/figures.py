"""Numbers as people read them."""


def counted(number: int, noun: str) -> str:
    """`1 event`, `1,200 events`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def share(part: int, total: int) -> str:
    """`4.7 %`; a part that is there never reads as none, nor an incomplete one as all."""
    if total <= 0:
        return "–"
    percent = 100 * part / total
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    return f"{percent:.0f} %" if percent in (0, 100) else f"{percent:.1f} %"


def size(amount: float) -> str:
    """Bytes: `512 B`, `3.4 MB` (of 1,000,000)."""
    units = ["B", "kB", "MB", "GB", "TB"]
    while amount >= 1000 and len(units) > 1:
        amount /= 1000
        del units[0]
    digits = 0 if units[0] == "B" or amount >= 100 else 1
    return f"{amount:,.{digits}f} {units[0]}"


def duration(seconds: float) -> str:
    """Seconds: `0.84 s`, `12.3 s`, `4 min 05 s`, `2 h 07 min`."""
    if seconds < 1:
        return f"{max(seconds, 0):.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60:,} h {minutes % 60:02d} min"


def rate(events: int, seconds: float) -> str:
    """Events a second, to three digits; a dash where no time passed."""
    if seconds <= 0:
        return "–"
    per_second = events / seconds
    digits = 0 if per_second >= 10 else 1
    return f"{per_second:,.{digits}f}"


def cut(value: object, most: int = 100) -> str:
    """Text of at most `most` characters: a name in a bad line may be of any length."""
    text = str(value)
    return text if len(text) <= most else text[: most - 1] + "…"


def cell(value: object) -> str:
    """A value of SQLite's answer to a query."""
    if value is None:
        return "NULL"
    if isinstance(value, float):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else cut(value, 500)
