"""Where an answer stops and what to be wary of, in sentences that are true."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.serving.answering import Looks
from ml.serving.explanation import apart, percent, small_percent, unlike
from ml.serving.question import Question, QuestionError
from ml.specificity import answer
from ml.specificity.novelty import Novelty, Prototypes
from tests.ml.serving.answerings import GANNET, TREE, answer_of, calibration, table, version

SURE_OF_THE_GENUS = [0.61, 0.35, 0.03, 0.01]
MULBERRY = [0.02, 0.03, 0.01, 0.94]


@pytest.mark.parametrize(
    ("row", "reason", "following", "text"),
    [
        (
            SURE_OF_THE_GENUS,
            "threshold",
            "Nestor notabilis",
            "stops at the genus: Nestor notabilis has 61 %, and 80 % are asked for",
        ),
        (
            [0.4, 0.1, 0.1, 0.4],
            "unsure",
            "Animalia",
            "names nothing: the kingdom Animalia has 60 %, and 80 % are asked for",
        ),
        (MULBERRY, "species", None, "reaches the species: Morus alba has 94 %, and 80 % are asked for"),
        (
            [0.79996, 0.2, 0.00003, 0.00001],
            "threshold",
            "Nestor notabilis",
            "stops at the genus: Nestor notabilis has 79.996 %, and 80.000 % are asked for",
        ),
    ],
)  # fmt: skip
def test_an_answer_says_where_it_stops_and_why(row: list[float], reason: str, following: str | None, text: str) -> None:
    stop = answer_of(version(), row)["stop"]
    assert (stop["reason"], stop["text"]) == (reason, text)
    assert (stop["next"] and stop["next"]["name"]) == following


def test_what_follows_may_be_of_another_taxon() -> None:
    stop = answer_of(version(), [0.3, 0.25, 0.31, 0.14], Question(threshold=0.4))["stop"]
    assert (
        stop["text"]
        == "stops at the genus: the species, of another genus, Morus serrator has 31 %, and 40 % are asked for"
    )


def test_other_rules_are_told_by_their_scores() -> None:
    served = version(thresholds=table(rule="reward"))
    row = [0.85, 0.11, 0.03, 0.01]
    stop = answer_of(served, row)["stop"]
    assert stop["text"] == "stops at the genus: Nestor notabilis scores 0.1979 by the reward rule, and 0.8 is asked for"
    assert answer(np.array([row]), TREE, stop["next"]["score"], rule="reward").node_ids[0] == TREE.find(
        "Nestor notabilis"
    )
    never = answer_of(served, SURE_OF_THE_GENUS)["stop"]
    assert never["text"] == "stops at the genus: Nestor notabilis is preferred by the reward rule at no setting"


@given(st.floats(0, 1), st.integers(0, 3))
def test_only_what_is_certain_is_shown_as_certain(value: float, decimals: int) -> None:
    shown = percent(value, decimals=decimals)
    assert (float(shown.strip("<> %")) in {0, 100} and shown[0] not in "<>") == (value in {0, 1})


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0 %"), (1e-9, "<0.001 %"), (0.0000123, "0.0012 %"), (0.00084, "0.084 %"), (0.0037, "0.37 %"),
        (0.025, "2.5 %"), (0.1, "10 %"), (0.999, ">99 %"), (1, "100 %"),
    ],
)  # fmt: skip
def test_small_probabilities_are_shown_to_two_digits(value: float, shown: str) -> None:
    assert small_percent(value) == shown


@given(st.floats(0, 1), st.floats(0, 1))
def test_what_differs_by_more_than_rounding_is_shown_apart(first: float, second: float) -> None:
    shown = apart(first, second)
    assert (shown[0] != shown[1]) or abs(first - second) < 1e-7


def test_a_filter_that_the_network_contradicts_is_told() -> None:
    (warning,) = answer_of(version(), MULBERRY, Question(within=("Aves",)))["warnings"]
    assert warning == {
        "kind": "within",
        "text": "the network contradicts that this lies within Aves: it gives 6 % to that, and would have said species "
        "Morus alba (94 %)",
    }


@pytest.mark.parametrize("within", [("Plantae",), ("Morus alba",), ("Aves", "Plantae")])
def test_a_filter_that_agrees_is_not_told(within: tuple[str, ...]) -> None:
    assert answer_of(version(), MULBERRY, Question(within=within))["warnings"] == []


def test_a_filter_below_what_would_be_answered_contradicts_only_where_little_is_inside() -> None:
    # Without the filter the genus Nestor is answered.
    inside = Question(within=("Nestor meridionalis",))
    assert answer_of(version(), SURE_OF_THE_GENUS, inside)["warnings"] == []
    (warning,) = answer_of(version(), [0.79, 0.09, 0.11, 0.01], inside)["warnings"]
    assert warning["text"].endswith("it gives 9 % to that, and would have said genus Nestor (88 %)")


def test_a_filter_where_nothing_would_be_answered() -> None:
    (warning,) = answer_of(version(), [0.45, 0.45, 0.02, 0.08], Question(within=("Morus serrator",), target=0.99))[
        "warnings"
    ]
    assert warning["text"].endswith("it gives 2 % to that, and would have named nothing")


def test_an_alarm_comes_first_and_whatever_the_filter() -> None:
    asked = Question(within=("Plantae > Morus",), watch=("Aves=0.05", "Nestor", "Morus serrator"))
    found = answer_of(version(), [0.05, 0.04, 0.85, 0.06], asked)
    assert [warning["kind"] for warning in found["warnings"]] == ["watch", "watch", "within"]
    assert found["warnings"][0]["text"] == (
        "ALARM, watched: Animalia > Chordata > Aves has 94 % (alarm from 5.0 %, which was not calibrated)"
    )
    assert [(taxon["name"], taxon["threshold"], taxon["basis"], taxon["alarm"]) for taxon in found["watch"]] == [
        ("Aves", 0.05, "asked", True), ("Nestor", 0.1, "asked", False), ("Morus serrator", 0.1, "asked", True),
    ]  # fmt: skip


def test_a_taxon_of_the_watch_list_keeps_its_calibrated_alarm_unless_another_is_given() -> None:
    own = {
        "taxon": "Animalia > ... > Nestor", "node_id": TREE.find("Nestor"), "threshold": 0.3, "basis": "taxon",
        "calibration_photos": 60, "evaluation_photos": 60, "recall": 0.97, "false_alarms": 0.1,
    }  # fmt: skip
    served = version(calibration=calibration(watch=[own]))
    for watch, expected in (((), (0.3, "taxon")), (("Nestor",), (0.3, "taxon")), (("Nestor=0.2",), (0.2, "asked"))):
        (taxon,) = answer_of(served, SURE_OF_THE_GENUS, Question(watch=watch))["watch"]
        assert (taxon["threshold"], taxon["basis"], taxon["alarm"]) == (*expected, True)
    text = answer_of(served, SURE_OF_THE_GENUS)["warnings"][0]["text"]
    assert text == "ALARM, watched: Animalia > ... > Nestor has 96 % (alarm from 30 %)"


@pytest.mark.parametrize(
    ("watch", "reason"),
    [
        ("Dodo", "the model knows no taxon 'Dodo'"),
        ("Morus", "'Morus' stands for several taxa"),
        ("Life", "the root of the taxonomy cannot be watched"),
    ],
)
def test_only_what_the_model_knows_can_be_watched(watch: str, reason: str) -> None:
    with pytest.raises(QuestionError, match=reason):
        version().plan(Question(watch=(watch,)))


def test_a_photograph_unlike_all_known_species_is_told() -> None:
    prototypes = Prototypes.of(
        means=np.eye(4, dtype=np.float32), photos=np.full(4, 9), covariance=np.eye(4, dtype=np.float32)
    )
    known, left_out = np.linspace(0, 0.2, 99, dtype=np.float32), np.linspace(0.5, 1, 10, dtype=np.float32)
    served = version(novelty=Novelty(prototypes=prototypes, known=known, left_out=left_out))
    plan = served.plan(Question())
    rows = np.array([MULBERRY, MULBERRY])
    embeddings = np.stack([np.eye(4)[GANNET], -np.eye(4)[GANNET]]).astype(np.float32)
    usual, strange = served.answers(Looks(rows, embeddings), plan)
    assert usual["warnings"] == []
    assert [warning["kind"] for warning in strange["warnings"]] == ["novelty"]


def test_how_unlike_is_told_in_shares() -> None:
    novelty = {"distance": 0.9, "known": 0.021, "novel": 0.38}
    assert unlike(novelty) == (
        "maybe a species that the model does not know: only 2.1 % of photographs of known species and 38 % of those of "
        "unknown genera look so unlike them"
    )
    assert "unknown genera" not in str(unlike({**novelty, "novel": None}))
    assert unlike({**novelty, "known": 0.06}) is None
