"""Judges a challenger by what it and other versions answered in the exam; the rules are the section `gate`.

Two versions are compared on the photographs that both answered, of species that both know, by their present names
and, where some were called otherwise when the other version was asked, by the names of then as well; then once more as
they answer when they are told where, or where and when, a photograph was taken. A change that is
too bad fails; a group, of which there may be many with few photographs each, fails only where its interval lies below
zero as well. What could not be measured fails.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pyarrow.parquet as pq

from ml.spec import Case, ExamResult, VersionAnswers
from pipeline.config.settings import Settings
from pipeline.config.upkeep import MetricThreshold
from pipeline.exam.bootstrap import Change, Changes, Marks, changes, macro
from pipeline.exam.decision import Comparison, Decision, Kind, OnlyOne, Verdict, measured
from pipeline.exam.sentences import judged, nothing_in_common
from pipeline.query import rows as query_rows

SEED = 0
"""Of the bootstrap: the same answers lead to the same decision."""
_ROUNDING = 1e-9
"""A change of exactly what is allowed passes."""

PLACED_CASES: Final[tuple[Case, ...]] = ("place", "place_and_date")

NOTHING = Change(value=math.nan, low=math.nan, high=math.nan)

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Answered:
    """A version and its answers, by photograph."""

    number: str
    rows: Mapping[str, Row]
    placed: Mapping[Case, Mapping[str, Row]] = field(default_factory=dict)
    """Answers of a version that knows places, where it was told them."""

    @classmethod
    def of(cls, version: VersionAnswers) -> "Answered":
        """Read what the exam's child wrote."""
        placed: dict[Case, dict[str, Row]] = {case: {} for case in PLACED_CASES}
        for row in _rows(version.placed, "case"):
            placed[row["case"]][row["photo_id"]] = row
        rows = _rows(version.answers)
        return cls(number=version.number, rows={row["photo_id"]: row for row in rows}, placed=placed)

    def told(self, case: Case, photos: Collection[str]) -> "Answered":
        """What it answers about some photographs when it is told their places: the same as ever if it knows none."""
        placed = self.placed.get(case, {})
        answers = {photo: placed.get(photo, self.rows.get(photo)) for photo in photos}
        return Answered(number=self.number, rows={photo: row for photo, row in answers.items() if row is not None})

    def marks(self, photos: Sequence[str], groups: Mapping[str, str]) -> Marks:
        """Answers about some photographs, in their order."""
        rows = [self.rows[photo] for photo in photos]
        return Marks(
            observations=np.array([row["observation_id"] for row in rows], dtype=object),
            species=np.array([row["species_key"] for row in rows], dtype=object),
            groups=np.array([groups.get(row["species_key"], "") for row in rows], dtype=object),
            # A blank is NaN, and so is every mean that it enters.
            top1=np.array([row["top1_right"] for row in rows], dtype=np.float64),
            right=np.array([row["answer_right"] for row in rows], dtype=np.float64),
            depth=np.array([row["depth"] for row in rows], dtype=np.float64),
        )

    def marks_by(self, names: Sequence[str], photos: Sequence[str]) -> Marks:
        """Answers about some photographs, where each is right if its most probable species has the given key."""
        top1 = [self.rows[photo]["top_key"] == name for name, photo in zip(names, photos, strict=True)]
        return replace(self.marks(photos, {}), top1=np.array(top1, dtype=np.float64))


@dataclass(frozen=True, eq=False, kw_only=True)
class Measure:
    """What one metric is measured on."""

    kind: Kind
    title: str = ""
    """Of a group."""
    case: Case = "neither"
    """What the versions were told."""
    mine: Marks
    theirs: Marks | None = None
    """Of the other version, where there is one."""
    change: Change = NOTHING


def decide(settings: Settings, result: ExamResult, *, exam: int, versions: Mapping[str, str]) -> Decision:
    """Whether the challenger passes.

    Args:
        settings: The section `gate`, and `specificity.target`.
        result: What the exam's child wrote.
        exam: The version of the exam.
        versions: What each number stands for.

    Raises:
        TableError: `taxonomy.parquet` is missing.
    """
    groups = group_names(settings)
    challenger, champion, best = result.challenger, result.champion, result.best
    facts: dict[str, Any] = {
        "challenger": challenger.number, "exam": exam, "target": settings.specificity.target,
        "champion": None if champion is None else champion.number, "versions": dict(versions),
    }  # fmt: skip
    notes = [*result.notes, *_notes(challenger, champion, best, target=settings.specificity.target)]
    if challenger.problem is not None:
        reason = f"version {challenger.number} cannot be judged: {challenger.problem}"
        return Decision(**facts, passed=False, reasons=(reason,), notes=tuple(notes))
    one = Answered.of(challenger)
    if champion is None or champion.lost:
        return _alone(settings, one, champion, groups=groups, facts=facts, notes=notes)
    comparisons = [compare(settings, one, Answered.of(champion), role="champion", groups=groups)]
    if best is not None:
        comparisons.append(compare(settings, one, Answered.of(best), role="best", groups=groups))
    sentences = [
        (verdict.passed, verdict.sentence) for comparison in comparisons for verdict in comparison.verdicts
    ] + [(False, nothing_in_common(facts["challenger"], each.other)) for each in comparisons if not each.verdicts]
    return Decision(
        **facts,
        passed=all(comparison.passed for comparison in comparisons),
        reasons=tuple(sentence for _, sentence in sorted(sentences, key=lambda pair: pair[0])),
        comparisons=tuple(comparisons),
        notes=tuple(notes),
    )


