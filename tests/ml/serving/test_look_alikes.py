"""Place and season tell look-alikes apart, keep every promise in its own case, and silence no alarm about a stray."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import binomtest

from demo.organisms.look_alikes import APART_IN_PLACE, APART_IN_SEASON
from ml.places.sites import CASES, Case, Sites
from ml.serving.answering import Chosen
from ml.serving.question import Question
from tests.ml.replica_world import WATCHED, World, calibrated_world
from tests.ml.serving.answerings import looks


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Observations that no calibration has seen."""
    return calibrated_world(tmp_path_factory.mktemp("world"))


def _told(world: World, case: Case) -> Sites:
    """What is said of the photographs in a case."""
    if case == "neither":
        return Sites(*(np.full(len(world.labels), np.nan) for _ in Sites._fields))
    return world.sites if case == "place_and_date" else world.sites.without_days()


def _chosen(world: World, case: Case, *, target: float = 0.9) -> Chosen:
    return world.version.choose(world.probabilities, world.version.plan(Question(target=target)), _told(world, case))


def _told_apart(world: World, pair: tuple[str, str], case: Case) -> float:
    """Share of the look-alikes, where nothing is missing and none is a stray, whose best species is right."""
    either = np.isin(world.labels, [world.class_of(name) for name in pair])
    rows = either & world.sites.dated & ~world.strays
    assert rows.sum() > 80
    best: npt.NDArray[np.intp] = _chosen(world, case).allowed.argmax(axis=1)
    return float((best == world.labels)[rows].mean())


def test_a_species_with_a_range_is_told_from_its_look_alike_elsewhere(world: World) -> None:
    assert _told_apart(world, APART_IN_PLACE, "neither") < 0.6
    assert _told_apart(world, APART_IN_PLACE, "place") > 0.85
    assert _told_apart(world, APART_IN_PLACE, "place_and_date") > 0.85


def test_a_species_with_a_season_is_told_from_its_look_alike_at_another_time(world: World) -> None:
    assert _told_apart(world, APART_IN_SEASON, "neither") < 0.6
    assert _told_apart(world, APART_IN_SEASON, "place") < 0.65, "they share their range"
    assert _told_apart(world, APART_IN_SEASON, "place_and_date") > 0.8


def test_more_is_answered_with_a_place_and_most_with_a_date(world: World) -> None:
    depths = [float(world.taxonomy.depth[_chosen(world, case).nodes].mean()) for case in CASES]
    assert depths[1] > depths[0] + 0.5
    assert depths[2] > depths[1] + 0.5


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("target", [0.8, 0.9, 0.95])
def test_every_promise_is_within_its_interval(world: World, case: Case, target: float) -> None:
    chosen = _chosen(world, case, target=target)
    own = chosen.placed.cases == CASES.index(case)
    assert own.mean() > 0.9, "few photographs have no place, or no date"
    right = world.taxonomy.contains(chosen.nodes, world.labels)[own]
    interval = binomtest(int(right.sum()), len(right)).proportion_ci(0.95)
    assert interval.high >= target
    assert right.mean() < target + 0.04, "nor is it kept by saying too little"
    promise = world.version.plan(Question(target=target)).settings[case].promises[0]
    assert promise["kept"]
    assert promise["accuracy_high"] >= target


def test_the_threshold_of_one_case_would_break_the_promise_of_another(world: World) -> None:
    placed = world.calibration.place_cases[-1]
    plan = world.version.plan(Question(threshold=placed.threshold))
    nodes = world.version.choose(world.probabilities, plan, _told(world, "neither")).nodes
    right = world.taxonomy.contains(nodes, world.labels)
    assert binomtest(int(right.sum()), len(right)).proportion_ci(0.95).high < world.calibration.target


def test_a_stray_on_the_watch_list_raises_the_alarm_wherever_it_is(world: World) -> None:
    watched = world.class_of(WATCHED)
    strays = np.flatnonzero((world.labels == watched) & world.strays)
    assert len(strays) > 3
    plan = world.version.plan(Question())
    shown = looks(world.probabilities[strays])
    alone, placed = (
        world.version.answers(shown, plan, _told(world, case).rows(strays)) for case in ("neither", "place")
    )
    assert {answer["prior"]["case"] for answer in placed} == {"place"}
    for before, after in zip(alone, placed, strict=True):
        assert after["watch"] == before["watch"], "an alarm reads what the photograph alone says"
    raised = [answer for answer in placed if answer["watch"][0]["alarm"]]
    assert len(raised) > 0.7 * len(strays)
    assert all(answer["warnings"][0]["kind"] == "watch" for answer in raised)
    # The place speaks against the stray, so that an alarm after the prior would have come too late.
    assert any(answer["top"][0]["name"] != WATCHED for answer in raised)


def test_a_sure_photograph_of_a_stray_is_named_against_its_place(world: World) -> None:
    """A prior is an opinion: a photograph that leaves no doubt is answered as what it shows."""
    watched = world.class_of(WATCHED)
    nelson = Sites(*np.array([[-41.29, 173.26, 10.0, 40.0]]).T)
    for own, named in ((0.5, APART_IN_PLACE[1]), (0.9999, WATCHED)):
        row = np.full((1, world.taxonomy.class_count), 1e-9)
        row[0, watched], row[0, world.class_of(APART_IN_PLACE[1])] = own, 1 - own
        (answer,) = world.version.answers(looks(row / row.sum()), world.version.plan(Question()), nelson)
        assert answer["top"][0]["name"] == named
        assert answer["watch"][0]["alarm"]
