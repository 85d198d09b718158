"""What a calibration leaves: the files of its folder, and its tables as Markdown for people.

The tables go to MLflow, the UI, the model card and the command line; the pictures are drawn in
`ml.specificity.calibration_figures`.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from ml.files import replacing
from ml.spec import GroupPoint, OperatingPoint, SpecificityOptions, WatchedTaxon
from ml.specificity.calibration import Outcome
from ml.specificity.joint_thresholds import JointThresholds
from ml.specificity.novelty import NoveltyQuality
from ml.specificity.photo_sets import Basis
from ml.specificity.rules import describe_rule, parameter_name
from ml.taxonomy import Taxonomy

CURVE_FILE = "operating_curve.parquet"
THRESHOLDS_FILE = "thresholds.parquet"
BY_TARGET_FILE = "by_target.parquet"
REPORT_FILE = "operating_points.md"
HASH_KEY = "naturewatch.spec_hash"
"""Metadata of the curve's file: which specification it was computed for."""


BASES: Final[Mapping[Basis, str]] = {
    "observation": "those of a set of one observation",
    "species": "those of a set of one species but of different individuals. Photographs of one organism are more "
    "alike: of them fewer answers are right, and nothing is promised",
}
"""What sets of photographs stand for, for people."""


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

    with replacing(folder / REPORT_FILE) as partial:
        partial.write_text(report(outcome, taxonomy), encoding="utf-8")
    return Files(
        thresholds=outcome.table.write(folder / THRESHOLDS_FILE, keys=dict(enumerate(taxonomy.taxon_key))),
        by_target=write_by_target(outcome, folder / BY_TARGET_FILE),
        report=folder / REPORT_FILE,
        figures=draw_figures(outcome, taxonomy=taxonomy, folder=folder),
        curve=outcome.calibration_curve.write(folder / CURVE_FILE, facts={HASH_KEY: spec_hash}),
    )


def write_by_target(outcome: Outcome, path: Path) -> Path:
    """Write what each tabulated target is worth on the photographs that judge, and return `path`."""
    columns = {"target", "reachable", "accuracy", "accuracy_low", "accuracy_high", "depth", "abstention"}
    with replacing(path) as partial:
        rows = [point.model_dump(include=columns) for point in outcome.by_target]
        pq.write_table(pa.Table.from_pylist(rows), partial, compression="zstd")
    return path


def report(outcome: Outcome, taxonomy: Taxonomy) -> str:
    """`operating_points.md`: what every table shows, and the table."""
    options, table, judged = outcome.options, outcome.table, outcome.judged
    rule = describe_rule(table.rule, table.reward, judged.threshold, taxonomy)
    chosen = f"The thresholds were chosen on {counted(outcome.choosers, 'photograph')} of the validation side"
    if outcome.held_out:
        told = f"{chosen}, and judged on the {judged.photos:,} others: all numbers are of these."
    else:
        told = f"{chosen}, and judged on the same ones: expect a little less of others."
    parts = [
        f"At a target of {plain_percent(options.target)} the answer is {rule}. {told}\n",
        tables(outcome, taxonomy),
    ]
    if outcome.watch_unknown:
        parts.append(
            f"Watched, but not in the dataset: {', '.join(outcome.watch_unknown)}. The network cannot see them.\n"
        )
    return "\n".join(parts)


def tables(outcome: Outcome, taxonomy: Taxonomy) -> str:
    """All tables that have rows, each followed by what its columns mean and what is promised."""
    options, table = outcome.options, outcome.table
    parts = [points_table(outcome.points), points_note(outcome, taxonomy)]
    if table.rule != "threshold":
        parts.insert(0, f"Thresholds are {parameter_name(table.rule, table.reward, taxonomy)}.\n")
    if outcome.groups:
        parts += [groups_table(outcome.groups), groups_note(options)]
    if outcome.watch:
        parts += [watch_table(outcome.watch), watch_note(options.watch_recall)]
    return "\n".join(parts)


