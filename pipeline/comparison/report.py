"""The comparison as files: tables, pictures, `reports/comparison.md` and `reports/comparison.html`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.comparison import measures
from pipeline.comparison.comparison_figures import depth_against_target, networks_by_class_size
from pipeline.comparison.comparison_findings import DEPTHS, SIZES, Findings
from pipeline.comparison.comparison_page import comparison_page
from pipeline.comparison.comparison_text import comparison_text
from pipeline.comparison.networks import CONTRASTS, best_network, results_of
from pipeline.comparison.verdict import ranking, rivals, verdict
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.files import atomic_path, digest_of, write_bytes
from pipeline.launching.calibration_inputs import identity_of
from pipeline.pages.figures import draw_once

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The files of one comparison, and its numbers for an experiment tracker."""

    page: Path
    """`reports/comparison.md`."""
    html: Path
    """`reports/comparison.html`, which needs no other file."""
    verdict: str
    """Which network is the best, and whether that is beyond chance: one sentence."""
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
        ChildError: the files of a calibration are missing or damaged.
    """
    results = results_of(settings, manifest)
    summary, by_target = measures.summary(results), measures.by_target(results)
    by_class_size = measures.by_class_size(results)
    pairs = list(dict.fromkeys((*CONTRASTS, *rivals(ranking(summary)))))
    split, seed = settings.paths.table("split"), settings.split.seed
    differences = measures.differences(results, split=split, seed=seed, pairs=pairs)
    folder = settings.paths.reports / "comparison"
    target = settings.specificity.target
    found = Findings(
        settings=settings,
        manifest=manifest,
        results=results,
        summary=summary,
        differences=differences,
        by_target=by_target,
        by_class_size=by_class_size,
        verdict=verdict(summary, differences),
        pictures={
            DEPTHS: draw_once(folder / "depth_against_target.png", depth_against_target, by_target, target),
            SIZES: draw_once(folder / "networks_by_class_size.png", networks_by_class_size, by_class_size),
        },
        registered=best_network(settings, manifest),
        day=datetime.now(UTC).date(),
    )
    contrasts = [row for row in differences if (row["network"], row["other"]) in CONTRASTS]
    return Comparison(
        page=write_bytes(settings.paths.reports / "comparison.md", comparison_text(found).encode()),
        html=write_bytes(settings.paths.reports / "comparison.html", comparison_page(found).encode()),
        verdict=found.verdict.sentence,
        pictures=dict(found.pictures),
        tables=(
            _write(summary, measures.SUMMARY, folder / "summary.parquet"),
            _write(contrasts, measures.DIFFERENCES, folder / "differences.parquet"),
            _write(by_target, measures.BY_TARGET, folder / "by_target.parquet"),
            _write(by_class_size, measures.BY_CLASS_SIZE, folder / "by_class_size.parquet"),
        ),
        metrics={f"{row['quantity']}/{row['network']}": row["value"] for row in summary},
        version=digest_of([identity_of(run.calibration) for runs in results.values() for run in runs]),
    )


def _write(rows: Sequence[Row], schema: pa.Schema, path: Path) -> Path:
    with atomic_path(path) as partial:
        pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), partial, compression="zstd")
    return path
