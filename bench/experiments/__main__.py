"""`python -m bench.experiments`: trains what is missing, then writes the tables into docs/experiments.md."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.experiments.rows import REMEDIES, ROWS, Row
from bench.experiments.runs import Dataset, Outcome, prepare, train_all
from bench.experiments.table import differences, insert, results
from bench.harness import PHOTOS
from pipeline.paths import PROJECT_ROOT

PAIRS: Final = (
    ("baseline_matched", "probe"),
    ("views_pretrained", "baseline_matched"),
    ("views_random", "baseline_matched"),
    ("transfer_pretrained", "views_pretrained"),
    ("transfer_random", "views_random"),
    ("transfer_heads", "views_pretrained"),
)
"""The rows whose difference is the question."""


def main() -> int:
    """Run the experiments."""
    parser = argparse.ArgumentParser(prog="python -m bench.experiments", description=__doc__)
    parser.add_argument("--photos", type=Path, default=PHOTOS, help="a CSV of labelled photographs")
    parser.add_argument(
        "--folder", type=Path, default=PROJECT_ROOT / "data" / "experiments", help="where runs are kept"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    names = [row.name for row in (*ROWS, *REMEDIES)]
    parser.add_argument("--rows", nargs="+", choices=names, metavar="ROW", help=f"only these; writes no table: {names}")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time (default 2)")
    options = parser.parse_args()
    if not options.photos.exists():
        print(f"the photographs {options.photos} are not there; name a CSV with --photos", file=sys.stderr)
        return 1
    datasets = [
        prepare(photos=options.photos.absolute(), folder=options.folder.absolute(), seed=seed) for seed in options.seeds
    ]
    where = {"datasets": datasets, "folder": options.folder.absolute(), "jobs": options.jobs}
    if options.rows is not None:
        print(results(_train([row for row in (*ROWS, *REMEDIES) if row.name in options.rows], **where)))
        return 0
    outcomes = _train(ROWS, **where)
    insert(results(outcomes), mark="experiments")
    insert(differences(outcomes, pairs=PAIRS), mark="differences")
    tried = _train(REMEDIES, **where)
    insert(results(tried), mark="remedies")
    pairs = [(row.name, "baseline_matched") for row in REMEDIES]
    insert(differences([*outcomes, *tried], pairs=pairs), mark="remedies' differences")
    return 0


def _train(rows: Sequence[Row], *, datasets: Sequence[Dataset], folder: Path, jobs: int) -> list[Outcome]:
    """All outcomes, row by row."""
    outcomes = train_all(rows, datasets=datasets, folder=folder, jobs=jobs)
    order = [row.name for row in rows]
    return sorted(outcomes, key=lambda outcome: order.index(outcome.row.name))


if __name__ == "__main__":
    sys.exit(main())
