"""`python -m bench [PART ...]`: measures parts and reports; status 1 where a goal is missed."""

import argparse
import importlib
import sys
import tempfile
from pathlib import Path
from typing import Final

from bench.harness import UnavailableError

PARTS: Final = {
    "cost": "what the paper's recipes cost at full scale: parameters, operations, memory, hours",
    "archive": "10 million occurrences and 20 million media rows to Parquet, against DuckDB's bare read",
    "fetch": "photographs from one host, against img2dataset, gbif-dl and a bare loop",
    "load": "two-view training batches from JPEGs, against PIL with torchvision",
    "growth": "the photo index and the comparison of snapshots, within 2 GiB of memory",
    "guarantee": "how often the promised accuracy is broken, over 1,000 resamplings",
    "novelty": "genera that training never saw, told from known ones, against the maximum probability",
    "together": "several photographs of one organism as one: ways of joining, and the promise, against single ones",
    "step": "the trainer's step against a bare PyTorch step of the same network and batch",
    "gpu": "the paper's networks on a GPU: the recorded step, the loader, and both together",
    "gpu_training": "the loader on a GPU machine, and the paper's training from JPEGs",
    "specificity": "one pass and calibration at the paper's scale, against the paper's hill climb",
    "heads": "a head for 20,000 species on a million embeddings: memory over the steps, and what a pass costs",
    "place_list": "the list of a place among ten million occurrences",
    "dataset": "the SQL from occurrences to the split, at the scale of the paper and beyond",
    "label_noise": "names swapped among real photographs, found again: against cleanlab on the same probabilities",
    "twelve_weeks": "twelve refreshes of a drawn world with an outage, shuffled names, a split and a merge",
    "refresh": "a refresh that goes on from its champion, against training from nothing, on real photographs",
    "refresh_twice": "a refresh of an unchanged snapshot: photo requests, what the automation asks for, time",
    "identify_start": "one photograph: a new process, a warm one, a running page, against the bare network",
    "leakage": "what the perceptual hash recognises among real photographs",
    "identify_folder": "1,000 photographs in one folder: rate, memory, a killed run, against the bare network",
    "places": "the prior of place and season: a million occurrences, and what it is worth on real photographs",
    "ui": "`naturewatch ui`: seconds until it is ready, memory, and seconds to its end after a signal",
}
"""The parts: each is the module `bench.<part>` with `run(*, folder, runs) -> Report`."""


def main() -> int:
    """Run the parts that were asked for, by default all."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(f"{k}: {v}" for k, v in PARTS.items()))
    parser.add_argument("--runs", type=int, default=3, help="repeats of each contestant (default 3)")
    parser.add_argument("--folder", type=Path, help="where to keep what is prepared; default a temporary folder")
    options = parser.parse_args()
    unknown = sorted(set(options.parts) - set(PARTS))
    if unknown:
        parser.error(f"unknown part {', '.join(unknown)}; the parts are {', '.join(PARTS)}")
    missed = []
    with tempfile.TemporaryDirectory(prefix="bench.") as temporary:
        folder = options.folder or Path(temporary)
        for part in options.parts or PARTS:
            try:
                report = importlib.import_module(f"bench.{part}").run(folder=folder / part, runs=options.runs)
            except UnavailableError as error:
                print(f"{part} was not measured: {error}", file=sys.stderr)
                missed += [f"{part}: not measured"] if options.parts else []
                continue
            print(report.markdown())
            print(f"written to {report.write()}")
            missed += [f"{part}: {goal.name}" for goal in report.goals if not goal.met]
    for goal in missed:
        print(f"missed: {goal}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
