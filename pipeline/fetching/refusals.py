"""What a host did not give, until it is known whether it is about these photographs or the host. No HTTP, no files.

A host that answers 403 for one photograph does not give that one; a host that blocks the fetcher, or shows a page in
every photograph's place, says so with the very same answers. They are told apart by the share of its last answers, and
by photographs that it gave before: a sound host gives nearly all of these again.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from pipeline.photos.journal import Attempt
from pipeline.photos.ledger import SAMPLES

REFUSED: Final = frozenset({401, 403, 451})
"""Answers that say of one photograph what a host that is closed to the fetcher says of each."""
ABSENT: Final = frozenset({404, 410})
"""Answers that are about one photograph, unless the host has lost those that it gave before as well."""
MOST_HELD: Final = 20
"""So many photographs that a host did not give, and it may be asked for some that it gave before."""
FEW_HELD: Final = 3
"""So many are enough at the end of a run, where they are most of what was asked for: a week may bring few."""
LAST: Final = 100
"""How many of its last answers a host is judged by."""
TROUBLED: Final = 0.4
"""Share of the last answers without a photograph, from which on a host may be in trouble.

Of a sound host, one photograph in hundreds is withdrawn. The limit is a little below a half, so that a host that fails
on one of two servers is seen as well."""
SOUND: Final = 0.75
"""A sound host gives more than this share of the photographs that it gave in earlier runs: one may be withdrawn."""
MOST_UNCHECKED: Final = 160
"""After each check that a host passes, twice as many refusals lead to the next, up to so many."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Held:
    """A refusal that is no verdict yet."""

    sent_at: float
    attempt: Attempt
    absent: bool


class Refusals:
    """The refusals of one host in one run, and photographs that it gave."""

    def __init__(self) -> None:
        self.checking = asyncio.Lock()
        """Held while the host is asked for samples: its refusals wait for what comes of it."""
        self._earlier: deque[str] = deque(maxlen=SAMPLES)
        self._given: deque[str] = deque(maxlen=SAMPLES)
        self._held: list[_Held] = []
        self._verdicts: list[Attempt] = []
        self._last: deque[str] = deque(maxlen=LAST)
        self._row = 0
        self._unchecked = 0
        self._enough = MOST_HELD

    def know(self, samples: Iterable[str]) -> None:
        """Addresses of photographs that it gave in earlier runs, the newest first."""
        self._earlier.extend(samples)

    @property
    def samples(self) -> list[str]:
        """Addresses of photographs that a sound host gives again: of earlier runs, without these of this one.

        Those of this run come second, for where half a host is out they are all of the other half.
        """
        return list(self._earlier or self._given)

    def hold(self, attempt: Attempt, *, sent_at: float, absent: bool = False) -> None:
        """Keep a refusal back.

        Args:
            attempt: As it will be recorded if the host is sound.
            sent_at: When the request was sent (`time.monotonic`).
            absent: Whether the answer is about this photograph, as far as one answer can tell (`ABSENT`).
        """
        self._held.append(_Held(sent_at=sent_at, attempt=attempt, absent=absent))
        self._last.append("absent" if absent else "refused")
        self._row += 1
        self._unchecked += 1

    def failed(self) -> None:
        """All attempts for a photograph failed; it is recorded already."""
        self._last.append("failed")
        self._unchecked += 1

    def gave(self, address: str, *, sent_at: float) -> list[Attempt]:
        """The host gave a photograph: refusals of earlier requests are verdicts, unless it refuses most."""
        self._given.appendleft(address)
        self._last.append("given")
        self._row = 0
        if self._is_troubled():
            return []
        verdicts = [held.attempt for held in self._held if held.sent_at < sent_at]
        self._held = [held for held in self._held if held.sent_at >= sent_at]
        self._verdicts += verdicts
        return verdicts

    @property
    def holds(self) -> bool:
        """Whether any refusal waits to become a verdict."""
        return bool(self._held)

    @property
    def last_error(self) -> str | None:
        """What the last refusal said."""
        if self._held:
            return self._held[-1].attempt.error
        return self._verdicts[-1].error if self._verdicts else None

    def is_doubtful(self) -> bool:
        """Whether it is time to ask the host for its samples."""
        # A host that answers nothing at all is left to `hosts`, which is more patient.
        silent = set(self._last) == {"failed"}
        return self._unchecked >= self._enough and not silent and (self._row >= MOST_HELD or self._is_troubled())

    def ends_in_doubt(self) -> bool:
        """Whether, at the end, so large a share did not come that the host is asked for photographs of earlier runs."""
        return bool(self._earlier) and self._lost >= FEW_HELD and self._lost >= TROUBLED * len(self._last)

    def trouble(self, *, asked: int, given: int) -> str | None:
        """What is wrong with the host, in words that follow its name; None where it is sound.

        Args:
            asked: Of so many `samples` ...
            given: ... so many came.
        """
        last, total = Counter(self._last), len(self._last)
        lost = total - last["given"]
        self._unchecked, self._row = 0, 0
        self._enough = min(2 * self._enough, MOST_UNCHECKED)
        if asked and not given:
            return "refuses every photograph"
        if not asked:
            return "refuses every photograph" if last["refused"] >= MOST_HELD else None
        if self._earlier:
            sound = given > SOUND * asked
        else:
            # That photographs are absent is believed: whether others were there before is not known.
            doubted = lost - last["absent"]
            sound = doubted < MOST_HELD or doubted < TROUBLED * total
        if sound:
            return None
        return f"does not give most photographs, {lost} of the last {total}, nor some that it gave before"

    def taken(self) -> tuple[list[Attempt], list[Attempt]]:
        """All that is held: verdicts where the host is sound, and what remains unknown; it is held no longer.

        A refusal is unknown where the host has never given a photograph that could speak for it.
        """
        spoken_for = bool(self.samples)
        verdicts = [held.attempt for held in self._held if spoken_for or held.absent]
        unknown = [held.attempt for held in self._held if not (spoken_for or held.absent)]
        self._held = []
        self._verdicts += verdicts
        return verdicts, unknown

    def recalled(self) -> list[Attempt]:
        """The verdicts of this run, where the host turns out to be in trouble; they are forgotten here."""
        verdicts, self._verdicts = self._verdicts, []
        return verdicts

    @property
    def _lost(self) -> int:
        return sum(answer != "given" for answer in self._last)

    def _is_troubled(self) -> bool:
        return self._lost >= MOST_HELD and self._lost >= TROUBLED * len(self._last)


def is_page(body: bytes) -> bool:
    """Whether a body is a web page, a message or nothing, as hosts show it to whom they let see no photograph."""
    return body[:256].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in {b"", b"<", b"{"}


def failed(attempt: Attempt, reason: str) -> Attempt:
    """A refusal that came from a host in trouble: it says nothing about the photograph, which is asked for again."""
    return replace(attempt, status="failed", error=f"{attempt.error}; {reason}"[:500])