def points_table(points: Sequence[OperatingPoint]) -> str:
    """A row per target accuracy; the last column, what is promised, only where a row has something to say there."""
    rows = [
        [
            plain_percent(point.target),
            f"{point.threshold:.4f}",
            interval(point.accuracy, point.accuracy_low, point.accuracy_high),
            f"{point.depth:.2f}",
            percent(point.abstention),
            "out of reach" if not point.reachable else "guaranteed" if point.guaranteed else "",
        ]
        for point in points
    ]
    heads = ["target:", "threshold:", "right (95 % interval):", "mean depth:", "no answer:", "promise"]
    width = len(heads) if any(row[-1] for row in rows) else len(heads) - 1
    return markdown_table(heads[:width], [row[:width] for row in rows])


def points_note(outcome: Outcome, taxonomy: Taxonomy) -> str:
    """What the columns of `points_table` mean."""
    ranks = [taxonomy.rank[taxonomy.levels[depth][0]] for depth in range(1, taxonomy.max_depth + 1)]
    deepest = f" to {ranks[-1]} {len(ranks)}" if len(ranks) > 1 else ""
    words = [
        "*Target*: the share of answers that should be right.",
        "*Right*: the share that was.",
        f"*Mean depth*: how precise the answers are, from {ranks[0]} 1{deepest}; no answer counts as 0.",
        "*No answer*: the share of photographs for which not even the highest rank was sure enough.",
    ]
    if any(point.guaranteed for point in outcome.points):
        delta = plain_percent(outcome.options.delta or 0)
        words.append(f"*Guaranteed*: the true share is below the target with a probability of at most {delta}.")
    if not all(point.reachable for point in outcome.points):
        words.append("*Out of reach*: no threshold meets the target, or can promise it, on the photographs that chose.")
    return " ".join(words) + "\n"


def groups_table(groups: Sequence[GroupPoint]) -> str:
    """A row per group: photographs that are taken for one taxon."""
    rows = []
    for group in groups:
        judged = ["", ""]
        if group.accuracy is not None and group.accuracy_low is not None and group.accuracy_high is not None:
            judged = [interval(group.accuracy, group.accuracy_low, group.accuracy_high), f"{group.depth:.2f}"]
        chosen = [group.taxon, f"{group.calibration_photos:,}", f"{group.threshold:.4f}"]
        rows.append([*chosen, f"{group.evaluation_photos:,}", *judged])
    heads = ["taken for", "chosen on:", "threshold:", "judged on:", "right (95 % interval):", "mean depth:"]
    return markdown_table(heads, rows)


def groups_note(options: SpecificityOptions) -> str:
    """What the columns of `groups_table` mean, and what is promised."""
    rank, target = options.groups, plain_percent(options.target)
    words = [
        f"One threshold for each {rank} that a photograph is taken for, so that {target} holds in each.",
        "*Chosen on*, *judged on*: numbers of photographs.",
        f"*Others*: every {rank} with fewer than {counted(options.group_photos, 'photograph')} to choose on.",
    ]
    if options.delta is not None:
        words.append(f"All of them hold together, except with a probability of at most {plain_percent(options.delta)}.")
    return " ".join(words) + "\n"


def watch_table(watch: Sequence[WatchedTaxon]) -> str:
    """A row per watched taxon: how many of its photographs raise the alarm, and how many others do."""
    rows = []
    for taxon in watch:
        own = counted(taxon.calibration_photos, "photograph")
        basis = f"{own} of its own" if taxon.basis == "taxon" else "all taxa of its rank"
        found = "" if taxon.recall is None else f"{percent(taxon.recall)} of {taxon.evaluation_photos:,}"
        rows.append([taxon.taxon, f"{100 * taxon.threshold:.2g} %", basis, found, percent(taxon.false_alarms)])
    return markdown_table(["watched taxon", "alarm from:", "chosen on", "found:", "false alarms:"], rows)


