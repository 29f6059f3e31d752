"""User agents: ten keys always, bots, apps, and what is too long to be looked at."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.user_agent import FLAGS, LONGEST, TEXTS, BadUserAgent, is_bot, parse_user_agent


@settings(max_examples=50)
@given(st.text(max_size=60))
def test_always_all_ten_keys(text: str) -> None:
    parsed = parse_user_agent(text)
    assert tuple(parsed) == (*TEXTS, *FLAGS)
    for key, value in parsed.items():
        wanted = bool if key in ("is_bot", "is_mediawiki") else (str, type(None))
        assert isinstance(value, wanted)


def test_a_browser() -> None:
    firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:60.0) Gecko/20100101 Firefox/60.0"
    parsed = parse_user_agent(firefox)
    assert (parsed["browser_family"], parsed["browser_major"]) == ("Firefox", "60")
    assert parsed["os_family"] == "Linux"


@pytest.mark.parametrize(
    ("text", "bot"),
    [
        ("curl/7.0", True),
        ('"curl/7.0"', True),
        ("x curl/7.0", False),
        ("the bot of it", True),
        ("the Bot of it", False),
        ("someone@example.org hello", True),
        ("WordPress/4.9; http://x", True),
        ("Goo wikipedia", False),
        ("goo wikipedia (x)", True),
        ("\nspider", False),
        ("", False),
    ],
)
def test_bots_among_unknown_devices(text: str, bot: bool) -> None:
    assert is_bot("Other", text) is bot
    assert not is_bot("iPhone", text)
    assert is_bot("Spider", text)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("WikipediaApp/5.3 (iOS)", "5.3"),
        ("Mozilla/5.0 WikipediaApp/5.3", "5.0"),  # as in the original: of the first word
        ("x WikipediaApp/5.3", "-"),  # where the original raises
        ("Mozilla/5.0", "-"),
    ],
)
def test_the_version_of_the_apps(text: str, version: str) -> None:
    assert parse_user_agent(text)["wmf_app_version"] == version


@pytest.mark.parametrize("agent", [None, 5, {}, [], True, b"x"])
def test_only_text(agent: object) -> None:
    with pytest.raises(BadUserAgent, match=type(agent).__name__):
        parse_user_agent(agent)


def test_too_long_is_refused_unread() -> None:
    assert parse_user_agent("x" * LONGEST)["browser_family"] == "Other"
    started = time.process_time()
    with pytest.raises(BadUserAgent, match="1000000 characters"):
        parse_user_agent("x" * 1_000_000)
    assert time.process_time() - started < 0.5
