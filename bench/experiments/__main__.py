"""`python -m bench.experiments`: trains what is missing, then writes the tables into docs/experiments.md."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

from bench.experiments import dataset
from bench.experiments.rows import BEST_OF_ALL, EPOCHS, IMAGE_SIZE, PAPERS_SETTING, longer
from bench.experiments.runs import train_all
from bench.experiments.table import differences, insert, results
from bench.harness import PHOTOS

FOLDER: Final = Path(__file__).resolve().parents[2] / "data" / "experiments"
PAIRS: Final = {
    "paper": [
        ("one_transfer", "one"), ("two_transfer", "two"), ("one_a1", "one"), ("one_a0", "one"), ("one_family", "one"),
        ("one_not_rare", "one"), ("two", "one"),
    ],
    "best": [(row.name, "probe") for row in BEST_OF_ALL if row.name != "probe"],
}  # fmt: skip
"""Each table, and the pairs of rows whose difference is the question."""


def main() -> int:
    """Run the experiments."""
    parser = argparse.ArgumentParser(prog="python -m bench.experiments", description=__doc__)
    parser.add_argument("--photos", type=Path, default=PHOTOS, help="a CSV of labelled photographs")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where datasets and runs are kept")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    names = [row.name for row in (*PAPERS_SETTING, *BEST_OF_ALL)]
    parser.add_argument("--rows", nargs="+", choices=names, metavar="ROW", help=f"only these; writes no table: {names}")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time (default 2)")
    parser.add_argument(
        "--image-size",
        type=int,
        default=IMAGE_SIZE,
        help=f"pixels of a side (default {IMAGE_SIZE}); rows of a larger backbone in proportion",
    )
    parser.add_argument(
        "--epochs", type=float, default=EPOCHS, help=f"passes in the paper's setting (default {EPOCHS:g})"
    )
    parser.add_argument("--seconds", type=float, help="begin no row after this time")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/experiments.md")
    options = parser.parse_args()
    folder = options.folder.absolute()
    missing = sorted(set(options.seeds) - {each.seed for each in dataset.read(folder)})
    if missing:
        if not options.photos.exists():
            print(f"the photographs {options.photos} are not there; name a CSV with --photos", file=sys.stderr)
            return 1
        folder.mkdir(parents=True, exist_ok=True)
        dataset.prepare(photos=options.photos.absolute(), folder=folder, seeds=options.seeds, image_size=IMAGE_SIZE)
    datasets = [each for each in dataset.read(folder) if each.seed in options.seeds]
    papers = tuple(longer(row, times=options.epochs / EPOCHS) for row in PAPERS_SETTING)
    chosen = {
        name: [
            replace(row, image_size=round(row.image_size * options.image_size / IMAGE_SIZE))
            for row in rows
            if row.name in (options.rows or names)
        ]
        for name, rows in {"paper": papers, "best": BEST_OF_ALL}.items()
    }
    wanted = [row for rows in chosen.values() for row in rows]
    outcomes = train_all(wanted, datasets=datasets, folder=folder, jobs=options.jobs, seconds=options.seconds)
    for name, pairs in PAIRS.items():
        own = [outcome for outcome in outcomes if outcome.row in chosen[name]]
        for mark, text in ((name, results(own)), (f"{name}, differences", differences(own, pairs=pairs))):
            print(text, flush=True)
            if options.write:
                insert(text, mark=mark)
    return 0 if len(outcomes) == len(wanted) * len(datasets) else 1


if __name__ == "__main__":
    sys.exit(main())
