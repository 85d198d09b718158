"""The path of an answer says what any other setting would have answered."""

import json
import tracemalloc
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.serving.named_taxa import most_probable
from ml.serving.question import Question
from ml.spec import Rule
from ml.specificity import answer
from ml.specificity.operating_points import DECIMALS
from ml.specificity.rules import RULES
from ml.taxonomy import Taxonomy
from tests.ml.serving.answerings import answer_of, answers_of, looks, table, version
from tests.ml.specificity_fixtures import Nested, random_rows, random_tree, rows_of


def grouped(tree: Taxonomy, generator: np.random.Generator, depth: int) -> tuple[int, ...]:
    """The root and some taxa of one depth."""
    if depth == 0:
        return (0,)
    level = tree.levels[depth].tolist()
    return (0, *sorted(generator.choice(level, size=generator.integers(len(level)) + 1, replace=False).tolist()))


def deepest(path: list[dict[str, Any]], t: float) -> str | None:
    """The key of the answer at t, as whoever has only the answer finds it."""
    reached = [entry for entry in path if entry["score"] >= np.round(t, DECIMALS)]
    return reached[-1]["taxon_key"] if reached else None


@settings(deadline=None, max_examples=120, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    rule=st.sampled_from(RULES),
    uneven=st.booleans(),
    filtered=st.booleans(),
    renormalise=st.booleans(),
    depth=st.integers(0, 4),
)
def test_the_answer_at_any_threshold_is_the_deepest_entry_that_reaches_it(
    *, seed: int, rule: Rule, uneven: bool, filtered: bool, renormalise: bool, depth: int
) -> None:
    generator = np.random.default_rng(seed)
    tree = random_tree(generator, depth=5, leaves=12, uneven=uneven)
    groups = grouped(tree, generator, min(depth, tree.max_depth - 1))
    # Leaves above a depth are in no group of it.
    own = table(
        groups=groups, depth=min(depth, tree.max_depth - 1), rule=rule, thresholds=generator.random((3, len(groups)))
    )
    served = version(tree, thresholds=own)
    rows = random_rows(generator, photos=6, classes=tree.class_count)
    within = tuple(f"K{node}" for node in generator.integers(1, tree.node_count, size=2)) if filtered else ()
    nodes = [tree.find(key) for key in within] or None
    answers = answers_of(served, rows, Question(target=0.9, within=within, renormalise=renormalise))

    assert json.loads(json.dumps(answers, allow_nan=False)) == answers
    for one in answers:
        assert one["threshold"] == np.round(own.thresholds[1, one["group"]], DECIMALS)
        assert deepest(one["path"], one["threshold"]) == one["taxon_key"]
        assert [entry["answered"] for entry in one["path"]] == [
            entry["score"] >= one["threshold"] for entry in one["path"]
        ]
        assert [entry["depth"] for entry in one["path"]] == list(range(1, tree.max_depth + 1))
    scores = [entry["score"] for one in answers for entry in one["path"] if entry["score"] >= 0]
    for t in [0.0, 1.0, *generator.random(4), *generator.choice(scores, 4)]:
        expected = answer(rows, tree, t, nodes, rule=rule, renormalise=renormalise).node_ids
        assert [deepest(one["path"], t) for one in answers] == [tree.taxon_key[node] for node in expected]


def test_a_group_has_its_own_threshold() -> None:
    served = version(thresholds=table(groups=(0, 1), depth=1, thresholds=np.array([[0.6, 0.6], [0.8, 0.9], [1, 1.0]])))
    animal, plant = (answer_of(served, row) for row in ([0.85, 0.05, 0.05, 0.05], [0.05, 0.05, 0.05, 0.85]))
    assert (animal["group"], animal["threshold"], animal["taxon"]) == (1, 0.9, "Nestor")
    assert (plant["group"], plant["threshold"], plant["taxon"]) == (0, 0.8, "Morus alba")


def test_an_entry_says_whether_it_lies_below_the_one_before_it() -> None:
    served = version()
    # The parrots have more than the gannet, but each of them less.
    path = answer_of(served, [0.3, 0.25, 0.31, 0.14], Question(threshold=0.2))["path"]
    assert [(entry["name"], entry["follows"]) for entry in path[-2:]] == [("Nestor", True), ("Morus serrator", False)]


@given(st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.3]), min_size=1, max_size=12), st.integers(0, 15))
def test_the_most_probable_species_are_those_of_a_stable_sort(values: list[float], count: int) -> None:
    leaves = np.array(values)
    assert most_probable(leaves, count).tolist() == np.argsort(-leaves, kind="stable")[:count].tolist()


def test_a_batch_takes_little_more_memory_than_its_probabilities() -> None:
    def genus(name: str) -> Nested:
        return {f"{name} {number}": {} for number in range(50)}

    kingdoms = {f"k{one}": {f"g{one}-{two}": genus(f"g{one}-{two}") for two in range(20)} for one in range(20)}
    tree = Taxonomy.of_rows(rows_of(kingdoms))
    served, rows = version(tree), random_rows(np.random.default_rng(3), photos=16, classes=tree.class_count)
    plan = served.plan(Question(watch=("k1",)))
    served.answers(looks(rows), plan)
    tracemalloc.start()
    served.answers(looks(rows), plan)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 3 * rows.nbytes
