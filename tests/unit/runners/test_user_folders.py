"""The user's folders follow the XDG base directories."""

from pathlib import Path

import pytest

from runners.user_folders import cache_folder, state_folder
from schemas.errors import WrongCall


def test_variables_name_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/c")
    monkeypatch.setenv("XDG_STATE_HOME", "relative")  # which is to be ignored
    monkeypatch.setenv("HOME", "/h")
    assert cache_folder() == Path("/c/el_beam")
    assert state_folder() == Path("/h/.local/state/el_beam")


def test_nobody_without_a_home_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(WrongCall, match="set HOME or XDG_CACHE_HOME"):
        cache_folder()
