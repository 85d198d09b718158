"""`python -m bench.experiments`: trains what is missing, then writes the tables into docs/experiments.md."""

import argparse
import sys
from pathlib import Path
from typing import Final

from bench.experiments.rows import ROWS
from bench.experiments.runs import prepare, train_all
from bench.experiments.table import differences, insert, results
from pipeline.paths import PROJECT_ROOT

PHOTOS: Final = PROJECT_ROOT.parent / "shared" / "data" / "photos.csv"
PAIRS: Final = (
    ("baseline_matched", "probe"),
    ("views_pretrained", "baseline_matched"),
    ("views_random", "baseline_matched"),
    ("transfer_pretrained", "views_pretrained"),
    ("transfer_random", "views_random"),
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
    parser.add_argument("--rows", nargs="+", choices=[row.name for row in ROWS], help="only these; writes no table")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time (default 2)")
    options = parser.parse_args()
    if not options.photos.exists():
        print(f"the photographs {options.photos} are not there; name a CSV with --photos", file=sys.stderr)
        return 1
    datasets = [
        prepare(photos=options.photos.absolute(), folder=options.folder.absolute(), seed=seed) for seed in options.seeds
    ]
    rows = [row for row in ROWS if options.rows is None or row.name in options.rows]
    outcomes = train_all(rows, datasets=datasets, folder=options.folder.absolute(), jobs=options.jobs)
    outcomes.sort(key=lambda outcome: [row.name for row in rows].index(outcome.row.name))
    print(results(outcomes))
    if options.rows is None:
        insert(results(outcomes), mark="experiments")
        insert(differences(outcomes, pairs=PAIRS), mark="differences")
    return 0


if __name__ == "__main__":
    sys.exit(main())
