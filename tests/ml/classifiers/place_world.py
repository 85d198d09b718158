"""Files of a small classifier that cannot tell species which places and seasons can: two pairs of look-alikes.

`.venv/bin/python -m tests.ml.classifiers.place_world FOLDER` writes them.
"""

import csv
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ml.taxonomy import Floats

SPECIES = ("Amanita borealis", "Amanita australis", "Boletus aestivalis", "Boletus autumnalis")
PLACES = ((-36.8, 174.8), (-45.9, 170.5), (-41.3, 174.8), (-41.3, 174.8))
"""The first two have ranges of their own, the others one in common."""
DAYS = (120, 120, 30, 130)
"""The last two have seasons of their own."""
OPTIONS = ("occurrences", "calibration", "calibration-probabilities", "photographs", "probabilities", "classes")
FILES = ("train.csv", "calibration.csv", "C.npy", "photographs.csv", "P.npy", "classes.txt")

Rows = list[dict[str, str]]


class Drawn(NamedTuple):
    """Photographs of the four species, as many of each."""

    rows: Rows
    probabilities: Floats
    labels: npt.NDArray[np.int64]


def drawn(each: int, *, seed: int) -> Drawn:
    """The genus is plain to see; of its two species the classifier is right in six cases of ten.

    Ranges and seasons overlap, and the date line runs through some of them.
    """
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(4), each)
    seen = labels ^ (generator.random(len(labels)) < 0.4)
    probabilities = np.full((len(labels), 4), 0.02)
    probabilities[np.arange(len(labels)), seen] = 0.55
    probabilities[np.arange(len(labels)), seen ^ 1] = 0.41
    rows = []
    for number, label in enumerate(labels.tolist()):
        latitude, longitude = PLACES[label] + generator.normal(scale=3, size=2)
        day = (DAYS[label] + round(generator.normal(scale=35)) - 1) % 366 + 1
        rows.append(
            {
                "gbif_id": f"{seed}{number:05}",
                "species": SPECIES[label],
                "latitude": f"{latitude:.5f}",
                "longitude": f"{longitude:.5f}",
                "day_of_year": str(day),
            }
        )
    return Drawn(rows, probabilities, labels)


def write_table(path: Path, rows: Rows, *, separator: str = ",", encoding: str = "utf-8", end: str = "\n") -> None:
    """Write rows as CSV, as a spreadsheet or GBIF would."""
    with path.open("w", newline="", encoding=encoding) as stream:
        writer = csv.DictWriter(stream, list(rows[0]), delimiter=separator, lineterminator=end)
        writer.writeheader()
        writer.writerows(rows)


def write_files(folder: Path) -> Path:
    """The six files of the command, called `FILES`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_table(folder / "train.csv", drawn(80, seed=1).rows)
    for seed, table, array in ((2, "calibration.csv", "C.npy"), (3, "photographs.csv", "P.npy")):
        some = drawn(50, seed=seed)
        write_table(folder / table, some.rows)
        np.save(folder / array, some.probabilities)
    (folder / "classes.txt").write_text("\n".join(SPECIES) + "\n", encoding="utf-8")
    return folder


def arguments(folder: Path, **others: str) -> list[str]:
    """Those of the command, with other names of files where they are given."""
    files = dict(zip(OPTIONS, FILES, strict=True)) | {name.replace("_", "-"): file for name, file in others.items()}
    given = [part for name, file in files.items() for part in (f"--{name}", str(folder / file))]
    return given if "output" in files else [*given, "--output", str(folder / "composed.npy")]


if __name__ == "__main__":
    write_files(Path(sys.argv[1]))
