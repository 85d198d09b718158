"""The guarantee: it holds in simulation, costs little, needs its assumptions, and says when it cannot be given."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ml.evaluation.reliability import clopper_pearson
from ml.spec import Rule, SpecificityOptions
from ml.specificity.answers import candidates, curve_of
from ml.specificity.guarantee import GRID, effective_number, guaranteed_threshold, one_per_group, photos_needed
from ml.specificity.operating_points import OperatingCurve
from ml.specificity.rules import RULES
from ml.specificity.thresholds import Half, judge_table, learn
from ml.specificity.tree_sums import SpecificityError
from ml.taxonomy import Integers, Taxonomy
from tests.ml.specificity_fixtures import random_rows, random_tree

RESAMPLINGS, DELTA = 1_000, 0.1


def _population(photos: int = 20_000, *, seed: int = 17, rule: Rule = "threshold") -> tuple[Half, Taxonomy]:
    """Everyone a network may meet: its accuracy at any threshold is known exactly."""
    generator = np.random.default_rng(seed)
    tree = random_tree(generator, leaves=40)
    labels: Integers = generator.integers(tree.class_count, size=photos).astype(np.int32)
    logits = generator.normal(size=(photos, tree.class_count)) * 1.5
    logits[np.arange(photos), labels] += generator.uniform(0, 5, size=photos)
    exponential = np.exp(logits)
    found = candidates(exponential / exponential.sum(axis=1, keepdims=True), tree, rule=rule)
    return Half(found=found, labels=labels), tree


@pytest.mark.parametrize(
    ("target", "rule"),
    [(0.8, "threshold"), (0.9, "threshold"), (0.95, "threshold"), (0.8, "reward"), (0.9, "reward"), (0.5, "distance")],
)
def test_over_a_thousand_resamplings_the_promise_is_broken_in_at_most_a_delta_share(target: float, rule: Rule) -> None:
    everyone, tree = _population(rule=rule)
    truth = everyone.curve(tree)
    generator = np.random.default_rng(2017)
    broken = estimated = 0
    lost: list[float] = []
    for _ in range(RESAMPLINGS):
        curve = everyone.rows(generator.integers(len(everyone.labels), size=400)).curve(tree)
        promised = guaranteed_threshold(curve, target=target, delta=DELTA)
        assert promised is not None
        best = float(curve.threshold[curve.choose(target)])
        broken += truth.accuracy[truth.at(promised)] < target
        estimated += truth.accuracy[truth.at(best)] < target
        lost.append(float(truth.depth[truth.at(best)] - truth.depth[truth.at(promised)]))
    low, _ = clopper_pearson(broken, RESAMPLINGS)
    assert low <= DELTA
    # Not vacuous: the promise is used up to a good part, the best guess would break it every other time.
    assert broken > 0.2 * DELTA * RESAMPLINGS
    assert estimated > 0.3 * RESAMPLINGS
    assert 0 < float(np.mean(lost)) < 0.6


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(min_value=0, max_value=2**32 - 1), target=st.sampled_from([0.6, 0.75, 0.9]))
def test_the_promise_holds_on_any_population_by_every_rule(*, rule: Rule, seed: int, target: float) -> None:
    """Accuracy may fall and rise along the parameter: labels that have little to do with the network see to it."""
    generator = np.random.default_rng(seed)
    tree = random_tree(generator, leaves=int(generator.integers(3, 20)), uneven=True)
    photos, classes = 4_000, tree.class_count
    rows = random_rows(generator, photos=photos, classes=classes)
    honest = (rows.cumsum(axis=1) < generator.random((photos, 1))).sum(axis=1).clip(max=classes - 1)
    labels = np.where(generator.random(photos) < generator.random(), honest, generator.integers(classes, size=photos))
    everyone = Half(found=candidates(rows, tree, rule=rule), labels=labels.astype(np.int32))
    truth, options = everyone.curve(tree), SpecificityOptions(target=target, rule=rule, delta=DELTA)
    repeats, broken = 150, 0
    for _ in range(repeats):
        table = learn(everyone.rows(generator.integers(photos, size=120)), tree, targets=[target], options=options)
        if table.reachable[0, 0]:
            broken += truth.accuracy[truth.at(float(table.thresholds[0, 0]))] < target
    # So many would be an accident of one in a million if the promise were broken with a probability of delta.
    assert broken <= stats.binom.ppf(1 - 1e-6, repeats, DELTA)


def _curve(right: int, photos: int) -> OperatingCurve:
    """One breakpoint: above it nothing is answered, from it on everything."""
    return OperatingCurve(
        threshold=np.array([1.0, 0.6]),
        accuracy=np.array([1.0, right / photos]),
        depth=np.array([0.0, 7.0]),
        abstention=np.array([1.0, 0.0]),
        information=np.array([0.0, 5.0]),
        photos=photos,
    )


def test_a_threshold_passes_where_the_clopper_pearson_bound_reaches_the_target() -> None:
    for right in range(880, 960):
        bound = stats.beta.ppf(0.05, right, 1000 - right + 1)
        promised = guaranteed_threshold(_curve(right, 1000), target=0.9, delta=0.05)
        assert promised is not None
        assert (promised <= 0.6) == (bound >= 0.9)


def test_the_sequence_ends_at_the_first_failure() -> None:
    """Below 0.5 accuracy may rise again: what lies behind a failure is not looked at."""
    curve = OperatingCurve(
        threshold=np.array([1.0, 0.7, 0.4]),
        accuracy=np.array([1.0, 0.5, 1.0]),
        depth=np.array([0.0, 3.0, 7.0]),
        abstention=np.array([1.0, 0.5, 0.0]),
        information=np.array([0.0, 2.0, 5.0]),
        photos=500,
    )
    promised = guaranteed_threshold(curve, target=0.9, delta=0.05)
    assert promised is not None
    assert 0.7 < promised < 0.71


def test_few_photographs_promise_nothing_and_say_how_many_are_needed() -> None:
    assert photos_needed(target=0.9, delta=0.05) == 29
    assert guaranteed_threshold(_curve(28, 28), target=0.9, delta=0.05) is None
    assert guaranteed_threshold(_curve(29, 29), target=0.9, delta=0.05) == GRID[-1]


def test_the_grid_falls_from_one() -> None:
    assert GRID[0] == 1
    assert (np.diff(GRID) < 0).all()
    assert GRID[-1] < 0.001


def test_photographs_of_one_observation_count_once() -> None:
    rows = one_per_group(np.array(["a", "b", "a", "c", "b", "a"], dtype=object), seed=3)
    assert len(rows) == 3
    assert sorted(np.array(["a", "b", "a", "c", "b", "a"])[rows]) == ["a", "b", "c"]
    assert rows.tolist() == one_per_group(np.array(["a", "b", "a", "c", "b", "a"], dtype=object), seed=3).tolist()


def test_photographs_that_are_all_alike_are_worth_their_observations() -> None:
    """Kish (1965): n / (1 + (m - 1) rho) for groups of m with the correlation rho, which is taken to be 1."""
    assert effective_number(None, photos=12) == 12
    assert effective_number(np.arange(12), photos=12) == 12
    assert effective_number(np.repeat(np.arange(4), 3), photos=12) == pytest.approx(12 / (1 + (3 - 1) * 1))
    assert effective_number(np.array(["a"] * 9 + ["b"]), photos=10) == pytest.approx(100 / 82)


def test_intervals_hold_for_the_next_observations_however_many_photographs_each_has() -> None:
    """Ten copies of each photograph: an interval that counts them one by one is too narrow."""
    everyone, tree = _population()
    table = learn(everyone, tree, targets=[0.8], options=SpecificityOptions(target=0.8))
    truth = judge_table(table, everyone, tree, target=0.8).accuracy
    generator = np.random.default_rng(4)
    held = naive = 0
    for _ in range(200):
        copies = everyone.rows(np.repeat(generator.integers(len(everyone.labels), size=100), 10))
        grouped = dataclasses.replace(copies, observations=np.repeat(np.arange(100), 10).astype(object))
        one, other = (judge_table(table, half, tree, target=0.8) for half in (grouped, copies))
        assert one.accuracy == other.accuracy
        held += one.accuracy_low <= truth <= one.accuracy_high
        naive += other.accuracy_low <= truth <= other.accuracy_high
    assert held >= 185
    assert naive < 120


def test_copies_of_photographs_do_not_buy_a_promise() -> None:
    """Every photograph ten times: as independent ones they would promise a lower threshold."""
    everyone, tree = _population(photos=300)
    copies = everyone.rows(np.repeat(np.arange(300), 10))
    honest = Half(found=copies.found, labels=copies.labels, observations=np.repeat(np.arange(300), 10).astype(object))
    options = SpecificityOptions(target=0.9, delta=0.05)
    once, naive, grouped = (
        learn(half, tree, targets=[0.9], options=options).thresholds[0, 0] for half in (everyone, copies, honest)
    )
    assert naive < once == grouped


def test_a_promise_for_all_groups_is_stricter_than_one_for_each() -> None:
    everyone, tree = _population(photos=4_000)
    options = SpecificityOptions(target=0.9, delta=0.05, groups="order", group_photos=200)
    table = learn(everyone, tree, targets=[0.9], options=options)
    assert len(table.groups) > 2
    members = everyone.rows(everyone.found.node_ids[:, 4] == table.groups[1])
    alone = guaranteed_threshold(curve_of(members.found, members.labels, tree), target=0.9, delta=0.05)
    assert alone is not None
    assert table.thresholds[0, 1] >= alone
    assert judge_table(table, everyone, tree, target=0.9).accuracy >= 0.9


def test_targets_and_deltas_outside_their_range_are_refused() -> None:
    for target, delta in ((1.0, 0.05), (0.9, 0.0), (0.0, 0.5)):
        with pytest.raises(SpecificityError, match="between 0 and 1"):
            guaranteed_threshold(_curve(90, 100), target=target, delta=delta)


@pytest.mark.parametrize(("right", "photos"), [(0, 7), (7, 7), (1, 84), (76, 84), (4_503, 5_000)])
def test_the_interval_is_the_exact_one(right: int, photos: int) -> None:
    expected = stats.binomtest(right, photos).proportion_ci(confidence_level=0.95, method="exact")
    assert clopper_pearson(right, photos) == pytest.approx((expected.low, expected.high), abs=1e-12)
