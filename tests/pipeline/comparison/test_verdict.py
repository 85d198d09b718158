"""The verdict names the best network, and calls a lead beyond chance only where every interval leaves out 0."""

from typing import Any

import pytest

from ml.spec import NetworkName
from pipeline.comparison.networks import NETWORKS
from pipeline.comparison.verdict import beyond_chance, ranking, rivals, verdict


def summary(**top1: float) -> list[dict[str, Any]]:
    values = dict.fromkeys(NETWORKS, 0.5) | top1
    return [{"network": name, "quantity": "top1", "value": value} for name, value in values.items()]


def difference(network: NetworkName, other: NetworkName, *, value: float, low: float, **seeds: float) -> dict[str, Any]:
    row = {"network": network, "other": other, "difference": value, "low": low, "high": 2 * value - low, "photos": 1200}
    return row | {"low_over_seeds": None, "high_over_seeds": None} | seeds


def test_the_best_is_judged_against_the_second_and_the_baseline() -> None:
    rows = summary(multi_view=0.8, knowledge_transfer=0.79)
    assert ranking(rows)[:2] == ["multi_view", "knowledge_transfer"]
    assert rivals(ranking(rows)) == [("multi_view", "knowledge_transfer"), ("multi_view", "baseline")]
    found = verdict(
        rows,
        [
            difference("multi_view", "knowledge_transfer", value=0.01, low=-0.02),
            difference("multi_view", "baseline", value=0.3, low=0.25),
        ],
    )
    assert found.winner == "multi_view"
    assert found.sentence == (
        "The best network is \u201ctwo views\u201d: it recognises the species on 80.0 % of the 1,200 validation "
        "photographs, 1.0 points more than \u201ctwo views, knowledge transfer\u201d, a difference within chance "
        "(-2.0 to +4.0) and 30.0 points more than \u201cone view (baseline)\u201d, a difference beyond chance "
        "(+25.0 to +35.0)."
    )


def test_a_winning_baseline_is_judged_against_the_second_alone() -> None:
    rows = summary(baseline=0.6)
    assert rivals(ranking(rows)) == [("baseline", "baseline_matched")]
    found = verdict(rows, [difference("baseline", "baseline_matched", value=0.0, low=-0.01)])
    assert "as many as \u201cone view, schedule of two views\u201d, a difference within chance" in found.sentence


@pytest.mark.parametrize(
    ("low", "seeds", "beyond"),
    [
        (0.01, {}, True),
        (-0.01, {}, False),
        (0.01, {"low_over_seeds": 0.005, "high_over_seeds": 0.1}, True),
        (0.01, {"low_over_seeds": -0.02, "high_over_seeds": 0.1}, False),
    ],
)
def test_beyond_chance_is_beyond_the_chance_of_photographs_and_of_seeds(
    low: float, seeds: dict[str, float], *, beyond: bool
) -> None:
    assert beyond_chance(difference("multi_view", "baseline", value=0.03, low=low, **seeds)) is beyond
