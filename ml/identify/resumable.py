"""Answers into a file by a command that may be stopped or killed at any moment, and goes on when it is called again."""

import hashlib
import json
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ml.ending import ENDING, complain, printable
from ml.errors import PhotoError
from ml.identify.answer_files import Destination
from ml.identify.journal import Journal, journal_of
from ml.identify.organisms import Organism
from ml.identify.progress_bar import ProgressBar
from ml.serving.sighting import NOTHING

if TYPE_CHECKING:
    from ml.serving.batch import Named

TOLD: Final = 10
"""Errors that are told on standard error; all are in the file."""


@dataclass(kw_only=True)
class Outcome:
    """How many there were, and how many of them have no answer."""

    organisms: int = 0
    failures: int = 0
    asked: int = 0
    """Answered or tried by this command, not by an earlier one."""


@dataclass(kw_only=True)
class _Order:
    """Where in the journal the answer about each organism is, in the order in which they were given."""

    places: "array[int]" = field(default_factory=lambda: array("q"))
    waiting: deque[tuple[int, str]] = field(default_factory=deque)
    """Position and key of those that are being asked."""

    def missing(self, organisms: Iterable[Organism], journal: Journal, bar: ProgressBar) -> Iterator[Organism]:
        """The organisms without an answer in the journal."""
        for organism in organisms:
            key = key_of(organism)
            place = journal.answered.get(key, -1)
            self.places.append(place)
            if place >= 0:
                bar.advance(1)
            else:
                self.waiting.append((len(self.places) - 1, key))
                yield organism


def answer_into(
    destination: Destination,
    organisms: Iterable[Organism],
    *,
    asked: Mapping[str, object],
    answered: "Callable[[Iterable[Organism]], Iterator[list[Named]]]",
    bar: ProgressBar,
    restart: bool = False,
) -> Outcome:
    """Write answers to a file, those that an earlier command has kept among them.

    Args:
        destination: The file.
        organisms: All that are asked about, in order.
        asked: What is asked of which model; answers to something else are never mixed with these.
        answered: The answers about organisms, in their order.
        bar: Told of each.
        restart: Whether to answer all anew.

    Raises:
        ResumeError: the output was begun with something else asked, or is being written.
        MlError: what `answered` and the destination raise; answers that are known by then are kept.
    """
    journal = Journal.open(destination.path, asked=asked, restart=restart)
    order, outcome = _Order(), Outcome()
    going = [True]

    def told() -> None:
        bar.stop()
        if going:
            complain(f"{journal_of(destination.path)} keeps what is answered: the same command goes on from there")

    ENDING.callback(told)
    try:
        with bar:
            for batch in answered(order.missing(organisms, journal, bar)):
                entries = []
                for name, found in batch:
                    position, key = order.waiting.popleft()
                    entries.append((position, key, _kept(name, found)))
                    _tell(name, found, outcome)
                places = journal.add((key, answer) for _, key, answer in entries)
                for (position, _, _), place in zip(entries, places, strict=True):
                    order.places[position] = place
                outcome.asked += len(entries)
                bar.advance(len(entries))
        outcome.organisms = len(order.places)
        destination.write(journal.read(order.places), identified=journal.begun)
    finally:
        going.clear()
        journal.close()
    return outcome


def key_of(organism: Organism) -> str:
    """What is the same as long as an answer about an organism holds.

    That is the names, sizes and times of its photographs, and where and when a table says that they were taken.
    """
    photographs = [
        [photo.name, photo.stamp(), *([photo.sighting] if photo.sighting != NOTHING else [])]
        for photo in organism.photographs
    ]
    return hashlib.sha256(json.dumps([organism.name, photographs]).encode("ascii")).hexdigest()[:32]


def _kept(name: str, found: "Mapping[str, object] | PhotoError") -> dict[str, object]:
    return {"photo": name, "error": str(found)} if isinstance(found, PhotoError) else dict(found)


def _tell(name: str, found: "Mapping[str, object] | PhotoError", outcome: Outcome) -> None:
    if not isinstance(found, PhotoError):
        return
    outcome.failures += 1
    if outcome.failures <= TOLD:
        complain(f"{printable(name)}: {found}")
    elif outcome.failures == TOLD + 1:
        complain("further errors are in the file")
