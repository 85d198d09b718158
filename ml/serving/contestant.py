"""A registered version that answers many photographs as `naturewatch identify` would, in batches, without words."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa

from ml.errors import PhotoError
from ml.places.sites import Sites, Where
from ml.serving.answering import Answering, Plan
from ml.serving.classifier import Classifier, Views
from ml.serving.inputs import read_photograph
from ml.serving.question import Question, QuestionError
from ml.serving.versions import Version, files_of
from ml.spec import ExaminedVersion, ExamSpec
from ml.taxonomy import Floats

Row = dict[str, Any]
TOGETHER: Final = 64
"""Photographs that are decoded ahead, while others go through the network."""
SCHEMA: Final = pa.schema(
    [
        ("photo_id", pa.string()), ("path", pa.string()), ("checklist_key", pa.string()), ("species_key", pa.string()),
        ("top_node", pa.int32()), ("top_probability", pa.float64()), ("answer_node", pa.int32()),
        ("answer_probability", pa.float64()),
    ]
)  # fmt: skip
"""Answers as nodes of the version's own tree, and what the photograph was called when the version was asked: both stay
as they are when photographs are identified anew."""
SHOWN: Final = ("photo_id", "path", "checklist_key", "species_key")
"""What a row takes from the exam."""
PLACED: Final = pa.schema(
    [
        *SCHEMA, ("case", pa.string()), ("latitude", pa.float64()), ("longitude", pa.float64()),
        ("uncertainty_m", pa.float64()), ("day", pa.int32()),
    ]
)  # fmt: skip
"""Answers of a version that was told where, or where and when, a photograph was taken; and what it was told."""


def told_of(where: Where | None) -> list[Row]:
    """What can be told of where and when a photograph was taken: the last columns of `PLACED`, for each case."""
    if where is None:
        return []
    facts = {"latitude": where.latitude, "longitude": where.longitude, "uncertainty_m": where.uncertainty_m}
    days = {"place": None} if where.day is None else {"place": None, "place_and_date": where.day}
    return [{"case": case, **facts, "day": day} for case, day in days.items()]


class Reply(NamedTuple):
    """What a version answers about one photograph."""

    alone: Row
    """Told nothing but the photograph; as `SCHEMA` has it."""
    placed: list[Row]
    """As `PLACED` has them, one for each case; empty where no place is known, or the version knows no places."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Contestant:
    """A version that is loaded and has been told what accuracy is asked for."""

    answering: Answering
    plan: Plan
    target: float
    """The accuracy that its thresholds stand for."""
    classifier: Classifier
    taxonomy: bytes
    """Its `taxonomy.parquet`."""

    @classmethod
    def load(cls, version: ExaminedVersion, *, spec: ExamSpec) -> "Contestant":
        """Load a version as `naturewatch identify` does.

        Raises:
            ModelError: its files are missing or damaged, or other code made them; says what to do.
        """
        registered = Version(name=version.name, number=version.number, folder=version.folder)
        with files_of(registered, uri=spec.registry) as artifacts:
            answering = Answering.read(artifacts)
            plan = _plan(answering, target=spec.target)
            return cls(
                answering=answering, plan=plan, target=plan.target or spec.target, classifier=Classifier(artifacts),
                taxonomy=Path(artifacts["taxonomy"]).read_bytes(),
            )  # fmt: skip

    def told(self, photograph: Row) -> list[Row]:
        """What the version is told of where and when a photograph was taken: a dictionary for each case that it knows.

        Args:
            photograph: A row of the exam, with its `where` (`ml.places.sites.Where`) or None.
        """
        return [facts for facts in told_of(photograph["where"]) if facts["case"] in self.answering.cases]

    def answers(self, photographs: Sequence[Row], *, folder: Path) -> Iterator[list[Reply | None]]:
        """Answers batch by batch, in order; None for a photograph that cannot be decoded."""
        workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        batches = [photographs[begin : begin + TOGETHER] for begin in range(0, len(photographs), TOGETHER)]
        with ThreadPoolExecutor(workers) as pool:

            def decode(batch: Sequence[Row]) -> list[Future[Views | None]]:
                return [pool.submit(self._views, folder / row["path"]) for row in batch]

            ahead = [decode(batch) for batch in batches[:1]]
            for number, batch in enumerate(batches):
                ahead += [decode(following) for following in batches[number + 1 : number + 2]]
                yield self._batch(batch, [future.result() for future in ahead.pop(0)])

    def _views(self, path: Path) -> Views | None:
        try:
            return self.classifier.views(read_photograph(path))
        except PhotoError:
            return None

    def _batch(self, batch: Sequence[Row], views: Sequence[Views | None]) -> list[Reply | None]:
        seen = [each for each in views if each is not None]
        if not seen:
            return [None] * len(batch)
        probabilities = self.classifier.look(seen).probabilities
        rows = [row for row, each in zip(batch, views, strict=True) if each is not None]
        alone = self._rows(probabilities, [{name: row[name] for name in SHOWN} for row in rows], None)
        questions = [(number, told) for number, row in enumerate(rows) for told in self.told(row)]
        placed: list[list[Row]] = [[] for _ in rows]
        if questions:
            numbers = [number for number, _ in questions]
            told = [alone[number] | facts for number, facts in questions]
            for number, answer in zip(numbers, self._rows(probabilities[numbers], told, _sites(told)), strict=True):
                placed[number].append(answer)
        replies = map(Reply, alone, placed)
        return [None if each is None else next(replies) for each in views]

    def _rows(self, probabilities: Floats, shown: Sequence[Row], sites: Sites | None) -> list[Row]:
        """`shown`, each with the nodes of the answer about it."""
        chosen = self.answering.choose(probabilities, self.plan, sites)
        best = chosen.allowed.argmax(axis=1)
        found = zip(
            self.answering.taxonomy.leaves[best].tolist(),
            chosen.allowed.max(axis=1).tolist(),
            chosen.nodes.tolist(),
            chosen.probabilities.tolist(),
            strict=True,
        )
        names = SCHEMA.names[len(SHOWN) :]
        return [row | dict(zip(names, answer, strict=True)) for row, answer in zip(shown, found, strict=True)]


def _sites(told: Sequence[Row]) -> Sites:
    names = ("latitude", "longitude", "uncertainty_m", "day")
    return Sites.of([Where(**{name: row[name] for name in names}) for row in told])


def _plan(answering: Answering, *, target: float) -> Plan:
    """The question for an accuracy; where the version cannot reach it, for the one that it was calibrated for."""
    if target == answering.calibration.target:
        return answering.plan(Question())
    try:
        return answering.plan(Question(target=target))
    except QuestionError:
        return answering.plan(Question())
