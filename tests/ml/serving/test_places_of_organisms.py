"""Several photographs of one organism: its place counts once, after their evidence was joined."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.places.composition import compose
from ml.serving.answering import Answering, Looks
from ml.serving.joint import answer_together, join
from ml.serving.question import Question
from ml.serving.shared_place import shared_place
from ml.serving.sighting import Sighting, sites_of
from ml.spec import RESULT_FILE, CalibrateResult
from ml.specificity.pooling import pool
from ml.specificity.stage import run
from ml.specificity.temperature import temper
from ml.taxonomy import Floats
from tests.ml.placed import FAR, HOMES
from tests.ml.specificity_fixtures import QUIET, calibrate_spec

HERE = Sighting(HOMES[0][:2])
ROWS: Floats = np.random.default_rng(2).dirichlet([2.5, 1.5, 0.5, 0.5], size=3)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Answering:
    """A version calibrated with places on photographs four of each observation, with temperatures."""
    folder = tmp_path_factory.mktemp("organisms")
    made = calibrate_spec(folder, places=True)
    labels = pq.read_table(made.predictions)["class_id"].to_numpy()
    names = np.empty(len(labels), dtype=object)
    for species in range(4):
        for half in range(2):
            rows = np.flatnonzero((labels == species) & (np.arange(len(labels)) % 2 == half))
            names[rows] = [f"o{species}-{half}-{place // 4}" for place in range(len(rows))]
    assert made.split is not None
    split = pq.read_table(made.split).to_pydict() | {"observation_id": names.tolist()}
    pq.write_table(pa.table(split), made.split)
    run(made.model_copy(update={"temperature": True, "tracking": None}), reporter=QUIET)
    file = made.output / RESULT_FILE
    result = CalibrateResult.read(file)
    paths: dict[str, Path | None] = {
        "taxonomy": made.taxonomy, "specificity": file, "thresholds": result.thresholds, "joint": result.joint,
        "place_prior": result.place_prior,
    }  # fmt: skip
    for case in result.place_cases:
        paths |= {f"thresholds_{case.case}": case.thresholds, f"by_target_{case.case}": case.by_target}
        paths |= {} if case.joint is None else {f"joint_{case.case}": case.joint}
    return Answering.read({name: str(path) for name, path in paths.items() if path is not None})


def looks(rows: Floats = ROWS) -> Looks:
    return Looks(rows, np.zeros((len(rows), 1), np.float32))


@pytest.mark.parametrize("photos", [1, 2, 4])
def test_the_prior_is_composed_once_with_what_was_joined_at_the_temperature_of_the_case(
    served: Answering, photos: int
) -> None:
    """It is one piece of evidence, however many photographs there are."""
    own, rows = served.cases["place"], np.tile(ROWS[:1], (photos, 1))
    assert served.prior is not None
    answer = answer_together(served, looks(rows), served.plan(Question(target=0.8)), sites_of([HERE] * photos))
    temperature = own.calibration.temperature
    joined = temper(rows, temperature) if photos == 1 else join(served, rows, target=0.8, case="place").probabilities
    expected = compose(joined, served.prior.look(sites_of([HERE])), exponent=own.exponent / temperature)[0]
    found = {entry["name"]: entry["probability"] for entry in answer["top"]}
    names = [served.taxonomy.name[leaf] for leaf in served.taxonomy.leaves]
    assert found == pytest.approx(dict(zip(names, expected, strict=True)))
    assert answer["prior"]["case"] == "place"


def test_what_was_measured_on_sets_with_a_place_is_promised(served: Answering) -> None:
    own = served.cases["place"]
    assert own.joint is not None
    answer = answer_together(served, looks(), served.plan(Question(target=0.8)), sites_of([HERE] * 3))
    size = own.joint.fitting(3, 0.8)
    assert size is not None
    joined = pool(temper(ROWS, own.calibration.temperature)[None], dependence=own.joint.dependence, most=size.photos)
    assert join(served, ROWS, target=0.8, case="place").probabilities == pytest.approx(joined)
    assert answer["threshold"] == pytest.approx(size.table.thresholds[size.table.position(0.8)][0])
    assert f"sets of {size.photos} photographs of one observation with their place" in answer["promise"]["text"]


def test_alarms_are_raised_by_what_the_photographs_alone_say(served: Answering) -> None:
    plan = served.plan(Question(watch=("Plantae > Morus=0.5",)))
    stray = looks(np.tile([0.2, 0.15, 0.1, 0.55], (2, 1)))
    here, nowhere = (answer_together(served, stray, plan, sites_of([place] * 2)) for place in (HERE, Sighting()))
    assert here["watch"] == nowhere["watch"]
    assert here["watch"][-1]["alarm"]
    assert here["taxon"] != "Morus alba"


def test_without_a_calibration_of_sets_with_a_place_nothing_is_promised(served: Answering) -> None:
    cases = {name: replace(case, joint=None) for name, case in served.place_cases.items()}
    answer = answer_together(
        replace(served, place_cases=cases), looks(), served.plan(Question(target=0.8)), sites_of([HERE] * 3)
    )
    assert answer["promise"]["text"] == "nothing is promised about 3 photographs of one organism with place"
    assert answer["promise"]["kept"] is None
    assert not any(answer["thresholds"]["reachable"])
    assert answer["warnings"][-1]["text"].startswith("this version was not calibrated for several photographs")


def test_a_far_place_is_answered_as_photographs_without_one(served: Answering) -> None:
    plan = served.plan(Question(target=0.8))
    far, alone = (
        answer_together(served, looks(), plan, sites_of([place] * 3)) for place in (Sighting(FAR), Sighting())
    )
    assert {**far, "prior": None, "warnings": None} == {**alone, "prior": None, "warnings": None}
    assert far["prior"]["text"] == far["warnings"][-1]["text"]


@pytest.mark.parametrize(
    ("sightings", "place", "day", "said"),
    [
        ([HERE, HERE], HOMES[0][:2], None, None),
        ([Sighting(), HERE], HOMES[0][:2], None, None),
        ([Sighting(None, None, 9), HERE], HOMES[0][:2], 9, None),
        ([Sighting((-41.3, 174.8), None, 9), Sighting((-41.301, 174.8), None, 40)], (-41.3, 174.8), 9, None),
        ([Sighting((-41.3, 174.8), 9_000), Sighting((-41.36, 174.8), 30)], (-41.36, 174.8), None, None),
        ([Sighting((-41.3, 174.8)), Sighting((-41.33, 174.8))], (-41.3, 174.8), None, "up to 3.34 km apart.*the first"),
        ([Sighting((10, 179.999)), Sighting((10, -179.999), 5)], (10, -179.999), None, None),
        (
            [Sighting((-41.3, 174.8)), Sighting((51.5, 0), 5)],
            (51.5, 0),
            None,
            "km apart.*the most precise place counts",
        ),
    ],
)
def test_the_most_precise_place_counts_and_what_is_too_far_from_it_is_told(
    sightings: list[Sighting], place: tuple[float, float], day: int | None, said: str | None
) -> None:
    one, warning = shared_place(sites_of(sightings))
    assert (one.latitude[0], one.longitude[0]) == place
    assert (None if np.isnan(one.day[0]) else one.day[0]) == day
    assert warning is None if said is None else pytest.RaisesExc(ValueError, match=said).matches(ValueError(warning))


def test_without_any_place_the_first_day_is_kept() -> None:
    one, warning = shared_place(sites_of([Sighting(), Sighting(None, None, 60), Sighting(None, None, 70)]))
    assert (one.placed[0], one.day[0], warning) == (False, 60, None)
