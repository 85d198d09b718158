"""Answer rules against their definitions, written out over all taxa and species of small trees."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.errors import DataError
from ml.spec import Reward, Rule, SpecificityOptions
from ml.specificity import answer, calibrate, information_bits, node_probabilities, operating_curve, restrict, tree_sums
from ml.specificity.answers import candidates
from ml.specificity.calibration import Labelled, calibrate_network
from ml.specificity.rules import RULES, describe_rule, parameter_name, weight_of
from ml.specificity.thresholds import Half, ThresholdTable, judge_table, learn
from ml.specificity.tree_sums import SpecificityError
from ml.taxonomy import Floats, Taxonomy
from tests.ml.specificity_fixtures import BIRDS, random_rows, random_tree, rows_of

seeds = st.integers(min_value=0, max_value=2**32 - 1)
parameters = st.one_of(st.floats(min_value=0, max_value=0.999), st.sampled_from([0.0, 0.25, 0.5, 0.75]))
EVERY: tuple[tuple[Rule, Reward], ...] = (
    ("threshold", "depth"), ("reward", "depth"), ("reward", "information"), ("distance", "depth"),
)  # fmt: skip


def steps(tree: Taxonomy) -> Floats:
    """Steps in the tree from each node to each species, up to their last common ancestor and down again: V x C."""
    found = np.empty((tree.node_count, tree.class_count))
    for node in range(tree.node_count):
        above = tree.lineage(node)
        for class_id, leaf in enumerate(tree.leaves):
            other = tree.lineage(int(leaf))
            shared = sum(a == b for a, b in zip(above, other, strict=False))
            found[node, class_id] = len(above) + len(other) - 2 * shared
    return found


def assert_best(chosen: Floats, payoffs: Floats, depths: Floats, taken: Floats) -> None:
    """Each answer has the greatest payoff; of several it is the deepest."""
    best = payoffs.max(axis=1)
    np.testing.assert_allclose(chosen, best, atol=1e-8)
    clearly = payoffs >= (best - 1e-12)[:, None]
    deepest = np.where(clearly, depths[None, :], 0).max(axis=1)
    assert (taken >= deepest).all()


@settings(max_examples=80, deadline=None)
@given(seed=seeds, t=parameters, uneven=st.booleans())
def test_the_reward_rule_answers_with_the_greatest_rewarded_probability_of_all_taxa(
    *, seed: int, t: float, uneven: bool
) -> None:
    generator = np.random.default_rng(seed)
    tree = random_tree(generator, leaves=int(generator.integers(2, 14)), uneven=uneven)
    rows = random_rows(generator, photos=6, classes=tree.class_count)
    nodes = node_probabilities(rows, tree)
    nodes[:, 0] = 1
    weight = tree.max_depth * t / (1 - t)
    payoffs = (tree.depth + weight) * nodes / (1 + weight)
    taken = answer(rows, tree, t, rule="reward").node_ids
    assert_best(payoffs[np.arange(6), taken], payoffs, tree.depth.astype(float), tree.depth[taken].astype(float))


@settings(max_examples=60, deadline=None)
@given(seed=seeds, t=parameters)
def test_rewarded_by_information_the_most_probable_taxa_of_each_depth_are_compared(*, seed: int, t: float) -> None:
    generator = np.random.default_rng(seed)
    tree = random_tree(generator, leaves=int(generator.integers(2, 14)))
    rows = random_rows(generator, photos=6, classes=tree.class_count)
    found = candidates(rows, tree)
    bits = information_bits(tree)
    certain = found.probabilities.copy()
    certain[:, 0] = 1
    weight = bits.max() * t / (1 - t)
    payoffs = (bits[found.node_ids] + weight) * certain / (1 + weight)
    taken = answer(rows, tree, t, rule="reward", reward="information").node_ids
    depths = tree.depth[taken]
    assert (found.node_ids[np.arange(6), depths] == taken).all()
    assert_best(payoffs[np.arange(6), depths], payoffs, np.arange(tree.max_depth + 1.0), depths.astype(float))


@settings(max_examples=80, deadline=None)
@given(seed=seeds, t=parameters, uneven=st.booleans())
def test_the_distance_rule_answers_with_the_least_expected_steps_to_the_true_species(
    *, seed: int, t: float, uneven: bool
) -> None:
    generator = np.random.default_rng(seed)
    tree = random_tree(generator, leaves=int(generator.integers(2, 14)), uneven=uneven)
    rows = random_rows(generator, photos=6, classes=tree.class_count)
    weight = weight_of("distance", "depth", t, tree)
    assert weight is not None
    payoffs = -(rows @ steps(tree).T - weight * tree.depth)
    taken = answer(rows, tree, t, rule="distance").node_ids
    assert_best(payoffs[np.arange(6), taken], payoffs, tree.depth.astype(float), tree.depth[taken].astype(float))


@settings(max_examples=60, deadline=None)
@given(seed=seeds, t=st.floats(min_value=0.5 + 1e-6, max_value=1), uneven=st.booleans())
def test_from_a_half_on_the_distance_rule_is_the_papers(*, seed: int, t: float, uneven: bool) -> None:
    generator = np.random.default_rng(seed)
    tree = random_tree(generator, leaves=12, uneven=uneven)
    rows = random_rows(generator, photos=8, classes=tree.class_count)
    assert answer(rows, tree, t, rule="distance").node_ids.tolist() == answer(rows, tree, t).node_ids.tolist()


def test_below_a_half_the_distance_rule_stays_in_the_likelier_branch() -> None:
    """One half of the tree has 60 % in many species, the other 40 % in one."""
    tree = Taxonomy.of_rows(rows_of({"A": {"A1": {}, "A2": {}, "A3": {}}, "B": {"B1": {}}}))
    row = np.array([[0.2, 0.2, 0.2, 0.4]])
    assert tree.name[answer(row, tree, 0.3).node_ids[0]] == "B1"
    assert tree.name[answer(row, tree, 0.3, rule="distance").node_ids[0]] == "A"


def test_the_reward_rule_ventures_where_the_threshold_does_not() -> None:
    tree = Taxonomy.of_rows(rows_of(BIRDS))
    row = np.array([[0.5, 0.4, 0.1, 0.0]])
    named = [tree.name[answer(row, tree, t, rule="reward").node_ids[0]] for t in (0.0, 0.999, 1.0)]
    # Nestor: 6 x 0.9; a species of it: 7 x 0.5. All of the probability is within Aves.
    assert named == ["Nestor", "Aves", "Aves"]


@pytest.mark.parametrize(("rule", "reward"), EVERY)
@settings(max_examples=30, deadline=None)
@given(seed=seeds, uneven=st.booleans())
def test_the_curve_is_what_answering_at_each_parameter_gives(
    *, rule: Rule, reward: Reward, seed: int, uneven: bool
) -> None:
    generator = np.random.default_rng(seed)
    tree = random_tree(generator, leaves=10, uneven=uneven)
    rows = random_rows(generator, photos=12, classes=tree.class_count)
    labels = generator.integers(tree.class_count, size=12)
    found = candidates(rows, tree, rule=rule, reward=reward)
    assert (np.diff(found.scores, axis=1) <= 0).all()
    assert found.scores.max() <= 1
    curve = operating_curve(rows, labels, tree, rule=rule, reward=reward)
    assert curve.threshold[0] == 1
    assert (np.diff(curve.threshold) < 0).all()
    assert curve.threshold[-1] >= 0
    for threshold in [*curve.threshold, 0.0, *generator.random(5)]:
        nodes = answer(rows, tree, float(threshold), rule=rule, reward=reward).node_ids
        entry = curve.at(float(threshold))
        assert curve.accuracy[entry] == pytest.approx(tree.contains(nodes, labels).mean())
        assert curve.depth[entry] == pytest.approx(tree.depth[nodes].mean())
        assert curve.abstention[entry] == pytest.approx((nodes == 0).mean())
        assert curve.information[entry] == pytest.approx(information_bits(tree)[nodes].mean())


def _photographs(
    photos: int = 1_200, *, seed: int = 9
) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.int32]], Taxonomy]:
    generator = np.random.default_rng(seed)
    tree = random_tree(generator, leaves=30)
    labels = generator.integers(tree.class_count, size=photos).astype(np.int32)
    logits = generator.normal(size=(photos, tree.class_count)) * 1.5
    logits[np.arange(photos), labels] += generator.uniform(0, 5, size=photos)
    exponential = np.exp(logits)
    return exponential / exponential.sum(axis=1, keepdims=True), labels, tree


@pytest.mark.parametrize(("rule", "reward"), EVERY)
@pytest.mark.parametrize("target", [0.8, 0.95])
def test_the_chosen_parameter_meets_the_target_and_none_goes_deeper(rule: Rule, reward: Reward, target: float) -> None:
    rows, labels, tree = _photographs()
    chosen = calibrate(rows, labels, tree, target, rule=rule, reward=reward)
    assert chosen.accuracy >= target
    gained = chosen.depth if reward == "depth" else chosen.information
    worth = tree.depth if reward == "depth" else information_bits(tree)
    for t in np.linspace(0, 1, 200):
        nodes = answer(rows, tree, float(t), rule=rule, reward=reward).node_ids
        if tree.contains(nodes, labels).mean() >= target:
            assert worth[nodes].mean() <= gained + 1e-9


@pytest.mark.parametrize(("rule", "reward"), EVERY)
def test_blocks_threads_and_half_precision_from_a_file_change_nothing(
    rule: Rule, reward: Reward, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, _, tree = _photographs()
    half = rows.astype(np.float16)
    np.save(tmp_path / "p.npy", half)
    whole = candidates(half, tree, rule=rule, reward=reward)
    # Halves as float64 are the same numbers, summed with other units.
    wide = candidates(half.astype(np.float64), tree, rule=rule, reward=reward)
    monkeypatch.setattr(tree_sums, "BLOCK_CELLS", 300)
    blocks = candidates(np.load(tmp_path / "p.npy", mmap_mode="r"), tree, rule=rule, reward=reward)
    for found in (wide, blocks):
        np.testing.assert_array_equal(found.node_ids, whole.node_ids)
        np.testing.assert_array_equal(found.scores, whole.scores)


@pytest.mark.parametrize(("rule", "reward"), EVERY)
def test_what_is_known_rules_out_the_others_by_every_rule(rule: Rule, reward: Reward) -> None:
    rows, _, tree = _photographs(200)
    within = [int(tree.levels[3][0]), int(tree.levels[4][-1])]
    kept = restrict(rows, tree, within)
    known = answer(rows, tree, 0.6, within, rule=rule, reward=reward)
    assert known.node_ids.tolist() == answer(kept, tree, 0.6, rule=rule, reward=reward).node_ids.tolist()
    literal = answer(rows, tree, 0.6, within, rule=rule, reward=reward, renormalise=False)
    # Nothing is shared out: answers can only be shallower, and name what the network gave the taxon itself.
    assert (tree.depth[literal.node_ids] <= tree.depth[known.node_ids]).all()
    masses = tree_sums.sum_up(restrict(rows, tree, within, renormalise=False), tree)
    np.testing.assert_allclose(literal.probabilities, masses[np.arange(200), literal.node_ids], atol=1e-9)


@pytest.mark.parametrize(("rule", "reward"), EVERY)
def test_groups_meet_the_target_by_every_rule(rule: Rule, reward: Reward) -> None:
    rows, labels, tree = _photographs(3_000)
    options = SpecificityOptions(target=0.85, rule=rule, reward=reward, groups="order", group_photos=200)
    half = Half(found=candidates(rows, tree, rule=rule, reward=reward), labels=labels)
    table = learn(half, tree, targets=[0.85], options=options)
    assert len(table.groups) > 2
    group = table.group_of(half.found)
    for position in range(1, len(table.groups)):
        assert judge_table(table, half.rows(group == position), tree, target=0.85).accuracy >= 0.85


@pytest.mark.parametrize("rule", RULES)
def test_one_class_and_one_photograph_are_answered_by_every_rule(rule: Rule) -> None:
    tree = Taxonomy.of_rows(rows_of({"Animalia": {"Aves": {"Morus": {}}}}))
    row = np.ones((1, 1))
    for reward in ("depth", "information"):
        assert answer(row, tree, 1.0, rule=rule, reward=reward).node_ids.tolist() == [3]
        data = Labelled(
            probabilities=row, labels=np.zeros(1, dtype=np.int32), chooses=np.ones(1, dtype=bool),
            judges=np.ones(1, dtype=bool),
        )  # fmt: skip
        outcome = calibrate_network(data, tree, SpecificityOptions(target=0.9, rule=rule, reward=reward))
        assert (outcome.judged.accuracy, outcome.judged.depth) == (1, 3)


@pytest.mark.parametrize("rule", RULES)
def test_what_is_no_distribution_is_refused_by_every_rule(rule: Rule) -> None:
    tree = Taxonomy.of_rows(rows_of(BIRDS))
    for row in ([np.nan, 0.5, 0.5, 0.0], [0.5, 0.5, 0.5, 0.5], [1.2, -0.2, 0.0, 0.0]):
        with pytest.raises(SpecificityError, match="not a probability distribution"):
            answer(np.array([row]), tree, 0.5, rule=rule)


def test_unknown_rules_and_rewards_are_refused() -> None:
    tree = Taxonomy.of_rows(rows_of(BIRDS))
    with pytest.raises(SpecificityError, match="the rule must be one of threshold, reward, distance, not 'best'"):
        answer(np.eye(4), tree, 0.5, rule="best")  # type: ignore[arg-type]
    with pytest.raises(SpecificityError, match="the reward must be one of depth, information"):
        answer(np.eye(4), tree, 0.5, rule="reward", reward="money")  # type: ignore[arg-type]


@pytest.mark.parametrize(("rule", "reward"), EVERY)
def test_the_rule_travels_with_the_table(rule: Rule, reward: Reward, tmp_path: Path) -> None:
    rows, labels, tree = _photographs(300)
    half = Half(found=candidates(rows, tree, rule=rule, reward=reward), labels=labels)
    options = SpecificityOptions(target=0.9, rule=rule, reward=reward)
    file = learn(half, tree, targets=[0.9], options=options).write(
        tmp_path / "t.parquet", keys=dict(enumerate(tree.taxon_key))
    )
    read = ThresholdTable.read(file)
    assert (read.rule, read.reward) == (rule, reward)


def test_a_table_of_an_earlier_version_is_one_of_thresholds(tmp_path: Path) -> None:
    rows, labels, tree = _photographs(300)
    half = Half(found=candidates(rows, tree), labels=labels)
    table = learn(half, tree, targets=[0.9], options=SpecificityOptions(target=0.9))
    file = table.write(tmp_path / "t.parquet", keys=dict(enumerate(tree.taxon_key)))
    written = pq.read_table(file)
    pq.write_table(written.replace_schema_metadata({"group_depth": "0"}), file)
    assert ThresholdTable.read(file).rule == "threshold"
    pq.write_table(written.replace_schema_metadata({"group_depth": "0", "rule": "oracle"}), file)
    with pytest.raises(DataError, match="the rule must be one of"):
        ThresholdTable.read(file)


def test_rules_are_told_with_their_lambda() -> None:
    tree = Taxonomy.of_rows(rows_of(BIRDS))
    assert (
        describe_rule("threshold", "depth", 0.5502, tree) == "the deepest taxon with a probability of at least 0.5502"
    )
    assert "(depth + λ) x probability, λ = 7 (t = 0.5000)" in describe_rule("reward", "depth", 0.5, tree)
    assert "λ = inf" in describe_rule("reward", "information", 1.0, tree)
    assert "λ = -0.2 (t = 0.6000)" in describe_rule("distance", "depth", 0.6, tree)
    assert parameter_name("reward", "information", tree) == "t of the reward rule (information), λ = 2 t / (1 - t)"
