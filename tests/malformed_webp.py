"""Placeholder."""

from collections.abc import Iterator

from tests.malformed import Case


def cases() -> Iterator[Case]:
    """None."""
    yield from ()
