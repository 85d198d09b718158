"""Which training is released next: every rule, and the order in which they count."""

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import pytest

from ml.spec import NetworkName
from pipeline.production.choice import FIRST, Champion, Decision, Facts, choose
from pipeline.production.production_specs import Ancestor

FILES = Ancestor(
    version="3", network=Path("network.json"), weights=Path("weights"), taxonomy=Path("taxonomy"), identity="i"
)
CHAMPION = Champion(
    version="3", dataset_version="old", network="multi_view", training="t3", how="continued", ancestor="2",
    full_photos=1000, top1=0.7, files=FILES,
)  # fmt: skip
PRESENT = dataclasses.replace(CHAMPION, dataset_version="now")
RESEARCH: dict[NetworkName, float] = {
    "baseline": 0.5, "baseline_matched": 0.6, "multi_view": 0.8, "knowledge_transfer": 0.75
}  # fmt: skip


def decided(champion: Champion | None, **changes: Any) -> Decision:  # noqa: ANN401
    facts = {"dataset_version": "now", "photos": 1100, "full_growth": 0.5, "research": {}, "network": None, **changes}
    return choose(Facts(champion=champion, **facts))


def altered(champion: Champion, **changes: Any) -> Champion:  # noqa: ANN401
    return dataclasses.replace(champion, **changes)


def test_without_a_champion_the_network_is_trained_from_nothing() -> None:
    found = decided(None)
    assert (found.what, found.network) == ("full", FIRST)
    assert found.reason == "trained from nothing: there is no champion yet"
    assert decided(None, network="baseline").network == "baseline"


def test_training_goes_on_from_the_champion_of_an_earlier_dataset() -> None:
    found = decided(CHAMPION)
    assert (found.what, found.network) == ("continue", "multi_view")
    assert found.reason == (
        "training goes on from version 3, the champion: training photographs have grown by 10% since the last training "
        "from nothing"
    )
    assert "have shrunk by 10%" in decided(CHAMPION, photos=900).reason


@pytest.mark.parametrize(("photos", "what"), [(1000, "continue"), (1500, "continue"), (1501, "full")])
def test_it_begins_from_nothing_where_it_has_grown_by_more_than_the_share(photos: int, what: str) -> None:
    assert decided(CHAMPION, photos=photos).what == what


def test_the_growth_that_asks_for_it_is_named() -> None:
    assert decided(CHAMPION, photos=1600).reason == (
        "trained from nothing: training photographs have grown by 60% since the last training from nothing "
        "(refresh.full_growth is 50%)"
    )


@pytest.mark.parametrize("full_photos", [None, 0])
def test_a_growth_that_nobody_knows_counts_as_too_much(full_photos: int | None) -> None:
    found = decided(altered(CHAMPION, full_photos=full_photos))
    assert found.what == "full"
    assert "nobody knows how much" in found.reason


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"lost": "missing: weights", "files": None}, "cannot be gone on from: missing: weights"),
        ({"differs": ("image size 128 instead of 112",)}, "trained otherwise than configured: image size 128 instead"),
        ({"network": None}, "does not say which network it is"),
    ],
)
def test_a_champion_that_cannot_be_gone_on_from_is_replaced_from_nothing(changes: dict[str, Any], said: str) -> None:
    for champion in (CHAMPION, PRESENT):
        found = decided(altered(champion, **changes))
        assert found.what == "full"
        assert said in found.reason
        assert found.network == (changes.get("network", "multi_view") or FIRST)


def test_a_champion_of_this_dataset_stays() -> None:
    found = decided(PRESENT)
    assert (found.what, found.network) == ("keep", "multi_view")
    assert found.reason == "version 3, the champion, was trained on this dataset version already"


def test_however_much_has_grown_the_champion_of_this_dataset_stays() -> None:
    assert decided(PRESENT, photos=10_000).what == "keep"


def test_a_champion_of_this_dataset_whose_training_is_gone_is_gone_on_from() -> None:
    assert decided(altered(PRESENT, top1=None)).what == "continue"


def test_the_best_of_the_comparison_is_adopted() -> None:
    for champion in (None, CHAMPION, altered(PRESENT, top1=None), altered(PRESENT, lost="gone", files=None)):
        found = decided(champion, research=RESEARCH)
        assert (found.what, found.network) == ("adopt", "multi_view")
        assert found.reason == "multi_view is the best network of the comparison (80.0% right)"


def test_the_network_that_the_configuration_names_is_adopted_instead() -> None:
    found = decided(CHAMPION, research=RESEARCH, network="knowledge_transfer")
    assert (found.what, found.network) == ("adopt", "knowledge_transfer")
    assert "which refresh.network names" in found.reason


@pytest.mark.parametrize(("top1", "what"), [(0.79, "adopt"), (0.80, "keep"), (0.81, "keep")])
def test_a_champion_of_this_dataset_gives_way_only_to_a_better_network(top1: float, what: str) -> None:
    found = decided(altered(PRESENT, top1=top1), research=RESEARCH)
    assert found.what == what
    if what == "adopt":
        assert found.reason.endswith("better than version 3, the champion (79.0%)")


def test_a_champion_that_was_trained_otherwise_gives_way_to_the_comparison_whatever_it_reached() -> None:
    champion = altered(PRESENT, top1=0.99, differs=("backbone a instead of b",))
    assert decided(champion, research=RESEARCH).what == "adopt"


def test_every_combination_of_facts_has_one_outcome_that_can_be_carried_out() -> None:
    states: list[dict[str, Any]] = [
        {}, {"lost": "gone", "files": None}, {"differs": ("recipe a instead of b",)}
    ]  # fmt: skip
    kinds = itertools.product(("now", "old", None), (None, 0.7, 0.9), (None, 10, 1000), (None, "multi_view"), states)
    champions: list[Champion | None] = [
        altered(CHAMPION, dataset_version=version, top1=top1, full_photos=photos, network=network, **state)
        for version, top1, photos, network, state in kinds
    ]
    champions.append(None)
    seen = set()
    for champion, research, network in itertools.product(champions, ({}, RESEARCH), (None, "baseline")):
        found = decided(champion, research=research, network=network)
        seen.add(found.what)
        assert found.reason
        if found.what == "adopt":
            assert found.network in research
        if found.what == "keep":
            assert champion is not None
            assert champion.dataset_version == "now"
            assert champion.training is not None
        if found.what == "continue":
            assert champion is not None
            assert champion.files is not None
            assert not champion.differs
        if found.what in {"keep", "continue"}:
            assert champion is not None
            assert found.network == champion.network
        if found.what == "full":
            assert not research
    assert seen == {"keep", "adopt", "continue", "full"}
