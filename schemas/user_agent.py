"""Parses a user agent into the ten keys of `userAgent`, always all of them (BEHAVIOUR 5)."""

import re
from functools import lru_cache
from typing import Any, Final

LONGEST: Final = 800  # characters, quotes and line end included: longer ones stall any parser

TEXTS: Final = (
    *("device_family", "browser_family", "browser_major", "browser_minor"),
    *("os_family", "os_major", "os_minor", "wmf_app_version"),
)
FLAGS: Final = ("is_bot", "is_mediawiki")

# Words and beginnings by which Wikimedia's refinery recognises bots among unknown devices.
_BOT_WORDS = (
    "bot spider WordPress AppEngine AppleDictionaryService Python-urllib python-requests "
    "Google-HTTP-Java-Client [Ff]acebook [Yy]ahoo RockPeaks http"
).split()
_BOT_BEGINNINGS = [
    *"wikiwix-bot Java/ curl PHP Faraday HTTPC Ruby \\.NET Python Apache Scrapy PycURL".split(),
    *"libwww Zend wget nodemw WinHttpRaw Twisted com\\.eusoft Lagotto Peggo Recuweb".split(),
    *"check_http Magnus MLD Jakarta find-link projectplan9 ADmantX httpunit LWP".split(),
    *"iNaturalist WikiDemo FSResearchIt livedoor MediaWiki User: User_talk: github".split(),
    *"tools\\.wmflabs\\.org MediaWikiCrawler-Google \\S+@\\S+\\.[a-zA-Z]{2,3}".split(),
    *("goo wikipedia", "J\\. River", "Microsoft Monitoring", "Blackboard Safeassign"),
    "Damn Small XSS",
]
_BOT = re.compile(f".*(?:{'|'.join(_BOT_WORDS)})|(?:{'|'.join(_BOT_BEGINNINGS)})")
_APP = "WikipediaApp/"


class BadUserAgent(ValueError):
    """A user agent that is not text, or too long to be parsed safely."""


def is_bot(device_family: str, text: str) -> bool:
    """Returns whether a user agent is a bot's: by its device, or by words if that is unknown."""
    if device_family == "Spider":
        return True
    return device_family == "Other" and _BOT.match(text.strip('"')) is not None


def _app_version(text: str) -> str:
    """Returns the version in the first word of a Wikipedia app's user agent, else `-`."""
    if _APP not in text:
        return "-"
    first_word = text.split(" ", 1)[0]
    return first_word.split("/", 1)[1] if "/" in first_word else "-"


@lru_cache(maxsize=32768)
def _parse(text: str) -> dict[str, Any]:
    from ua_parser import parse  # compiles thousands of patterns: only where agents are parsed

    found = parse(text).with_defaults()  # families are "Other", all else is None
    browser, system, device = found.user_agent, found.os, found.device
    return {
        "device_family": device.family,
        "browser_family": browser.family,
        "browser_major": browser.major,
        "browser_minor": browser.minor,
        "os_family": system.family,
        "os_major": system.major,
        "os_minor": system.minor,
        "wmf_app_version": _app_version(text),
        "is_bot": is_bot(device.family, text),
        "is_mediawiki": "mediawiki" in text.lower(),
    }


def parse_user_agent(text: object) -> dict[str, Any]:
    """Returns the ten keys of a user agent: strings or None, and two booleans.

    All events of a user agent share the dict: do not change it.
    Raises BadUserAgent if `text` is not a string or longer than LONGEST."""
    if not isinstance(text, str):
        raise BadUserAgent(f"userAgent must be text, not {type(text).__name__}")
    if len(text) > LONGEST:
        raise BadUserAgent(f"the user agent has {len(text)} characters, more than {LONGEST}")
    return _parse(text)
