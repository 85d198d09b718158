"""Examples are what a served model answers, of every kind that there is."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from ml.serving.answering import Answering, Looks
from ml.serving.question import Question
from ml.spec import CalibrateResult
from ml.specificity.stage import run
from ml.specificity.thresholds import ThresholdTable
from ml.taxonomy import Taxonomy
from tests.ml.specificity_fixtures import QUIET, calibrate_spec


def calibrated(folder: Path, **options: object) -> tuple[CalibrateResult, list[tuple[str, dict[str, Any]]]]:
    """A calibration, and for each photograph of the evaluation half its species and what is served for it."""
    spec = calibrate_spec(folder).model_copy(update=options)
    result = run(spec, reporter=QUIET)
    tree = Taxonomy.read(spec.taxonomy)
    serving = Answering(
        taxonomy=tree, calibration=result, thresholds=ThresholdTable.read(result.thresholds), novelty=None
    )
    rows = np.load(spec.probabilities).astype(np.float64)
    served = serving.answers(Looks(rows, np.zeros((len(rows), 1), np.float32)), serving.plan(Question()))
    table = pq.read_table(spec.predictions).to_pylist()
    return result, [
        (tree.name[tree.leaves[row["class_id"]]], answer)
        for row, answer in zip(table, served, strict=True)
        if row["half"] == "evaluation"
    ]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"temperature": True},
        {"rule": "reward"},
        {"rule": "distance"},
        {"groups": "kingdom", "group_photos": 20},
        {"target": 0.999},
    ],
    ids=str,
)
def test_each_is_what_is_served_for_a_photograph_of_its_species(tmp_path: Path, options: dict[str, object]) -> None:
    result, served = calibrated(tmp_path, **options)
    assert len(result.examples) == 3
    for example in result.examples:
        answers = [answer for species, answer in served if species == example.species]
        same = [
            answer
            for answer in answers
            if answer["taxon"] == (example.taxon or "Life")
            and answer["probability"] == pytest.approx(example.probability, abs=1e-9)
        ]
        assert same, example
        lineage = [taxon["name"] for taxon in same[0]["lineage"]]
        assert (example.taxon is None) == (not lineage)
        assert example.rank == (same[0]["rank"] if lineage else None)


def test_they_are_of_every_kind_and_of_different_species(tmp_path: Path) -> None:
    result, _ = calibrated(tmp_path)
    species, above, wrong = result.examples
    assert (species.right, species.rank, species.taxon) == (True, "species", species.species)
    assert (above.right, above.rank == "species") == (True, False)
    assert not wrong.right
    assert len({example.species for example in result.examples}) == 3
