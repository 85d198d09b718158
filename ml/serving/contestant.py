"""A registered version that answers many photographs as `naturewatch identify` would, in batches, without words."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from ml.errors import PhotoError
from ml.serving.answering import Answering, Plan
from ml.serving.classifier import Classifier, Views
from ml.serving.inputs import read_photograph
from ml.serving.question import Question, QuestionError
from ml.serving.versions import Version, files_of
from ml.spec import ExaminedVersion, ExamSpec

Row = dict[str, Any]
TOGETHER: Final = 64
"""Photographs that are decoded ahead, while others go through the network."""
SCHEMA: Final = pa.schema(
    [
        ("photo_id", pa.string()), ("path", pa.string()), ("top_node", pa.int32()), ("top_probability", pa.float64()),
        ("answer_node", pa.int32()), ("answer_probability", pa.float64()),
    ]
)  # fmt: skip
"""Answers as nodes of the version's own tree: they stay as they are when photographs are identified anew."""


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

    def answers(self, photographs: Sequence[Row], *, folder: Path) -> Iterator[list[Row | None]]:
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

    def _batch(self, batch: Sequence[Row], views: Sequence[Views | None]) -> list[Row | None]:
        seen = [each for each in views if each is not None]
        if not seen:
            return [None] * len(batch)
        chosen = self.answering.choose(self.classifier.look(seen).probabilities, self.plan)
        best = chosen.allowed.argmax(axis=1)
        answers = zip(
            self.answering.taxonomy.leaves[best].tolist(),
            chosen.allowed.max(axis=1).tolist(),
            chosen.nodes.tolist(),
            chosen.probabilities.tolist(),
            strict=True,
        )
        names = SCHEMA.names[2:]
        return [
            None
            if each is None
            else {"photo_id": row["photo_id"], "path": row["path"], **dict(zip(names, next(answers), strict=True))}
            for row, each in zip(batch, views, strict=True)
        ]


def _plan(answering: Answering, *, target: float) -> Plan:
    """The question for an accuracy; where the version cannot reach it, for the one that it was calibrated for."""
    if target == answering.calibration.target:
        return answering.plan(Question())
    try:
        return answering.plan(Question(target=target))
    except QuestionError:
        return answering.plan(Question())
