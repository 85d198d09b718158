"""What a host refused, until it is known whether it refuses these photographs or everything. No HTTP, no files.

A host that answers 403 for one photograph does not give that one; a host that blocks the fetcher, or shows a page in
every photograph's place, says so with the very same answers. They are told apart by photographs that it does give.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from pipeline.photos.journal import Attempt
from pipeline.photos.ledger import SAMPLES

REFUSED: Final = frozenset({401, 403})
"""Answers that say of one photograph what a host that is closed to the fetcher says of each."""
MOST_HELD: Final = 20
"""So many refusals with no photograph among them, and the host is asked for one that it gave before."""


class Refusals:
    """The refusals of one host that are no verdicts yet, and photographs that it gave."""

    def __init__(self) -> None:
        self._samples: deque[str] = deque(maxlen=SAMPLES)
        self._held: list[tuple[float, Attempt]] = []

    def know(self, samples: Iterable[str]) -> None:
        """Addresses of photographs that it gave in earlier runs."""
        self._samples.extend(samples)

    @property
    def samples(self) -> list[str]:
        """Addresses of the last photographs that it gave, the newest first."""
        return list(self._samples)

    def hold(self, attempt: Attempt, *, sent_at: float) -> bool:
        """Keep a refusal back; whether it is time to ask for a sample.

        Args:
            attempt: As it will be recorded if the host does give others.
            sent_at: When the request was sent (`time.monotonic`).
        """
        self._held.append((sent_at, attempt))
        return len(self._held) >= MOST_HELD

    def gave(self, address: str, *, sent_at: float) -> list[Attempt]:
        """The host gave a photograph: the refusals of requests before that one are verdicts on their photographs."""
        self._samples.appendleft(address)
        verdicts = [attempt for moment, attempt in self._held if moment < sent_at]
        self._held = [(moment, attempt) for moment, attempt in self._held if moment >= sent_at]
        return verdicts

    def taken(self) -> list[Attempt]:
        """All that is held; it is held no longer."""
        attempts = [attempt for _, attempt in self._held]
        self._held = []
        return attempts


def is_page(body: bytes) -> bool:
    """Whether a body is a web page, a message or nothing, as hosts show it to whom they let see no photograph."""
    return body[:256].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in {b"", b"<", b"{"}


def failed(attempt: Attempt, reason: str) -> Attempt:
    """A refusal that came from a host in trouble: it says nothing about the photograph, which is asked for again."""
    return replace(attempt, status="failed", error=f"{attempt.error}; {reason}"[:500])
