"""The watch-list: recall holds for the next photograph, few photographs borrow, homonyms and strangers are told."""

import numpy as np
import pytest

from ml.specificity.operating_points import DECIMALS
from ml.specificity.temperature import temper
from ml.specificity.watch_list import find_watched, watch
from ml.taxonomy import Floats, Integers, TaxonError, Taxonomy
from tests.ml.specificity_fixtures import BIRDS, rows_of


@pytest.fixture
def birds() -> Taxonomy:
    return Taxonomy.of_rows(rows_of(BIRDS))


def _photographs(photos: int, *, seed: int) -> tuple[Floats, Integers]:
    generator = np.random.default_rng(seed)
    labels = generator.integers(4, size=photos)
    logits = generator.normal(size=(photos, 4)) * 2
    logits[np.arange(photos), labels] += 1.5
    exponential = np.exp(logits)
    return exponential / exponential.sum(axis=1, keepdims=True), labels.astype(np.int32)


def test_names_lineages_and_keys_are_watched_and_strangers_are_told(birds: Taxonomy) -> None:
    gannet = birds.find("Morus serrator")
    nodes, unknown = find_watched(["Plantae > Morus", "Dodo", str(birds.taxon_key[gannet]), "morus serrator"], birds)
    assert [birds.name[node] for node in nodes] == ["Morus", "Morus serrator"]
    assert unknown == ("Dodo",)


def test_a_homonym_must_be_named_apart(birds: Taxonomy) -> None:
    with pytest.raises(TaxonError, match=r"stands for several.*Sulidae > Morus.*Moraceae > Morus"):
        find_watched(["Morus"], birds)
    with pytest.raises(TaxonError, match="root"):
        find_watched(["Life"], birds)


@pytest.mark.parametrize("recall", [0.8, 0.95])
def test_the_recall_holds_for_photographs_that_chose_nothing(birds: Taxonomy, recall: float) -> None:
    """The promise is about the average over calibrations: 300 of them, 60 photographs of the taxon in each."""
    node = birds.find("Morus alba")
    raised = []
    for seed in range(300):
        rows, labels = _photographs(480, seed=seed)
        first = np.arange(480) < 240
        (found,) = watch(rows, labels, [node], birds, chooses=first, judges=~first, recall=recall)
        assert found.basis == "taxon"
        assert found.recall is not None
        assert found.recall == (rows[240:, 3] >= found.threshold)[labels[240:] == 3].mean()
        assert found.false_alarms == (rows[240:, 3] >= found.threshold)[labels[240:] != 3].mean()
        raised.append(found.recall)
    assert recall - 0.01 <= np.mean(raised) <= recall + 0.03


def test_with_too_few_photographs_the_threshold_of_its_rank_is_borrowed(birds: Taxonomy) -> None:
    rows, labels = _photographs(400, seed=1)
    kept = (labels != 3) | (np.cumsum(labels == 3) <= 5)
    rows, labels = rows[kept], labels[kept]
    every = np.ones(len(labels), dtype=bool)
    nodes = [birds.find("Morus alba"), birds.find("Morus serrator")]
    rare, common = watch(rows, labels, nodes, birds, chooses=every, judges=every, recall=0.95)
    assert (rare.basis, rare.calibration_photos) == ("rank", 5)
    assert common.basis == "taxon"
    own = rows[np.arange(len(labels)), labels]
    rank = int((len(own) + 1) * 0.05)
    assert rare.threshold == pytest.approx(np.sort(own)[rank - 1])


def test_without_any_photographs_every_one_is_an_alarm(birds: Taxonomy) -> None:
    every = np.ones(3, dtype=bool)
    (found,) = watch(
        np.full((3, 4), 0.25), np.zeros(3, dtype=np.int32), [birds.find("Morus alba")], birds, chooses=every,
        judges=every, recall=0.95,
    )  # fmt: skip
    assert (found.threshold, found.recall, found.false_alarms) == (0, None, 1)


def test_alarms_look_at_sums_at_the_temperature(birds: Taxonomy) -> None:
    rows, labels = _photographs(400, seed=2)
    every = np.ones(400, dtype=bool)
    (found,) = watch(
        rows, labels, [birds.find("Aves")], birds, chooses=every, judges=every, recall=0.9, temperature=3.0
    )
    own = np.sort(temper(rows, 3.0)[labels < 3, :3].sum(axis=1))
    assert found.threshold == pytest.approx(own[int((len(own) + 1) * 0.1) - 1])


def test_several_photographs_of_one_observation_count_once(birds: Taxonomy) -> None:
    """Five almost equal photographs of each observation: counted one by one, they would promise too much.

    The recall is that of a photograph of an observation that chose nothing, over 300 calibrations.
    """
    node, recall, per = birds.find("Morus alba"), 0.9, 5
    together, alone, chosen = [], [], []
    for seed in range(300):
        rows, labels = _photographs(120, seed=seed)
        rows, labels = np.repeat(rows, per, axis=0), np.repeat(labels, per)
        observations = np.repeat(np.arange(120), per).astype(object)
        first = observations < 60
        arguments = {"chooses": first.astype(bool), "judges": ~first.astype(bool), "recall": recall}
        (found,) = watch(rows, labels, [node], birds, observations=observations, seed=seed, **arguments)  # type: ignore[arg-type]
        (naive,) = watch(rows, labels, [node], birds, **arguments)  # type: ignore[arg-type]
        taken = int((labels[:300] == 3).sum() / per)
        assert found.calibration_photos == taken
        assert naive.calibration_photos == taken * per
        if found.basis == "taxon":
            assert found.threshold <= naive.threshold
            chosen.append(taken)
            together.append(found.recall)
            alone.append(naive.recall)
    assert len(chosen) > 200
    assert recall <= np.mean(np.array(together, dtype=float))
    assert np.mean(np.array(alone, dtype=float)) < recall


def test_an_alarm_is_raised_by_a_photograph_like_the_one_that_chose_it(birds: Taxonomy) -> None:
    """However the sums are rounded: in integers here, in another order where they are served."""
    generator = np.random.default_rng(5)
    rows = generator.dirichlet(np.ones(4), size=40)
    every = np.ones(40, dtype=bool)
    (found,) = watch(
        rows, np.zeros(40, dtype=np.int32), [birds.find("Aves")], birds, chooses=every, judges=every, recall=0.9
    )
    served = np.round(rows[:, :3].sum(axis=1), DECIMALS)
    assert (served == found.threshold).any()
    assert (served >= found.threshold).sum() == 37
