"""The examples that end a run are what the network would answer when it is served."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from ml.specificity import answer
from ml.taxonomy import Taxonomy
from pipeline.commands.examples import CANDIDATES, Example, examples
from pipeline.config.settings import Settings
from pipeline.launching.specs import calibrated, trained
from tests.pipeline.trained import dataset, train


@pytest.fixture
def scope(settings: Settings) -> Settings:
    manifest = dataset(settings.paths)
    train(settings, manifest, network="baseline", seed=settings.training.seed, skill=1.5)
    return settings


def shown(settings: Settings, *, most: int = 3, **changes: object) -> list[Example]:
    manifest = dataset(settings.paths)
    training = trained(settings, manifest, network="baseline")
    calibration = calibrated(settings, manifest, network="baseline").model_copy(update=changes)
    return examples(training, calibration, taxonomy=settings.paths.table("taxonomy"), most=most)


def test_they_are_the_answers_of_the_served_model(scope: Settings) -> None:
    manifest = dataset(scope.paths)
    tree = Taxonomy.read(scope.paths.table("taxonomy"))
    file = trained(scope, manifest, network="baseline").probabilities
    threshold = calibrated(scope, manifest, network="baseline").threshold
    rows = {row["photo_id"]: row for row in pq.read_table(file).to_pylist()}
    found = shown(scope, most=CANDIDATES)
    assert len(found) == sum(row["half"] == "evaluation" for row in rows.values())
    nodes = pq.read_table(scope.paths.table("taxonomy")).sort_by("node_id").to_pydict()
    for one in found:
        distribution = np.asarray([rows[one.photo_id]["probabilities"]], dtype=np.float16)
        served = answer(distribution, tree, threshold)
        node = int(served.node_ids[0])
        assert one.name == (nodes["name"][node] if node else "")
        assert one.probability == pytest.approx(float(served.probabilities[0]), abs=1e-3)
        inside = nodes["leaf_begin"][node] <= rows[one.photo_id]["class_id"] < nodes["leaf_end"][node]
        assert one.right == (inside and node != 0)


def test_they_differ(scope: Settings) -> None:
    species, above, wrong = shown(scope)
    assert (species.right, species.rank, species.name) == (True, "species", species.species)
    assert above.right
    assert above.rank != "species"
    assert not wrong.right


def test_another_rule_has_none(scope: Settings) -> None:
    assert shown(scope, rule="reward") == []
