"""The tables of the comparison: one function each, from finished results to rows. Writes and draws nothing."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ml.spec import SIZE_METRIC, NetworkName
from pipeline.comparison.intervals import Estimate, difference, over_photographs, over_seeds
from pipeline.comparison.networks import CONTRASTS, NETWORKS, Trained
from pipeline.errors import TableError

Results = Mapping[NetworkName, Sequence[Trained]]
"""The finished trainings and calibrations of each network, one for each seed."""
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
BY_CLASS_SIZE: Final = pa.schema(
    [("network", pa.string()), ("side", pa.string()), ("size", pa.string()), ("value", pa.float64()),
     ("low", pa.float64()), ("high", pa.float64()), ("interval_over", pa.string()), ("photos", pa.int64())]
)  # fmt: skip


def summary(results: Results) -> list[Row]:
    """Rows of `SUMMARY`: the columns of Table 1 and what helps to read them, with the paper's numbers.

    With several seeds all are means over them. With one, shares of photographs have intervals over photographs.
    """
    return [
        {
            "network": network, "quantity": name, **vars(one), "seeds": len(runs),
            "paper": NETWORKS[network].paper.get(name),
        }
        for network, runs in results.items()
        for name, one in _quantities(runs).items()
    ]  # fmt: skip


def differences(
    results: Results, *, split: Path, seed: int, pairs: Sequence[tuple[NetworkName, NetworkName]] = CONTRASTS
) -> list[Row]:
    """Rows of `DIFFERENCES`, one for each pair, on the validation photographs that both networks answered for.

    Args:
        results: By network, the same seeds in the same order.
        split: `split.parquet`: the observation of each photograph.
        seed: Seed of the bootstrap.
        pairs: Which networks are compared.

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
    rows: list[Row] = []
    for one, other in pairs:
        gap = difference(right[one], right[other], observations=observations, seed=seed)
        rows.append(
            {
                "network": one, "other": other, "difference": gap.value.value, "low": gap.value.low,
                "high": gap.value.high, "low_over_seeds": gap.over_seeds.low, "high_over_seeds": gap.over_seeds.high,
                "gained": gap.gained, "lost": gap.lost, "photos": gap.photos, "seeds": len(right[one]),
            }
        )  # fmt: skip
    return rows


def by_target(results: Results) -> list[Row]:
    """Rows of `BY_TARGET` (Figure 3): the targets that the calibration half reaches with every seed."""
    rows: list[Row] = []
    for network, runs in results.items():
        tables = [{row["target"]: row for row in pq.read_table(run.calibration.by_target).to_pylist()} for run in runs]
        for target in sorted(tables[0]):
            judged = [table[target] for table in tables if target in table]
            if len(judged) < len(runs) or not all(row["reachable"] for row in judged):
                continue
            depth = over_seeds([row["depth"] for row in judged])
            means = {name: float(np.mean([row[name] for row in judged])) for name in ("accuracy", "abstention")}
            rows.append({"network": network, "target": target, "depth": depth.value, **vars(depth), **means})
    return rows


def by_class_size(results: Results) -> list[Row]:
    """Rows of `BY_CLASS_SIZE` (Figure 4): accuracy by the number of training photographs of a class, on both sides."""
    rows: list[Row] = []
    for network, runs in results.items():
        tables = [_by_size(run.training.metrics_table) for run in runs]
        for side, size in tables[0]:
            shares, photos = [table[side, size][0] for table in tables], tables[0][side, size][1]
            rows.append(
                {
                    "network": network,
                    "side": side,
                    "size": size,
                    **vars(_share(shares, photos=photos)),
                    "photos": photos,
                }
            )
    return rows


def _quantities(runs: Sequence[Trained]) -> dict[str, Estimate]:
    metrics, calibrations = [run.training.metrics for run in runs], [run.calibration for run in runs]
    depths = [one.evaluation_depth for one in calibrations]
    accuracy = over_seeds([one.evaluation_accuracy for one in calibrations], share=True)
    if len(runs) == 1:
        low, high = calibrations[0].evaluation_accuracy_low, calibrations[0].evaluation_accuracy_high
        accuracy = Estimate(value=accuracy.value, low=low, high=high, interval_over="photographs")

    def of_photos(name: str, photos: str) -> Estimate:
        return _share([one[name] for one in metrics], photos=round(metrics[0][photos]))

    return {
        "top1": of_photos("top1", "validation_photos"),
        "train_top1": of_photos("train_top1", "train_photos"),
        "gap": over_seeds([one["train_top1"] - one["top1"] for one in metrics]),
        "top5": of_photos("top5", "validation_photos"),
        "macro_top1": over_seeds([one["macro_top1"] for one in metrics], share=True),
        "ece": over_seeds([one["ece"] for one in metrics]),
        "specificity_accuracy": accuracy,
        "specificity_depth": over_seeds(depths),
        "specificity_depth_incl_root": over_seeds([depth + 1 for depth in depths]),
        "abstention": over_seeds([one.abstention_rate for one in calibrations], share=True),
    }


def _share(shares: Sequence[float], *, photos: int) -> Estimate:
    """A share of photographs: over the seeds where there are several, else over the photographs."""
    return over_seeds(shares, share=True) if len(shares) > 1 else over_photographs(shares[0], photos=photos)


def _answered(predictions: Path) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.float64]]:
    """Photographs of one validation, and whether each was recognised."""
    table = pq.read_table(predictions, columns=["photo_id", "class_id", "predicted_class_id"])
    right = table["class_id"].to_numpy() == table["predicted_class_id"].to_numpy()
    return np.array(table["photo_id"].to_pylist(), dtype=object), right.astype(np.float64)


def _by_size(metrics: Path) -> dict[tuple[str, str], tuple[float, int]]:
    """Accuracy and photographs by side and class size."""
    rows = pq.read_table(metrics, filters=[("metric", "=", SIZE_METRIC)]).to_pylist()
    return {(row["side"], row["group"]): (row["value"], row["photos"]) for row in rows}
