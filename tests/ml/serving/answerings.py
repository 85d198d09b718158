"""Model versions without a network, for tests of what is made of probabilities."""

from typing import Any

import numpy as np

from ml.serving.answering import Answering, Looks
from ml.serving.question import Question
from ml.spec import CalibrateResult, OperatingPoint, Rule
from ml.specificity.thresholds import ThresholdTable
from ml.taxonomy import Floats, Taxonomy
from tests.ml.specificity_fixtures import BIRDS, rows_of

TREE = Taxonomy.of_rows(rows_of(BIRDS))
KEA, KAKA, GANNET, MULBERRY = range(4)
"""Classes of `TREE`."""


def point(target: float, accuracy: float, *, low: float, high: float, **others: object) -> OperatingPoint:
    facts: dict[str, Any] = {"threshold": 0.5, "reachable": True, "depth": 6.0, "abstention": 0.0, **others}
    return OperatingPoint(target=target, accuracy=accuracy, accuracy_low=low, accuracy_high=high, **facts)


def calibration(**changes: object) -> CalibrateResult:
    """A calibration for 9 in 10, measured as 91 % on 1,200 photographs."""
    facts: dict[str, Any] = {
        "mlflow_run_id": "", "target": 0.9, "threshold": 0.8, "calibration_accuracy": 0.9, "calibration_depth": 6.0,
        "calibration_photos": 1_100, "evaluation_accuracy": 0.91, "evaluation_accuracy_low": 0.88,
        "evaluation_accuracy_high": 0.94, "evaluation_depth": 6.0, "evaluation_photos": 1_200, "abstention_rate": 0.0,
        "curve": "operating_curve.parquet", "thresholds": "thresholds.parquet", "by_target": "by_target.parquet",
        "report": "operating_points.md", "figures": {}, "calibration_error": 0.083,
        "points": [point(0.8, 0.79, low=0.76, high=0.82), point(0.99, 0.97, low=0.95, high=0.98)],
    }  # fmt: skip
    return CalibrateResult.model_validate({**facts, **changes})


def table(
    *, groups: tuple[int, ...] = (0,), depth: int = 0, rule: Rule = "threshold", thresholds: Floats | None = None,
    reachable: bool = True,
) -> ThresholdTable:  # fmt: skip
    """Thresholds for 0.8, 0.9 and 0.99."""
    shape = (3, len(groups))
    return ThresholdTable(
        targets=np.array([0.8, 0.9, 0.99]), groups=np.array(groups, dtype=np.int32), group_depth=depth,
        thresholds=np.full(shape, [[0.6], [0.8], [0.95]]) if thresholds is None else thresholds,
        reachable=np.full(shape, reachable), rule=rule,
    )  # fmt: skip


def version(tree: Taxonomy = TREE, *, thresholds: ThresholdTable | None = None, **others: Any) -> Answering:  # noqa: ANN401
    """A version that answers about `tree`; `others` are fields of `Answering`."""
    return Answering(
        taxonomy=tree, thresholds=thresholds or table(), **{"calibration": calibration(), **others}
    )  # fmt: skip


def looks(rows: Floats) -> Looks:
    return Looks(rows, np.zeros((len(rows), 1), np.float32))


def answers_of(served: Answering, rows: Floats, question: Question | None = None) -> list[dict[str, Any]]:
    """The answers about photographs with these probabilities."""
    return served.answers(looks(rows), served.plan(question or Question()))


def answer_of(served: Answering, row: list[float], question: Question | None = None) -> dict[str, Any]:
    """The answer about one photograph."""
    (answer,) = answers_of(served, np.array([row]), question)
    return answer
