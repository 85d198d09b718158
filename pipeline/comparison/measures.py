"""The tables of the comparison: one function each, from finished results to rows. Writes and draws nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ml.spec import SIZE_METRIC, NetworkName
from pipeline.comparison.intervals import Difference, Estimate, difference, over_photographs, over_seeds
from pipeline.comparison.networks import CONTRASTS, NETWORKS, Trained
from pipeline.errors import TableError

Row = dict[str, Any]

SUMMARY: Final = pa.schema(
    [("network", pa.string()), ("quantity", pa.string()), ("value", pa.float64()), ("low", pa.float64()),
     ("high", pa.float64()), ("interval_over", pa.string()), ("seeds", pa.int32()), ("paper", pa.float64())]
)  # fmt: skip
DIFFERENCES: Final = pa.schema(
    [("network", pa.string()), ("other", pa.string()), ("difference", pa.float64()), ("low", pa.float64()),
     ("high", pa.float64()), ("low_over_seeds", pa.float64()), ("high_over_seeds", pa.float64()),
     ("gained", pa.float64()), ("lost", pa.float64()), ("photos", pa.int64()), ("seeds", pa.int32())]
)  # fmt: skip
BY_TARGET: Final = pa.schema(
    [("network", pa.string()), ("target", pa.float64()), ("depth", pa.float64()), ("low", pa.float64()),
     ("high", pa.float64()), ("accuracy", pa.float64()), ("abstention", pa.float64())]
)  # fmt: skip
BY_SIZE: Final = pa.schema(
    [("network", pa.string()), ("side", pa.string()), ("size", pa.string()), ("value", pa.float64()),
     ("low", pa.float64()), ("high", pa.float64()), ("interval_over", pa.string()), ("photos", pa.int64())]
)  # fmt: skip


def quantities(runs: Sequence[Trained]) -> dict[str, Estimate]:
    """The columns of Table 1 and what helps to read them, of one network.

    With several seeds all are means over them. With one, shares of photographs have intervals over photographs.
    """
    metrics = [run.training.metrics for run in runs]
    several = len(runs) > 1

    def share(name: str, photos: str) -> Estimate:
        values = [one[name] for one in metrics]
        return (
            over_seeds(values, share=True) if several else over_photographs(values[0], photos=round(metrics[0][photos]))
        )

    judged = runs[0].calibration
    accuracy = over_seeds([run.calibration.evaluation_accuracy for run in runs], share=True)
    if not several:
        accuracy = Estimate(
            value=judged.evaluation_accuracy,
            low=judged.evaluation_accuracy_low,
            high=judged.evaluation_accuracy_high,
            over="photographs",
        )
    depths = [run.calibration.evaluation_depth for run in runs]
    return {
        "top1": share("top1", "validation_photos"),
        "train_top1": share("train_top1", "train_photos"),
        "gap": over_seeds([one["train_top1"] - one["top1"] for one in metrics]),
        "top5": share("top5", "validation_photos"),
        "macro_top1": over_seeds([one["macro_top1"] for one in metrics], share=True),
        "ece": over_seeds([one["ece"] for one in metrics]),
        "specificity_accuracy": accuracy,
        "specificity_depth": over_seeds(depths),
        "specificity_depth_incl_root": over_seeds([depth + 1 for depth in depths]),
        "abstention": over_seeds([run.calibration.abstention_rate for run in runs], share=True),
    }


def summary_rows(found: dict[NetworkName, dict[str, Estimate]], *, seeds: int) -> list[Row]:
    """Rows of `SUMMARY`: a quantity of a network with its interval and the paper's number."""
    return [
        {
            "network": network, "quantity": name, "value": one.value, "low": one.low, "high": one.high,
            "interval_over": one.over, "seeds": seeds, "paper": NETWORKS[network].paper.get(name),
        }
        for network, estimates in found.items()
        for name, one in estimates.items()
    ]  # fmt: skip


