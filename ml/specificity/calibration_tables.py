"""What a calibration found: as Markdown for MLflow, the UI, the model card and the command line, and as a table."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ml.files import replacing
from ml.spec import GroupPoint, OperatingPoint, WatchedTaxon
from ml.specificity.calibration import Outcome
from ml.specificity.thresholds import judge_table
from ml.taxonomy import Taxonomy


def report(
    *,
    points: Sequence[OperatingPoint],
    groups: Sequence[GroupPoint] = (),
    watch: Sequence[WatchedTaxon] = (),
    watch_unknown: Sequence[str] = (),
) -> str:
    """All tables that have rows."""
    parts = [points_table(points)]
    if groups:
        parts.append(groups_table(groups))
    if watch:
        parts.append(watch_table(watch))
    if watch_unknown:
        parts.append(f"Watched, but not in the dataset - the network cannot see them: {', '.join(watch_unknown)}.\n")
    return "\n".join(parts)


def points_table(points: Sequence[OperatingPoint]) -> str:
    """A row per target accuracy."""
    lines = [
        "| target | threshold | accuracy (95 % interval) | mean depth | no answer | |",
        "|---:|---:|---:|---:|---:|---|",
    ]
    for point in points:
        note = "" if point.reachable else "out of reach"
        if point.reachable and point.guaranteed:
            note = "guaranteed"
        lines.append(
            f"| {point.target:.1%} | {point.threshold:.4f} "
            f"| {interval(point.accuracy, point.accuracy_low, point.accuracy_high)} "
            f"| {point.depth:.2f} | {point.abstention:.1%} | {note} |"
        )
    return "\n".join(lines) + "\n"


def groups_table(groups: Sequence[GroupPoint]) -> str:
    """A row per group: photographs that are taken for one taxon."""
    lines = [
        "| taken for | chosen on | threshold | judged on | accuracy (95 % interval) | mean depth |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for group in groups:
        judged = "|  |  |"
        if group.accuracy is not None and group.accuracy_low is not None and group.accuracy_high is not None:
            judged = f"| {interval(group.accuracy, group.accuracy_low, group.accuracy_high)} | {group.depth:.2f} |"
        chosen = f"| {group.taxon} | {group.calibration_photos:,} | {group.threshold:.4f}"
        lines.append(f"{chosen} | {group.evaluation_photos:,} {judged}")
    return "\n".join(lines) + "\n"


def watch_table(watch: Sequence[WatchedTaxon]) -> str:
    """A row per watched taxon: how many of its photographs raise the alarm, and how many others do."""
    lines = [
        "| watched | alarm from | chosen on | found | false alarms |",
        "|---|---:|---|---:|---:|",
    ]
    for taxon in watch:
        basis = f"{taxon.calibration_photos} of its photographs" if taxon.basis == "taxon" else "all taxa of its rank"
        found = "" if taxon.recall is None else f"{taxon.recall:.1%} of {taxon.evaluation_photos}"
        lines.append(f"| {taxon.taxon} | {taxon.threshold:.2g} | {basis} | {found} | {taxon.false_alarms:.1%} |")
    return "\n".join(lines) + "\n"


def write_by_target(outcome: Outcome, taxonomy: Taxonomy, path: Path) -> Path:
    """Write `by_target.parquet`: what the thresholds of every tabulated target do on the photographs that judge."""
    rows = []
    for position, target in enumerate(outcome.table.targets.tolist()):
        judged = judge_table(outcome.table, outcome.evaluation, taxonomy, target=target)
        rows.append(
            {
                "target": target,
                "reachable": bool(outcome.table.reachable[position].all()),
                "accuracy": judged.accuracy,
                "depth": judged.depth,
                "abstention": judged.abstention,
            }
        )
    with replacing(path) as partial:
        pq.write_table(pa.Table.from_pylist(rows), partial, compression="zstd")
    return path


def interval(value: float, low: float, high: float) -> str:
    """`90.1 % (88.0 to 92.0)`."""
    return f"{100 * value:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
