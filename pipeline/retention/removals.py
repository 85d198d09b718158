"""What a pruning would remove, and what it keeps and why: plain data, made before anything is removed."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path


class Kind(Enum):
    """What can be removed, in the order of removal: what refers to something goes before it."""

    VERSION = "model versions"
    MLFLOW_RUN = "MLflow runs"
    EXAM = "exam answers"
    CANDIDATE = "candidates"
    CALIBRATION = "calibrations"
    TRAINING = "trainings"
    FEATURES = "features"
    BODIES = "photographs"
    PACK = "packs"
    DOWNLOAD = "raw downloads"
    INDEX = "snapshot indices"
    TREE = "observations of trees"
    DAGSTER_RUN = "Dagster runs"
    LOG = "logs"
    PREVIEW = "previews"
    LEFTOVER = "leftovers of killed runs"


@dataclass(frozen=True, kw_only=True)
class Removal:
    """One thing that goes."""

    kind: Kind
    name: str
    """A path below the data root (an absolute one outside it), a version's number, or a run's identifier."""
    bytes: int
    """What is freed on the disk, as far as it can be seen from here."""
    reason: str
    beside: tuple[str, ...] = ()
    """Further paths that mean nothing without it, and go before it: what is left of it alone would not be found."""


@dataclass(frozen=True, kw_only=True)
class Bodies:
    """Photographs that nothing names, as a table: there may be millions."""

    table: Path
    """Parquet: sha256, bytes. It exists as long as the plan."""
    number: int
    bytes: int
    examples: tuple[str, ...]
    """A few of their paths below the data root."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """One thing that stays, and who needs it."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """All that goes of one kind, for people."""

    kind: Kind
    number: int
    bytes: int
    examples: tuple[str, ...]
    reasons: tuple[str, ...]
    """Without repetition, the most frequent first."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What goes, what stays, and what could not be judged."""

    removals: tuple[Removal, ...]
    """In the order of removal."""
    bodies: Bodies | None = None
    kept: tuple[Kept, ...] = ()
    notes: tuple[str, ...] = ()
    """What was left alone because it cannot be known whether it is needed, one sentence each."""
    versions: frozenset[str] = field(default=frozenset())
    """Numbers of the model versions that stay."""

    @property
    def number(self) -> int:
        """How many things go."""
        return len(self.removals) + (self.bodies.number if self.bodies else 0)

    @property
    def bytes(self) -> int:
        """What is freed."""
        return sum(each.bytes for each in self.removals) + (self.bodies.bytes if self.bodies else 0)

    def lines(self, *, examples: int = 3) -> list[Line]:
        """What goes by kind, in the order of removal; kinds of which nothing goes are left out."""
        found = []
        for kind in Kind:
            if kind is Kind.BODIES:
                if self.bodies and self.bodies.number:
                    found.append(_bodies_line(self.bodies, examples=examples))
                continue
            those = [each for each in self.removals if each.kind is kind]
            if those:
                largest = sorted(those, key=lambda each: -each.bytes)[:examples]
                found.append(
                    Line(
                        kind=kind,
                        number=len(those),
                        bytes=sum(each.bytes for each in those),
                        examples=tuple(each.name for each in largest),
                        reasons=_by_frequency(each.reason for each in those),
                    )
                )
        return found


NOT_NAMED = "no photograph of the ledger and no dataset of a kept version names them"
"""Why photographs go."""


def _bodies_line(bodies: Bodies, *, examples: int) -> Line:
    return Line(
        kind=Kind.BODIES,
        number=bodies.number,
        bytes=bodies.bytes,
        examples=bodies.examples[:examples],
        reasons=(NOT_NAMED,),
    )


def _by_frequency(words: Iterable[str]) -> tuple[str, ...]:
    counts: dict[str, int] = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    return tuple(sorted(counts, key=lambda word: -counts[word]))


def in_order(removals: Iterable[Removal]) -> tuple[Removal, ...]:
    """Removals in the order in which they are carried out."""
    order = {kind: place for place, kind in enumerate(Kind)}
    return tuple(sorted(removals, key=lambda each: (order[each.kind], each.name)))