def differences(
    results: dict[NetworkName, list[Trained]], *, split: Path, seed: int
) -> dict[tuple[NetworkName, NetworkName], Difference]:
    """The contrasts, each on the validation photographs that both networks answered for.

    Args:
        results: By network, the same seeds in the same order.
        split: `split.parquet`: the observation of each photograph.
        seed: Seed of the bootstrap.

    Raises:
        TableError: two trainings answered for different photographs.
    """
    answered = {network: [_answered(run.training.predictions) for run in runs] for network, runs in results.items()}
    photo_ids = next(iter(answered.values()))[0][0]
    for network, runs in answered.items():
        if any(not np.array_equal(photo_ids, ids) for ids, _ in runs):
            raise TableError(f"{network} was validated on other photographs than the first network; train it again")
    right = {network: np.stack([correct for _, correct in runs]) for network, runs in answered.items()}
    table = pq.read_table(split, columns=["photo_id", "observation_id"])
    known = dict(zip(table["photo_id"].to_pylist(), table["observation_id"].to_pylist(), strict=True))
    observations = [known[photo_id] for photo_id in photo_ids.tolist()]
    return {
        (one, other): difference(right[one], right[other], observations=observations, seed=seed)
        for one, other in CONTRASTS
    }


def difference_rows(found: dict[tuple[NetworkName, NetworkName], Difference], *, seeds: int) -> list[Row]:
    """Rows of `DIFFERENCES`."""
    return [
        {
            "network": one, "other": other, "difference": gap.value.value, "low": gap.value.low,
            "high": gap.value.high, "low_over_seeds": gap.over_seeds.low, "high_over_seeds": gap.over_seeds.high,
            "gained": gap.gained, "lost": gap.lost, "photos": gap.photos, "seeds": seeds,
        }
        for (one, other), gap in found.items()
    ]  # fmt: skip


def target_rows(results: dict[NetworkName, list[Trained]]) -> list[Row]:
    """Rows of `BY_TARGET` (Figure 3): targets that the photographs which chose reach with every seed."""
    rows: list[Row] = []
    for network, runs in results.items():
        tables = [{row["target"]: row for row in pq.read_table(run.calibration.by_target).to_pylist()} for run in runs]
        for target in sorted(tables[0]):
            judged = [table[target] for table in tables if target in table]
            if len(judged) < len(runs) or not all(row["reachable"] for row in judged):
                continue
            depth = over_seeds([row["depth"] for row in judged])
            rows.append(
                {
                    "network": network, "target": target, "depth": depth.value, "low": depth.low, "high": depth.high,
                    "accuracy": float(np.mean([row["accuracy"] for row in judged])),
                    "abstention": float(np.mean([row["abstention"] for row in judged])),
                }
            )  # fmt: skip
    return rows


def size_rows(results: dict[NetworkName, list[Trained]]) -> list[Row]:
    """Rows of `BY_SIZE` (Figure 4): accuracy by the number of training photographs of a class, on both sides."""
    rows: list[Row] = []
    for network, runs in results.items():
        tables = [_by_size(run.training.metrics_table) for run in runs]
        for side, size in tables[0]:
            measured = [table[side, size] for table in tables]
            value, photos = over_seeds([share for share, _ in measured], share=True), measured[0][1]
            if len(runs) == 1:
                value = over_photographs(value.value, photos=photos)
            rows.append(
                {
                    "network": network, "side": side, "size": size, "value": value.value, "low": value.low,
                    "high": value.high, "interval_over": value.over, "photos": photos,
                }
            )  # fmt: skip
    return rows


def _answered(predictions: Path) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.float64]]:
    """Photographs of one validation, and whether each was recognised."""
    table = pq.read_table(predictions, columns=["photo_id", "class_id", "predicted_class_id"])
    right = table["class_id"].to_numpy() == table["predicted_class_id"].to_numpy()
    return np.array(table["photo_id"].to_pylist(), dtype=object), right.astype(np.float64)


def _by_size(metrics: Path) -> dict[tuple[str, str], tuple[float, int]]:
    """Accuracy and photographs by side and class size."""
    rows = pq.read_table(metrics, filters=[("metric", "=", SIZE_METRIC)]).to_pylist()
    return {(row["side"], row["group"]): (row["value"], row["photos"]) for row in rows}
