"""Metrics of the answers for one side of the split, and the taxa that are confused. Pure, on arrays.

A stage's classes may be the taxa of any rank; a lineage says what lies above each. Shapes: N photographs, C classes,
K most probable classes, R ranks from kingdom to the classes' own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ml.evaluation.reliability import binned
from ml.files import replacing
from ml.spec import RANKS, SIZE_METRIC
from ml.taxonomy import Integers

SIZES = ((1, 9), (10, 19), (20, 49), (50, 99), (100, 199), (200, 499), (500, None))
"""Classes by number of training photographs, for accuracy by class size (the paper's Figure 4)."""
SIZE_NAMES = tuple(f"{low}_{f'to_{high}' if high else 'up'}" for low, high in SIZES)
PAIRS = 200
"""So many of the most confused pairs are kept."""

SCHEMA = pa.schema(
    [("side", pa.string()), ("metric", pa.string()), ("group", pa.string()), ("value", pa.float64()),
     ("photos", pa.int64())]
)  # fmt: skip
PAIRS_SCHEMA = pa.schema(
    [("side", pa.string()), ("class_id", pa.int32()), ("name", pa.string()), ("other_class_id", pa.int32()),
     ("other_name", pa.string()), ("rank", pa.string()), ("taken_for_other", pa.int64()),
     ("other_taken_for_it", pa.int64())]
)  # fmt: skip


@dataclass(frozen=True, eq=False, kw_only=True)
class Answers:
    """What a network answered, and what is true."""

    labels: npt.NDArray[np.int64]
    """True class ids. Shape N."""
    top_ids: npt.NDArray[np.int64]
    """The most probable classes, the first is the prediction. Shape N x K."""
    top_probabilities: npt.NDArray[np.float32]
    """Shape N x K, falling."""

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        """The most probable class of each. Shape N."""
        return self.top_ids[:, 0]

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """Whether that is the true one. Shape N."""
        return np.asarray(self.predicted == self.labels)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One number, and of how many photographs."""

    metric: str
    group: str = ""
    """What part of the photographs, or which rank."""
    value: float
    photos: int

    @property
    def name(self) -> str:
        """Metric and group in one word."""
        return f"{self.metric}_{self.group}" if self.group else self.metric


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two classes that are taken for each other."""

    class_id: int
    other_class_id: int
    rank: str
    """The lowest rank that they share; empty where they share none."""
    taken_for_other: int
    """Photographs."""
    other_taken_for_it: int


def measure(answers: Answers, *, lineage: Integers, sizes: npt.NDArray[np.integer]) -> list[Measured]:
    """Every number of one side.

    Args:
        answers: Of N photographs, not 0.
        lineage: Each class's ancestors from the kingdom down to itself, see `Taxonomy.lineages_at`. Shape C x R.
        sizes: Training photographs of each class. Shape C.

    Returns:
        top1, top5 (fewer where there are fewer classes); macro_top1, the mean over the classes that occur; ece, the
        expected calibration error of the prediction's probability; accuracy at each rank, where the prediction's
        ancestor is the true one's; top1_classes_of so many training photographs, where there are such; and `errors`:
        the shares of the wrong predictions that stay within the taxon of the rank above the classes' own, within that
        of the rank above it but not in the former, and beyond both.
    """
    right, photos = answers.right, len(answers.labels)
    in_top = (answers.top_ids == answers.labels[:, None]).any(axis=1)
    seen = np.bincount(answers.labels, minlength=len(lineage))
    hits = np.bincount(answers.labels[right], minlength=len(lineage))
    macro = float((hits[seen > 0] / seen[seen > 0]).mean())
    stated = answers.top_probabilities[:, 0].astype(np.float64)
    return [
        Measured(metric="top1", value=float(right.mean()), photos=photos),
        Measured(metric="top5", value=float(in_top.mean()), photos=photos),
        Measured(metric="macro_top1", value=macro, photos=photos),
        Measured(metric="ece", value=binned(stated, right).error, photos=photos),
        *_by_rank(answers, lineage),
        *_by_size(right, sizes[answers.labels]),
        *_errors(answers, lineage),
    ]


def confused_pairs(answers: Answers, *, lineage: Integers, most: int = PAIRS) -> list[Pair]:
    """The classes that are most often taken for each other, the most frequent first.

    Args:
        answers: Of N photographs.
        lineage: Shape C x R.
        most: So many pairs at most.
    """
    wrong = ~answers.right
    truth, taken = answers.labels[wrong], answers.predicted[wrong]
    low, high = np.minimum(truth, taken), np.maximum(truth, taken)
    pairs, which, counts = np.unique(low * len(lineage) + high, return_inverse=True, return_counts=True)
    forward = np.bincount(which[truth < taken], minlength=len(pairs))
    found = []
    for entry in np.argsort(-counts, kind="stable")[:most]:
        one, other = divmod(int(pairs[entry]), len(lineage))
        shared = int((lineage[one] == lineage[other]).sum())
        found.append(
            Pair(
                class_id=one,
                other_class_id=other,
                rank=RANKS[shared - 1] if shared else "",
                taken_for_other=int(forward[entry]),
                other_taken_for_it=int(counts[entry] - forward[entry]),
            )
        )
    return found


def flat(measured: Sequence[Measured], *, prefix: str = "") -> dict[str, float]:
    """The numbers by name."""
    return {f"{prefix}{one.name}": one.value for one in measured}


def write_metrics(sides: Mapping[str, Sequence[Measured]], path: Path) -> Path:
    """Write `metrics.parquet`: side, metric, group, value, and the photographs that the value is about."""
    rows = [
        {"side": side, "metric": one.metric, "group": one.group, "value": one.value, "photos": one.photos}
        for side, measured in sides.items()
        for one in measured
    ]
    return _write(rows, SCHEMA, path)


def write_pairs(sides: Mapping[str, Sequence[Pair]], path: Path, *, names: Sequence[str]) -> Path:
    """Write `confusions.parquet`: pairs of classes with their names and the photographs taken for the other.

    Args:
        sides: Pairs by side of the split.
        path: The file.
        names: Of the classes.
    """
    rows = [
        {"side": side, **vars(pair), "name": names[pair.class_id], "other_name": names[pair.other_class_id]}
        for side, pairs in sides.items()
        for pair in pairs
    ]
    return _write(rows, PAIRS_SCHEMA, path)


def _by_rank(answers: Answers, lineage: Integers) -> list[Measured]:
    same = lineage[answers.predicted] == lineage[answers.labels]
    return [
        Measured(metric="accuracy", group=rank, value=float(same[:, column].mean()), photos=len(same))
        for column, rank in enumerate(RANKS[: lineage.shape[1]])
    ]


def _by_size(right: npt.NDArray[np.bool_], sizes: npt.NDArray[np.integer]) -> list[Measured]:
    measured = []
    for (low, high), group in zip(SIZES, SIZE_NAMES, strict=True):
        chosen = (sizes >= low) & (sizes <= high) if high else sizes >= low
        if chosen.any():
            value, photos = float(right[chosen].mean()), int(chosen.sum())
            measured.append(Measured(metric=SIZE_METRIC, group=group, value=value, photos=photos))
    return measured


def _errors(answers: Answers, lineage: Integers) -> list[Measured]:
    wrong = ~answers.right
    errors, ranks = int(wrong.sum()), lineage.shape[1]
    if not errors or ranks < 3:
        return []
    same = lineage[answers.predicted[wrong]] == lineage[answers.labels[wrong]]
    near, far = RANKS[ranks - 2], RANKS[ranks - 3]
    in_near, in_far = float(same[:, -2].mean()), float(same[:, -3].mean())
    shares = {f"within_{near}": in_near, f"within_{far}": in_far - in_near, f"beyond_{far}": 1 - in_far}
    return [Measured(metric="errors", group=group, value=value, photos=errors) for group, value in shares.items()]


def _write(rows: Sequence[Mapping[str, object]], schema: pa.Schema, path: Path) -> Path:
    with replacing(path) as partial:
        pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema=schema), partial, compression="zstd")
    return path
