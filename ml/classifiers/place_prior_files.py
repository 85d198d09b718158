"""A classifier trained elsewhere, composed with a prior of place and season: from files to a file and a report.

The options come from the command line (`ml.classifiers.place_prior_cli`).
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ml.classifiers.classes import Classes
from ml.classifiers.classifier_calibration import printed
from ml.classifiers.classifier_files import read_probabilities
from ml.classifiers.composed_photographs import calibrated, flat, lessons, write_composed
from ml.classifiers.composed_report import Report
from ml.classifiers.place_tables import PlaceTable, read_places, read_species, told
from ml.ending import ENDING, complain
from ml.errors import DataError, MlError
from ml.specificity.tree_sums import Distributions, SpecificityError


def compose_files(options: argparse.Namespace) -> int:
    """Compose what the arguments name, print what came of it, and return the exit status."""
    try:
        temporary = tempfile.TemporaryDirectory(prefix="naturewatch-place-prior.")
        ENDING.callback(temporary.cleanup)
        with temporary as folder:
            report = _composed(options, Path(folder))
    except MlError as error:
        complain(str(error))
        return 1
    if options.json:
        sys.stdout.write(json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n")
    else:
        printed(report.readable())
    return 0


def _composed(options: argparse.Namespace, folder: Path) -> Report:
    if options.output.is_dir():
        raise DataError(f"{options.output} is a folder; name the file to write")
    species = read_species(options.classes)
    classes = flat(species)
    calibration = read_places(options.calibration, species, labelled=True)
    _refuse_unlabelled(calibration, options.classes)
    photographs = read_places(options.photographs, species, labelled=False)
    chooses = _probabilities(options.calibration_probabilities, calibration, classes, folder / "calibration")
    asked = _probabilities(options.probabilities, photographs, classes, folder / "photographs")
    occurrences = read_places(options.occurrences, species, labelled=True)
    learnt = lessons(occurrences, apart_from={*calibration.ids, *photographs.ids} - {""})
    with _naming(options.calibration_probabilities):
        composer = calibrated(learnt.records, calibration, chooses, taxonomy=classes.taxonomy, seed=options.seed)
    with _naming(options.probabilities):
        outcome = write_composed(options.output, photographs, asked, composer, seed=options.seed)
    return Report(
        output=options.output,
        occurrences=occurrences,
        calibration=calibration,
        photographs=photographs,
        lessons=learnt,
        composer=composer,
        outcome=outcome,
    )


def _refuse_unlabelled(calibration: PlaceTable, classes: Path) -> None:
    """Every calibration photograph must have a class: it says what was right."""
    if calibration.strange:
        raise DataError(
            f"{calibration.path} has species that {classes} does not have: {told(calibration.strange)}; correct the "
            "names, or leave those rows out, here and in the probabilities"
        )
    if blank := int((calibration.class_ids < 0).sum()):
        raise DataError(
            f"{calibration.path}: {blank} rows have no species; leave them out, here and in the probabilities"
        )


def _probabilities(path: Path, table: PlaceTable, classes: Classes, folder: Path) -> Distributions:
    """The probabilities of a table's photographs, a row each."""
    folder.mkdir()
    found = read_probabilities(path, classes=classes, folder=folder)
    if len(found) != len(table):
        raise DataError(f"{path} has {len(found)} rows, but {table.path} has {len(table)} photographs")
    return found


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Say in which file a row is no distribution."""
    try:
        yield
    except SpecificityError as error:
        raise DataError(f"{path}: {error}") from error
