"""What a calibration leaves: the files of its folder, and its tables as Markdown for people.

The tables go to MLflow, the UI, the model card and the command line; the pictures are drawn in
`ml.specificity.calibration_figures`.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from ml.files import replacing
from ml.spec import GroupPoint, OperatingPoint, WatchedTaxon
from ml.specificity.calibration import Outcome
from ml.specificity.novelty import NoveltyQuality
from ml.specificity.rules import describe_rule, parameter_name
from ml.taxonomy import Taxonomy

CURVE_FILE = "operating_curve.parquet"
THRESHOLDS_FILE = "thresholds.parquet"
BY_TARGET_FILE = "by_target.parquet"
REPORT_FILE = "operating_points.md"
HASH_KEY = "naturewatch.spec_hash"
"""Metadata of the curve's file: which specification it was computed for."""


class Files(NamedTuple):
    """What a calibration leaves in its folder."""

    curve: Path
    thresholds: Path
    by_target: Path
    report: Path
    figures: dict[str, Path]


def write_files(outcome: Outcome, *, taxonomy: Taxonomy, folder: Path, spec_hash: str) -> Files:
    """Write thresholds, what each target gives, `operating_points.md`, figures and, last, `operating_curve.parquet`."""
    from ml.specificity.calibration_figures import draw_figures  # noqa: PLC0415 (Matplotlib takes a second)

    text, unknown = tables(outcome, taxonomy), ", ".join(outcome.watch_unknown)
    if unknown:
        text += f"\nWatched, but not in the dataset - the network cannot see them: {unknown}.\n"
    with replacing(folder / REPORT_FILE) as partial:
        partial.write_text(text, encoding="utf-8")
    columns = {"target", "reachable", "accuracy", "depth", "abstention"}
    with replacing(folder / BY_TARGET_FILE) as partial:
        rows = [point.model_dump(include=columns) for point in outcome.by_target]
        pq.write_table(pa.Table.from_pylist(rows), partial, compression="zstd")
    return Files(
        thresholds=outcome.table.write(folder / THRESHOLDS_FILE, keys=dict(enumerate(taxonomy.taxon_key))),
        by_target=folder / BY_TARGET_FILE,
        report=folder / REPORT_FILE,
        figures=draw_figures(outcome, taxonomy=taxonomy, folder=folder),
        curve=outcome.calibration_curve.write(folder / CURVE_FILE, facts={HASH_KEY: spec_hash}),
    )


def tables(outcome: Outcome, taxonomy: Taxonomy) -> str:
    """All tables that have rows; before them, what their thresholds are where they are no probabilities."""
    parts = [points_table(outcome.points)]
    table = outcome.table
    if table.rule != "threshold":
        answer = describe_rule(table.rule, table.reward, outcome.judged.threshold, taxonomy)
        name = parameter_name(table.rule, table.reward, taxonomy)
        parts.insert(0, f"Answered is {answer}. Thresholds are {name}.\n")
    if outcome.groups:
        parts.append(groups_table(outcome.groups))
    if outcome.watch:
        parts.append(watch_table(outcome.watch))
    return "\n".join(parts)


def points_table(points: Sequence[OperatingPoint]) -> str:
    """A row per target accuracy."""
    heads = ["target:", "threshold:", "accuracy (95 % interval):", "mean depth:", "no answer:", ""]
    return markdown_table(
        heads,
        (
            [
                f"{point.target:.1%}",
                f"{point.threshold:.4f}",
                interval(point.accuracy, point.accuracy_low, point.accuracy_high),
                f"{point.depth:.2f}",
                f"{point.abstention:.1%}",
                "out of reach" if not point.reachable else "guaranteed" if point.guaranteed else "",
            ]
            for point in points
        ),
    )


def groups_table(groups: Sequence[GroupPoint]) -> str:
    """A row per group: photographs that are taken for one taxon."""
    rows = []
    for group in groups:
        judged = ["", ""]
        if group.accuracy is not None and group.accuracy_low is not None and group.accuracy_high is not None:
            judged = [interval(group.accuracy, group.accuracy_low, group.accuracy_high), f"{group.depth:.2f}"]
        chosen = [group.taxon, f"{group.calibration_photos:,}", f"{group.threshold:.4f}"]
        rows.append([*chosen, f"{group.evaluation_photos:,}", *judged])
    heads = ["taken for", "chosen on:", "threshold:", "judged on:", "accuracy (95 % interval):", "mean depth:"]
    return markdown_table(heads, rows)


def watch_table(watch: Sequence[WatchedTaxon]) -> str:
    """A row per watched taxon: how many of its photographs raise the alarm, and how many others do."""
    rows = []
    for taxon in watch:
        basis = f"{taxon.calibration_photos} of its photographs" if taxon.basis == "taxon" else "all taxa of its rank"
        found = "" if taxon.recall is None else f"{taxon.recall:.1%} of {taxon.evaluation_photos}"
        rows.append([taxon.taxon, f"{taxon.threshold:.2g}", basis, found, f"{taxon.false_alarms:.1%}"])
    return markdown_table(["watched", "alarm from:", "chosen on", "found:", "false alarms:"], rows)


def novelty_table(quality: NoveltyQuality) -> str:
    """A row per level at which an alarm may be raised: how many known species raise it, and how many unknown ones."""
    rows = []
    for alarm in quality.alarms:
        false = interval(alarm.false_alarms, alarm.low, alarm.high)
        rows.append([f"{alarm.level:.0%}", false, "" if alarm.found is None else f"{alarm.found:.1%}"])
    heads = ["unlike known species, alarm from:", "false alarms (95 % interval):", "genera left out, found:"]
    return markdown_table(heads, rows)


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the columns of heads that end with a colon are aligned to the right, as in Markdown."""
    lines = ["| " + " | ".join(cells) + " |" for cells in ([head.removesuffix(":") for head in heads], *rows)]
    lines.insert(1, "|" + "|".join("---:" if head.endswith(":") else "---" for head in heads) + "|")
    return "\n".join(lines) + "\n"


def interval(value: float, low: float, high: float) -> str:
    """`90.1 % (88.0 to 92.0)`."""
    return f"{100 * value:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
