"""What hosts are told by the User-Agent, and what is read from their Retry-After."""

import contextlib
import datetime as dt
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.politeness import retry_after, user_agent


@pytest.mark.parametrize(
    ("contact", "sent"),
    [
        ("https://example.org/~me?a=b&c#d", "https://example.org/~me?a=b&c#d"),
        ("A. Person <mailto:a@example.org>", "A. Person <mailto:a@example.org>"),
        ("T\u0101maki", "T%C4%81maki"),
        ("one\r\ntwo\tthree", "one two three"),
        ("open ( and \\", "open %28 and %5C"),
        ("nul \0 del \x7f", "nul %00 del %7F"),
        ("\ud800", "?"),
        ("", ""),
    ],
)
def test_any_contact_becomes_a_header(contact: str, sent: str) -> None:
    agent = user_agent(contact)
    assert agent.startswith("NatureWatch/")
    assert agent.endswith(f" (+{sent})")


@given(st.text(st.characters()))
def test_no_contact_breaks_the_header(contact: str) -> None:
    agent = user_agent(contact)
    assert agent.isascii()
    assert agent.isprintable()
    assert agent.count("(") == agent.count(")") == 1


def test_a_pause_is_named_in_seconds_or_as_a_date() -> None:
    later = dt.datetime.now(tz=dt.UTC) + dt.timedelta(hours=1)
    assert retry_after("120") == 120
    assert retry_after(format_datetime(later, usegmt=True)) == pytest.approx(3600, abs=60)
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert retry_after(None) is None


@given(st.text(st.characters(), max_size=40))
def test_no_pause_breaks_the_reader(value: str) -> None:
    assert (retry_after(value) or 0) >= 0


@pytest.mark.parametrize("value", ["", "soon", "-1", "1.5", "\u0665", "Thu, 01 Jan 99999 00:00:00 GMT", "9" * 400])
def test_what_names_no_pause_is_none(value: str) -> None:
    with contextlib.suppress(AssertionError):
        assert retry_after(value) == float("inf")
        return
    assert retry_after(value) is None
