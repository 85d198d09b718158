"""Answers are given by the rule of the calibration; a threshold that is asked for is a probability."""

from pathlib import Path

import numpy as np
import pytest

from ml.serving.answering import Answering, Looks
from ml.serving.question import Question
from ml.spec import RESULT_FILE, CalibrateResult, Reward, Rule
from ml.specificity import answer
from ml.specificity.stage import run
from ml.taxonomy import Floats
from tests.ml.specificity_fixtures import QUIET, calibrate_spec


def answering(folder: Path, *, rule: Rule, reward: Reward = "depth") -> Answering:
    spec = calibrate_spec(folder).model_copy(update={"rule": rule, "reward": reward})
    run(spec, reporter=QUIET)
    result = spec.output / RESULT_FILE
    thresholds = CalibrateResult.read(result).thresholds
    return Answering.read({"taxonomy": str(spec.taxonomy), "specificity": str(result), "thresholds": str(thresholds)})


def photographs() -> Floats:
    return np.random.default_rng(1).dirichlet(np.full(4, 0.4), size=60)


@pytest.mark.parametrize(
    ("rule", "reward"), [("threshold", "depth"), ("reward", "depth"), ("reward", "information"), ("distance", "depth")]
)
def test_the_rule_of_the_calibration_answers(tmp_path: Path, rule: Rule, reward: Reward) -> None:
    served, rows = answering(tmp_path, rule=rule, reward=reward), photographs()
    tree = served.taxonomy
    for question, within in ((Question(), None), (Question(target=0.8), None), (Question(within=("Aves",)), ["Aves"])):
        plan = served.plan(question)
        answers = served.answers(Looks(rows, np.zeros((len(rows), 1), np.float32)), plan)
        nodes = None if within is None else [tree.find(name) for name in within]
        expected = answer(rows, tree, plan.thresholds[0], nodes, rule=rule, reward=reward)
        assert [one["taxon"] for one in answers] == [tree.name[node] for node in expected.node_ids]
        assert [one["probability"] for one in answers] == pytest.approx(expected.probabilities.tolist())
        assert {one["rule"] for one in answers} == {rule}


def test_a_threshold_that_is_asked_for_is_a_probability_that_the_answer_has(tmp_path: Path) -> None:
    served, rows = answering(tmp_path, rule="reward"), photographs()
    answers = served.answers(Looks(rows, np.zeros((len(rows), 1), np.float32)), served.plan(Question(threshold=0.9)))
    assert all(one["probability"] >= 0.9 - 1e-9 for one in answers)
    assert {one["rule"] for one in answers} == {"threshold"}
    expected = answer(rows, served.taxonomy, 0.9).node_ids
    assert [one["taxon"] for one in answers] == [served.taxonomy.name[node] for node in expected]