def already_champion(number: str, *, exam: int, target: float, versions: Mapping[str, str]) -> Decision:
    """The decision on a challenger that users are served already."""
    return Decision(
        challenger=number, champion=number, exam=exam, passed=True, target=target, versions=dict(versions),
        reasons=(f"version {number} is the champion already",),
    )  # fmt: skip


def compare(
    settings: Settings, one: Answered, other: Answered, *, role: Literal["champion", "best"], groups: Mapping[str, str]
) -> Comparison:
    """The challenger against one other version."""
    gate = settings.gate
    both = sorted(one.rows.keys() & other.rows.keys())
    common = _common(one, other)
    first, second = one.marks(common, groups), other.marks(common, groups)
    found = changes(first, second, seed=SEED)
    measures = [*_overall(first, second, found), *_earlier_names(one, other, common)]
    for name, change in found.groups.items():
        inside = np.flatnonzero(first.groups == name)
        if len(inside) >= gate.group_photos:
            mine, theirs = _part(first, inside), _part(second, inside)
            measures.append(Measure(kind="group", title=name, mine=mine, theirs=theirs, change=change))
    measures += _told(one, other, least=gate.group_photos)
    verdicts = tuple(_verdict(settings, each, other=other.number) for each in measures)
    return Comparison(
        other=other.number,
        role=role,
        photos=len(common),
        species=len(set(first.species)),
        verdicts=verdicts if common else (),
        only=(_only(one, other, both), _only(other, one, both)),
    )


def _common(one: Answered, other: Answered) -> list[str]:
    """Photographs that both answered, of species that both know."""
    both = sorted(one.rows.keys() & other.rows.keys())
    return [photo for photo in both if one.rows[photo]["known"] and other.rows[photo]["known"]]


def _overall(mine: Marks, theirs: Marks, found: Changes, *, case: Case = "neither") -> list[Measure]:
    changed: dict[Kind, Change] = {
        "top1": found.top1, "macro_top1": found.macro_top1, "depth": found.depth, "promise": found.promise,
    }  # fmt: skip
    return [Measure(kind=kind, case=case, mine=mine, theirs=theirs, change=change) for kind, change in changed.items()]


def _told(one: Answered, other: Answered, *, least: int) -> list[Measure]:
    """Both versions told where, or where and when, the photographs were taken, where one of them knows places.

    Args:
        one: The version that is judged.
        other: What it is compared with.
        least: Photographs without which nothing is judged.
    """
    measures = []
    for case in PLACED_CASES:
        photos = one.placed.get(case, {}).keys() | other.placed.get(case, {}).keys()
        mine, theirs = one.told(case, photos), other.told(case, photos)
        common = _common(mine, theirs)
        if len(common) >= least:
            first, second = mine.marks(common, {}), theirs.marks(common, {})
            measures += _overall(first, second, changes(first, second, seed=SEED), case=case)
    return measures


def _earlier_names(one: Answered, other: Answered, photos: Sequence[str]) -> list[Measure]:
    """Top-1 by what the photographs were called when the other version was asked, where some are called otherwise now.

    By present names alone, a challenger that learnt names which were shuffled would be judged by these very names.
    """
    names = [other.rows[photo]["named_key"] for photo in photos]
    if all(other.rows[photo]["species_key"] == name for name, photo in zip(names, photos, strict=True)):
        return []
    mine, theirs = one.marks_by(names, photos), other.marks_by(names, photos)
    return [Measure(kind="earlier_names", mine=mine, theirs=theirs, change=changes(mine, theirs, seed=SEED).top1)]


def group_names(settings: Settings) -> dict[str, str]:
    """Key of a species -> name of its group; taxa of one name are told apart by their number in the tree.

    Raises:
        TableError: `taxonomy.parquet` is missing.
    """
    found = query_rows(
        "exam_groups", inputs={"taxonomy": settings.paths.table("taxonomy")}, rank=settings.gate.group_rank
    )
    nodes: dict[str, set[int]] = {}
    for row in found:
        nodes.setdefault(row["group_name"], set()).add(row["node_id"])
    return {
        row["species_key"]: row["group_name"]
        if len(nodes[row["group_name"]]) == 1
        else f"{row['group_name']} ({row['node_id']})"
        for row in found
    }


