"""`reports/comparison.md` with its tables and pictures: gathers the results and writes the files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.comparison import measures
from pipeline.comparison.comparison_figures import depth_against_target, networks_by_class_size
from pipeline.comparison.networks import NETWORKS, results_of
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.files import atomic_path, digest_of, write_bytes
from pipeline.launching.specs import calibrate_hash
from pipeline.pages.figures import draw_once

Row = dict[str, Any]

PERCENTAGES = ("top1", "train_top1", "gap", "top5", "macro_top1", "specificity_accuracy")
HEADS = ("validation top-1", "training top-1", "gap", "top-5", "mean over species", "accuracy at target", "depth",
         "depth, root as 1")  # fmt: skip

DIFFERENCE_NOTE = (
    "In brackets: 95 % intervals over the photographs (bootstrap of whole observations; means over the seeds), and, "
    "where there are several seeds, over these (Student's t of the paired differences). Gained and lost are the "
    "photographs that only the one, or only the other, gets right."
)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The files of one comparison, and its numbers for an experiment tracker."""

    page: Path
    """`reports/comparison.md`."""
    pictures: dict[str, Path]
    """PNG files by title."""
    tables: tuple[Path, ...]
    """Parquet files."""
    metrics: dict[str, float]
    """`<quantity>/<network>`."""
    version: str
    """Content version: what was compared."""


def build_comparison(settings: Settings, manifest: DatasetManifest) -> Comparison:
    """Compare all networks of this dataset version; every seed has been trained and calibrated.

    Raises:
        TableError: two trainings answered for different photographs.
    """
    results = results_of(settings, manifest)
    summary, by_target = measures.summary(results), measures.by_target(results)
    by_class_size = measures.by_class_size(results)
    differences = measures.differences(results, split=settings.paths.table("split"), seed=settings.split.seed)
    folder = settings.paths.reports / "comparison"
    pictures = {
        "Depth at each target accuracy": draw_once(
            folder / "depth_against_target.png", depth_against_target, by_target, settings.specificity.target
        ),
        "Accuracy of the networks by class size": draw_once(
            folder / "networks_by_class_size.png", networks_by_class_size, by_class_size
        ),
    }
    tables = (
        _write(summary, measures.SUMMARY, folder / "summary.parquet"),
        _write(differences, measures.DIFFERENCES, folder / "differences.parquet"),
        _write(by_target, measures.BY_TARGET, folder / "by_target.parquet"),
        _write(by_class_size, measures.BY_CLASS_SIZE, folder / "by_class_size.parquet"),
    )
    text = _page(settings, manifest, summary=summary, differences=differences, pictures=pictures)
    return Comparison(
        page=write_bytes(settings.paths.reports / "comparison.md", text.encode()),
        pictures=pictures,
        tables=tables,
        metrics={f"{row['quantity']}/{row['network']}": row["value"] for row in summary},
        version=digest_of(
            [
                calibrate_hash(settings, manifest, network=network, seed=run.seed)
                for network, runs in results.items()
                for run in runs
            ]
        ),
    )


def _page(
    settings: Settings,
    manifest: DatasetManifest,
    *,
    summary: Sequence[Row],
    differences: Sequence[Row],
    pictures: Mapping[str, Path],
) -> str:
    counts, training = manifest.counts, settings.training
    seeds = ", ".join(str(seed) for seed in training.seeds)
    introduction = (
        f"Dataset `{manifest.dataset_version}`: {counts['species']:,} species, {counts['train']:,} training and "
        f"{counts['validation']:,} validation photographs. Backbone `{training.backbone}`, recipe `{training.recipe}`, "
        f"{training.image_size} pixels, seeds {seeds}. The target accuracy of specificity control is "
        f"{settings.specificity.target:.0%}; its accuracy and depth are those of the half of the validation side that "
        "did not choose the threshold. Depth counts the root as 0 and species as 7, as the paper's text does; its "
        "table counts the root as 1."
    )
    parts = [
        introduction,
        table_one(summary),
        f"In brackets: 95 % intervals {_meaning(training.repeats)}. The paper's rows are of another dataset.",
        "What a change brings, as points of validation top-1 on the same photographs:",
        contrasts(differences),
        DIFFERENCE_NOTE,
        *(f"![{title}](comparison/{path.name})" for title, path in pictures.items()),
    ]
    return "\n\n".join(parts) + "\n"


def table_one(summary: Sequence[Row]) -> str:
    """The paper's Table 1 for this dataset, then the paper's own rows."""
    found = {(row["network"], row["quantity"]): row for row in summary}
    lines = [f"| network | {' | '.join(HEADS)} |", "|---|" + "---:|" * len(HEADS)]
    for name, network in NETWORKS.items():
        cells = [_percent(found[name, quantity]) for quantity in PERCENTAGES]
        depth = _number(found[name, "specificity_depth"])
        incl_root = f"{found[name, 'specificity_depth_incl_root']['value']:.2f}"
        lines.append(f"| {' | '.join([network.title, *cells, depth, incl_root])} |")
    for network in NETWORKS.values():
        if paper := network.paper:
            cells = [f"{paper[name]:.1%}" if name in paper else "" for name in PERCENTAGES]
            depths = [f"{paper['specificity_depth']:.2f}", f"{paper['specificity_depth_incl_root']:.2f}"]
            lines.append(f"| {' | '.join([f'the paper: {network.title}', *cells, *depths])} |")
    return "\n".join(lines)


def contrasts(differences: Sequence[Row]) -> str:
    """A row per pair of networks: the difference, and the photographs that only one of them gets right."""
    lines = ["| | instead of | difference | over seeds | gained | lost |", "|---|---|---:|---:|---:|---:|"]
    for row in differences:
        points = f"{100 * row['difference']:+.1f} {_span(row['low'], row['high'])}"
        cells = [NETWORKS[row["network"]].title, NETWORKS[row["other"]].title, points]
        cells += [_span(row["low_over_seeds"], row["high_over_seeds"]), f"{row['gained']:.1%}", f"{row['lost']:.1%}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _meaning(repeats: int) -> str:
    if repeats > 1:
        return f"over {repeats} seeds (Student's t)"
    return "over the photographs (Clopper-Pearson), as there is one seed; how far seeds differ is not in them"


def _percent(row: Row) -> str:
    interval = "" if row["low"] is None else f" ({100 * row['low']:.1f} to {100 * row['high']:.1f})"
    return f"{row['value']:.1%}{interval}"


def _number(row: Row) -> str:
    interval = "" if row["low"] is None else f" ({row['low']:.2f} to {row['high']:.2f})"
    return f"{row['value']:.2f}{interval}"


def _span(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"({100 * low:+.1f} to {100 * high:+.1f})"


def _write(rows: Sequence[Row], schema: pa.Schema, path: Path) -> Path:
    with atomic_path(path) as partial:
        pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), partial, compression="zstd")
    return path
