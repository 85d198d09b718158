"""How to introduce oneself to a host, and what it asks for by Retry-After. Shared by GBIF client and photo fetcher."""

import datetime as dt
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from urllib.parse import quote


def user_agent(contact: str) -> str:
    """The header User-Agent, which names an address for the operators of hosts.

    Headers carry ASCII only, and no line ends: white space becomes one blank, anything else that cannot stand in a
    header's comment is written as addresses write it (its bytes in UTF-8 as `%C4%81`).

    Args:
        contact: Any text.
    """
    printable = "".join(map(chr, range(0x20, 0x7F)))
    text = quote(
        " ".join(contact.split()), safe="".join(sign for sign in printable if sign not in "()\\"), errors="replace"
    )
    return f"NatureWatch/{version('naturewatch')} (+{text})"


def retry_after(value: str | None) -> float | None:
    """Seconds to wait by a Retry-After header (RFC 9110: seconds or a date); None without a usable one."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return max((moment - dt.datetime.now(tz=dt.UTC)).total_seconds(), 0.0)