def _alone(
    settings: Settings, one: Answered, champion: VersionAnswers | None, *, groups: Mapping[str, str],
    facts: Mapping[str, Any], notes: Sequence[str],
) -> Decision:  # fmt: skip
    """The decision where no champion can be served: only least values are asked for."""
    first = (
        f"version {one.number} is the first champion"
        if champion is None
        else f"version {champion.number} is the champion, and its files are gone: it cannot be served any more"
    )
    known = sorted(photo for photo, row in one.rows.items() if row["known"])
    marks = one.marks(known, groups)
    kinds: tuple[Kind, ...] = ("top1", "macro_top1", "depth", "promise")
    measures = [Measure(kind=kind, mine=marks) for kind in kinds]
    for case, placed in one.placed.items():
        told = one.told(case, [photo for photo in placed if placed[photo]["known"]])
        if len(told.rows) >= settings.gate.group_photos:
            marks = told.marks(sorted(told.rows), groups)
            measures += [Measure(kind=kind, case=case, mine=marks) for kind in kinds]
    own = tuple(_verdict(settings, each, other=None) for each in measures)
    reasons = sorted([(True, first), *((each.passed, each.sentence) for each in own)], key=lambda pair: pair[0])
    return Decision(
        **facts, passed=all(each.passed for each in own), reasons=tuple(sentence for _, sentence in reasons), own=own,
        notes=tuple(notes),
    )  # fmt: skip


def _verdict(settings: Settings, measure: Measure, *, other: str | None) -> Verdict:
    kind, mine, theirs, change = measure.kind, measure.mine, measure.theirs, measure.change
    wanted: MetricThreshold = getattr(settings.gate, "top1" if kind == "earlier_names" else kind)
    value = _value(kind, mine)
    numbers: dict[str, Any] = {
        "metric": kind,
        "title": measure.title,
        "case": measure.case,
        "challenger": measured(value),
        "other": None if theirs is None else measured(_value(kind, theirs)),
        "change": measured(change.value),
        "low": measured(change.low),
        "high": measured(change.high),
        "photos": len(mine.top1),
        "observations": len(set(mine.observations)),
        "threshold": wanted.threshold,
        "min_absolute_change": wanted.min_absolute_change,
        "passed": _passes(kind, value, change, wanted=wanted, alone=theirs is None),
    }
    return Verdict(**numbers, sentence=judged(numbers, other=other, target=settings.specificity.target))


def _passes(kind: Kind, value: float, change: Change, *, wanted: MetricThreshold, alone: bool) -> bool:
    """Whether a metric reaches what is wanted of it; a missing one never does, but for what nothing is wanted of."""
    if alone and wanted.threshold is None:
        return True
    if not math.isfinite(value) or (not alone and not math.isfinite(change.value)):
        return False
    if wanted.threshold is not None and value < wanted.threshold - _ROUNDING:
        return False
    if alone or wanted.min_absolute_change is None or change.value >= wanted.min_absolute_change - _ROUNDING:
        return True
    return kind == "group" and change.high >= 0


def _value(kind: Kind, marks: Marks) -> float:
    if not len(marks.top1):
        return math.nan
    if kind == "macro_top1":
        return macro(marks.top1, marks.species)
    column = {
        "top1": marks.top1,
        "earlier_names": marks.top1,
        "group": marks.top1,
        "depth": marks.depth,
        "promise": marks.right,
    }[kind]
    return float(column.mean())


def _part(marks: Marks, rows: np.ndarray[Any, Any]) -> Marks:
    return Marks(**{name: getattr(marks, name)[rows] for name in Marks.__dataclass_fields__})


def _only(one: Answered, other: Answered, photos: Sequence[str]) -> OnlyOne:
    """What one version answers about species that the other does not know."""
    rows = [one.rows[photo] for photo in photos if one.rows[photo]["known"] and not other.rows[photo]["known"]]
    return OnlyOne(
        version=one.number,
        species=len({row["species_key"] for row in rows}),
        photos=len(rows),
        top1=sum(row["top1_right"] for row in rows) / len(rows) if rows else None,
        promise=sum(row["answer_right"] for row in rows) / len(rows) if rows else None,
    )


def _notes(
    challenger: VersionAnswers, champion: VersionAnswers | None, best: VersionAnswers | None, *, target: float
) -> list[str]:
    """What is worth knowing of the versions."""
    notes = []
    for version in (challenger, champion, best):
        if version is None:
            continue
        if version.problem is not None and version is not challenger:
            notes.append(f"version {version.number} could not be asked: {version.problem}")
        if version.target is not None and version.target != target:
            notes.append(f"version {version.number} answers for {version.target:.0%}: it cannot reach {target:.0%}")
        if version.unreadable:
            notes.append(f"version {version.number} could not read {version.unreadable:,} of the photographs")
    return notes


def _rows(path: Path | None, *more: str) -> list[Row]:
    if path is None:
        return []
    columns = [
        "photo_id", "observation_id", "species_key", "named_key", "known", "top1_right", "top_key", "top_name",
        "answer_right", "depth", *more,
    ]  # fmt: skip
    found: list[Row] = pq.read_table(path, columns=columns).to_pylist()
    return found
