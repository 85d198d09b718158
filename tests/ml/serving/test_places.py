"""What a place and a date do to an answer: by the prior of the version, in a case of its own, and never in silence."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ml.places.prior import PlacePrior, PriorSettings, Records
from ml.places.sites import Case, Sites, Where
from ml.serving.answering import Answering
from ml.serving.cases import UNITS, CalibratedCase
from ml.serving.question import Question, QuestionError
from ml.serving.sighting import Sighting, sites_of
from ml.specificity.temperature import temper
from tests.ml.placed import FAR
from tests.ml.serving.answerings import GANNET, KAKA, KEA, MULBERRY, TREE, calibration, looks, table, version

SOUTH, NORTH, ELSEWHERE, WINTER = (-43.5, 172.6), (-36.9, 174.8), (-30.0, 150.0), 190
"""Where keas live, where kakas do, and where gannets and mulberries are; all were seen in winter."""
ALIKE = [0.38, 0.56, 0.03, 0.03]
"""A parrot that looks a little more like a kaka."""


def served(**settings: Any) -> Answering:  # noqa: ANN401
    """A version with 40 keas in the south, kakas in the north and others elsewhere, and thresholds for each case."""
    number = 40
    there = np.repeat([SOUTH, NORTH, ELSEWHERE, ELSEWHERE], number, axis=0) + np.linspace(0, 0.2, 4 * number)[:, None]
    records = Records(
        latitude=there[:, 0].astype(np.float32), longitude=there[:, 1].astype(np.float32),
        uncertainty_m=np.full(4 * number, 30, np.float32), day=np.full(4 * number, WINTER, np.uint16),
        class_id=np.repeat([KEA, KAKA, GANNET, MULBERRY], number).astype(np.int32),
    )  # fmt: skip
    prior = PlacePrior(
        records=records, class_count=4, settings=PriorSettings(neighbours=20, floor=0.3, far_km=300.0, **settings)
    )
    return version(
        prior=prior,
        place_cases={"place": case("place", 0.7, 1.25), "place_and_date": case("place_and_date", 0.65, 1.5)},
    )


def case(name: Case, threshold: float, temperature: float) -> CalibratedCase:
    """A case whose promise tells it from the others."""
    own = calibration(temperature=temperature, evaluation_photos=round(100 * threshold))
    thresholds = table(thresholds=np.array([[threshold - 0.1], [threshold], [0.99]]))
    return CalibratedCase(calibration=own, thresholds=thresholds, unit=UNITS[name], exponent=1.0)


SERVED = served()


def answers(
    rows: list[list[float]], *sightings: Sighting, question: Question | None = None, by: Answering = SERVED
) -> list[dict[str, Any]]:  # fmt: skip
    return by.answers(looks(np.array(rows)), by.plan(question or Question()), sites_of(sightings))


def answer(sighting: Sighting, question: Question | None = None, *, row: list[float] = ALIKE) -> dict[str, Any]:
    (found,) = answers([row], sighting, question=question)
    return found


def test_of_two_that_look_alike_the_one_that_lives_there_is_named() -> None:
    alone, south, north = answers([ALIKE] * 3, Sighting(), Sighting(SOUTH), Sighting(NORTH))
    assert (alone["taxon"], alone["rank"]) == ("Nestor", "genus")
    assert (south["taxon"], north["taxon"]) == ("Nestor notabilis", "Nestor meridionalis")
    assert south["top"][0]["name"] == south["path"][-1]["name"] == south["lineage"][-1]["name"] == "Nestor notabilis"
    assert south["top"][0]["probability"] == pytest.approx(south["probability"])
    assert south["lineage"][-1]["probability"] == south["path"][-1]["probability"] == south["probability"]


def test_what_the_prior_did_is_said_with_what_the_photograph_alone_would_have_been() -> None:
    prior = answer(Sighting(SOUTH))["prior"]
    assert (prior["case"], prior["used"], prior["changed"]) == ("place", True, True)
    assert (prior["place"], prior["day"]) == (list(SOUTH), None)
    assert prior["nearest_km"] < 1
    look = SERVED.prior.look(sites_of([Sighting(SOUTH)]))  # type: ignore[union-attr]
    assert prior["occurrences"] == look.occurrences(np.array([KEA]))[0] >= 20
    assert prior["alone"] == {"taxon": "Nestor", "rank": "genus", "probability": 0.94, "common_name": None}
    assert prior["text"].startswith("place raised Nestor notabilis (from 38 % to ")
    assert " above Nestor meridionalis (from 56 % to " in prior["text"]
    assert prior["text"].endswith("; the photograph alone said genus Nestor (94 %)")


def test_a_species_has_its_probability_before_the_prior_beside_that_after() -> None:
    found = answer(Sighting(SOUTH))
    assert {entry["name"]: entry["probability_alone"] for entry in found["top"]} == {
        "Nestor notabilis": 0.38, "Nestor meridionalis": 0.56, "Morus serrator": 0.03, "Morus alba": 0.03,
    }  # fmt: skip
    for entry in answer(Sighting())["top"]:
        assert entry["probability_alone"] == entry["probability"]


def test_each_case_has_its_own_temperature_threshold_and_promise() -> None:
    """As fitted after composing: what was measured with a place says nothing of photographs without one."""
    asked = [Sighting(), Sighting(SOUTH), Sighting(SOUTH, None, WINTER)]
    alone, place, both = answers([ALIKE] * 3, *asked)
    assert [each["threshold"] for each in (alone, place, both)] == [0.8, 0.7, 0.65]
    assert [each["prior"]["case"] for each in (alone, place, both)] == ["neither", "place", "place_and_date"]
    assert "on 1,200 photographs that did not" in alone["promise"]["text"]
    assert "on 70 photographs with their place that did not" in place["promise"]["text"]
    assert "on 65 photographs with their place and date that did not" in both["promise"]["text"]
    weights = np.array(ALIKE) * SERVED.prior.look(sites_of([Sighting(SOUTH)])).shares(4)[0]  # type: ignore[union-attr]
    expected = temper(weights[None] / weights.sum(), 1.25)[0]
    assert place["top"][0]["probability"] == pytest.approx(expected[KEA])


def test_photographs_of_all_cases_are_answered_together_as_one_by_one() -> None:
    rows = np.random.default_rng(4).dirichlet([1, 1, 1, 1], size=9).tolist()
    kinds = [Sighting(), Sighting(SOUTH), Sighting(NORTH, 500.0, 3), Sighting(FAR), Sighting(None, None, 9)]
    sightings = [kinds[row % 5] for row in range(9)]
    together = answers(rows, *sightings)
    assert together == [answer(sighting, row=row) for row, sighting in zip(rows, sightings, strict=True)]


def test_a_place_far_from_everything_is_answered_as_none_and_said() -> None:
    found, alone = answer(Sighting(FAR, None, WINTER)), answer(Sighting())
    assert {name: found[name] for name in ("taxon", "probability", "threshold", "promise", "top")} == {
        name: alone[name] for name in ("taxon", "probability", "threshold", "promise", "top")
    }
    prior = found["prior"]
    assert (prior["case"], prior["used"], prior["changed"]) == ("neither", False, False)
    assert prior["nearest_km"] > 15_000
    assert prior["text"].startswith("the place changed nothing: it is 1")
    assert prior["text"].endswith("km from the nearest occurrence that this version knows")
    assert found["warnings"] == [{"kind": "place", "text": prior["text"]}]


def test_a_date_without_a_place_changes_nothing_and_that_is_said() -> None:
    found, alone = answer(Sighting(None, None, WINTER)), answer(Sighting())
    assert found["probability"] == alone["probability"]
    assert (found["prior"]["case"], found["prior"]["day"]) == ("neither", WINTER)
    assert found["prior"]["text"] == "a date without a place changes nothing: seasons differ from place to place"
    assert alone["prior"]["text"] == "no place was given"
    assert alone["warnings"] == found["warnings"] == []


def test_a_date_that_was_not_calibrated_changes_nothing() -> None:
    only = replace(SERVED, place_cases={"place": SERVED.place_cases["place"]})
    dated, undated = (
        answers([ALIKE], Sighting(SOUTH, None, day), by=only)[0] for day in (WINTER + 180, None)
    )  # fmt: skip
    assert dated["prior"]["case"] == "place"
    assert dated["top"] == undated["top"]


def test_a_stray_raises_the_alarm_though_its_place_excludes_it() -> None:
    watched = Question(watch=("Plantae > Morus=0.5",))
    stray = [0.2, 0.15, 0.1, 0.55]
    found = answer(Sighting(SOUTH), watched, row=stray)
    assert found["top"][0]["name"] == "Nestor notabilis"
    (entry,) = found["watch"]
    assert (entry["probability"], entry["alarm"]) == (0.55, True)
    assert found["warnings"][0]["kind"] == "watch"


def test_what_is_known_to_hold_it_is_applied_after_the_place() -> None:
    found = answer(Sighting(SOUTH), Question(within=("Aves",), threshold=0), row=[0.1, 0.2, 0.6, 0.1])
    look = SERVED.prior.look(sites_of([Sighting(SOUTH)])).shares(4)[0]  # type: ignore[union-attr]
    weights = np.array([0.1, 0.2, 0.6, 0.1]) * look
    tempered = temper(weights[None] / weights.sum(), 1.25)[0]
    expected = tempered[:3] / tempered[:3].sum()
    assert {entry["name"]: entry["probability"] for entry in found["top"]} == pytest.approx(
        dict(
            zip(
                ["Nestor notabilis", "Nestor meridionalis", "Morus serrator", "Morus alba"], [*expected, 0], strict=True
            )
        )
    )
    assert found["prior"]["alone"]["taxon"] == "Morus serrator"


def test_the_network_contradicts_a_filter_by_what_the_photograph_alone_says() -> None:
    found = answer(Sighting(SOUTH), Question(within=("Nestor",)), row=[0.01, 0.01, 0.97, 0.01])
    assert "it gives 2 % to that" in found["warnings"][0]["text"]


def test_a_target_may_be_in_reach_with_a_place_only() -> None:
    beyond = replace(SERVED, thresholds=replace(SERVED.thresholds, reachable=np.zeros((3, 1), bool)))
    with pytest.raises(QuestionError, match="no threshold of this model reaches an accuracy"):
        beyond.plan(Question(target=0.8))
    with pytest.raises(QuestionError, match="no threshold"):
        beyond.plan(Question(target=0.8, place=FAR))
    plan = beyond.plan(Question(target=0.8, place=SOUTH))
    placed, far = beyond.answers(looks(np.array([ALIKE] * 2)), plan, sites_of([Sighting(SOUTH), Sighting(FAR)]))
    assert placed["promise"]["kept"] is not False
    assert far["promise"]["text"].startswith("nothing is promised: no threshold of this version is known to be right")
    assert beyond.plan(Question(target=0.8, exif=True)).target == 0.8, "a photograph may bring its place with it"


def test_versions_that_know_no_places_answer_and_say_so() -> None:
    earlier, row = version(), [ALIKE]
    plain = earlier.answers(looks(np.array(row)), earlier.plan(Question()))[0]
    for sighting in (Sighting(SOUTH), Sighting(None, None, WINTER)):
        (found,) = answers(row, sighting, by=earlier)
        said = found.pop("warnings")
        assert found == {name: value for name, value in plain.items() if name != "warnings"}
        assert said == [
            {"kind": "place", "text": "this version knows no places: what was said about the place changed nothing"}
        ]
    assert plain["prior"] is None
    assert answers(row, Sighting(), by=earlier)[0]["warnings"] == []


def test_a_prior_of_which_no_case_was_calibrated_changes_nothing() -> None:
    found = answers([ALIKE], Sighting(SOUTH), by=replace(SERVED, place_cases={}))[0]
    assert found["prior"]["used"] is False
    assert "too few photographs" in found["warnings"][0]["text"]


def test_an_exam_chooses_with_sites_and_without_words() -> None:
    plan, rows = SERVED.plan(Question()), np.array([ALIKE] * 2)
    chosen = SERVED.choose(rows, plan, Sites.of([None, Where(latitude=SOUTH[0], longitude=SOUTH[1])]))
    assert [chosen.placed.case(row) for row in range(2)] == ["neither", "place"]
    assert [TREE.name[node] for node in chosen.nodes] == ["Nestor", "Nestor notabilis"]
    assert chosen.allowed[0].tolist() == chosen.tempered[0].tolist() == ALIKE
    assert chosen.allowed[1, KEA] > chosen.allowed[1, KAKA] > chosen.allowed[1, GANNET] == chosen.allowed[1, MULBERRY]
