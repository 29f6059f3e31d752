"""Which hours and schemas are wanted."""

import pytest

from el_beam.connectors.contract import Selection


@pytest.mark.parametrize(
    ("first", "last", "count", "ends"),
    [
        ("2019-03-10T07", "2019-03-10T07", 1, ("2019-03-10T07", "2019-03-10T07")),
        ("2019-03-10", "2019-03-10", 24, ("2019-03-10T00", "2019-03-10T23")),
        ("2019-02-28T22", "2019-03-01", 26, ("2019-02-28T22", "2019-03-01T23")),
    ],
)
def test_all_hours(first: str, last: str, count: int, ends: tuple[str, str]) -> None:
    wanted = Selection(first, last)
    hours = wanted.all_hours()
    assert (len(hours), (hours[0], hours[-1])) == (count, ends)
    assert all(map(wanted.hour, hours)) and len({*hours}) == count