def watch_note(recall: float) -> str:
    """What the columns of `watch_table` mean, and what is promised."""
    return (
        "*Alarm from*: the probability of the taxon at which its alarm is raised, whatever the answer is. "
        f"Chosen on photographs of its own, it promises that {plain_percent(recall)} of the taxon's observations raise "
        "it; borrowed from all taxa of its rank, it is a fair guess and no promise. *Found*: the share of its "
        "photographs on the judging side that raise it. *False alarms*: the share of all other photographs that do.\n"
    )


def novelty_table(quality: NoveltyQuality) -> str:
    """A row per level at which an alarm may be raised: how many known species raise it, and how many unknown ones."""
    rows = []
    for alarm in quality.alarms:
        false = interval(alarm.false_alarms, alarm.low, alarm.high)
        rows.append([plain_percent(alarm.level), false, "" if alarm.found is None else percent(alarm.found)])
    heads = ["novelty alarm at:", "false alarms (95 % interval):", "unknown genera found:"]
    told = (
        "A photograph raises the *novelty alarm* where at most this share of the photographs of known species look as "
        f"unlike them as it does. *False alarms*: the share of {quality.evaluation_photos:,} photographs of known "
        "species that raise it. *Unknown genera found*: the share of the same photographs that raise it when their "
        "genus is taken away, so that it plays the unknown.\n"
    )
    if quality.auroc is not None:
        told = told.removesuffix("\n") + (
            f" A photograph of such a genus looks less like the known ones than one of a known genus in "
            f"{percent(quality.auroc)} of all pairs (AUROC {quality.auroc:.3f}; 0.5 is chance).\n"
        )
    return markdown_table(heads, rows) + "\n" + told


def joint_table(joint: JointThresholds, *, target: float, known: str = "") -> str:
    """A row per size of set: what answers about several photographs of one organism are worth at the target.

    `known` is what is known of the organism beside its photographs.
    """
    rows = []
    for size in joint.sizes:
        point = size.point(target)
        if point is not None:
            more = " and more" if size is joint.sizes[-1] else ""
            right = interval(point.accuracy, point.accuracy_low, point.accuracy_high)
            chosen = [f"{size.photos}{more}", f"{size.chosen_on:,}", f"{point.threshold:.4f}"]
            promise = "out of reach" if not point.reachable else "guaranteed" if point.guaranteed else ""
            rows.append([*chosen, f"{point.photos:,}", right, f"{point.depth:.2f}", promise])
    heads = ["photographs of one organism", "chosen on:", "threshold:", "judged on:", "right (95 % interval):",
             "mean depth:", "promise"]  # fmt: skip
    width = len(heads) if any(row[-1] for row in rows) else len(heads) - 1
    what = f"one organism {known}" if known else "one organism"
    told = (
        f"Several photographs of {what}, answered as one at {plain_percent(target)}. Their evidence is joined as "
        f"that of photographs with a dependence of {joint.dependence:.2f}: at 0 each says something new, at 1 all say "
        f"the same. *Chosen on*, *judged on*: numbers of sets of so many photographs, {BASES[joint.basis]}.\n"
    )
    return markdown_table(heads[:width], [row[:width] for row in rows]) + "\n" + told


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the columns of heads that end with a colon are aligned to the right, as in Markdown."""
    lines = ["| " + " | ".join(cells) + " |" for cells in ([head.removesuffix(":") for head in heads], *rows)]
    lines.insert(1, "|" + "|".join("---:" if head.endswith(":") else "---" for head in heads) + "|")
    return "\n".join(lines) + "\n"


def interval(value: float, low: float, high: float) -> str:
    """`90.1 % (88.0 to 92.0)`."""
    return f"{100 * value:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def percent(share: float) -> str:
    """`4.2 %`."""
    return f"{100 * share:.1f} %"


def plain_percent(share: float) -> str:
    """With the digits that it has: `90 %`, `97.5 %`."""
    return f"{100 * share:g} %"


def counted(number: int, noun: str) -> str:
    """`1 photograph`, `1,200 photographs`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
