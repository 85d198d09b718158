"""Several photographs of one organism get one answer, by the thresholds of so many, with what was measured on such."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.serving.answering import Answering, Looks
from ml.serving.joint import answer_together
from ml.serving.question import Question
from ml.spec import RESULT_FILE, CalibrateResult, CalibrateSpec, Rule
from ml.specificity.novelty import Singles
from ml.specificity.pooling import pool
from ml.specificity.stage import run
from ml.specificity.temperature import temper
from ml.taxonomy import Floats
from tests.ml.specificity_fixtures import QUIET, calibrate_spec, release

EMBEDDING = 8


def version(folder: Path, *, observations: bool = True, rule: Rule = "threshold") -> Answering:
    """A calibration of photographs, four of each observation, as a version carries it."""
    made = calibrate_spec(folder, embeddings=EMBEDDING)
    labels = pq.read_table(made.predictions)["class_id"].to_numpy()
    # Photographs of one species and one half, four by four.
    names = np.empty(len(labels), dtype=object)
    for species in range(4):
        for half in range(2):
            rows = np.flatnonzero((labels == species) & (np.arange(len(labels)) % 2 == half))
            names[rows] = [f"o{species}-{half}-{place // 4}" for place in range(len(rows))]
    split = pa.table({"photo_id": [str(row) for row in range(len(labels))], "observation_id": names.tolist()})
    pq.write_table(split, folder / "split.parquet")
    chosen = {"split": folder / "split.parquet" if observations else None, "rule": rule, "temperature": True}
    run(made.model_copy(update={**chosen, "tracking": None}), reporter=QUIET)
    return read(made)


def read(spec: CalibrateSpec) -> Answering:
    file = spec.output / RESULT_FILE
    result = CalibrateResult.read(file)
    assert result.joint is not None
    assert result.novelty is not None
    paths = {
        "taxonomy": spec.taxonomy, "specificity": file, "thresholds": result.thresholds, "novelty": result.novelty,
        "joint": result.joint,
    }  # fmt: skip
    return Answering.read({name: str(path) for name, path in paths.items()})


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Answering:
    return version(tmp_path_factory.mktemp("joint"))


def looks(photos: int, *, seed: int = 2) -> Looks:
    """Photographs that all lean towards the first parrot."""
    generator = np.random.default_rng(seed)
    rows: Floats = generator.dirichlet([2.5, 1.5, 0.5, 0.5], size=photos)
    embeddings: Singles = generator.normal(size=(photos, EMBEDDING)).astype(np.float32)
    return Looks(rows, embeddings)


def test_one_photograph_is_answered_as_one(served: Answering) -> None:
    plan, one = served.plan(Question()), looks(1)
    assert answer_together(served, one, plan) == served.answers(one, plan)[0]


@pytest.mark.parametrize("photos", [2, 3, 4, 7])
def test_the_evidence_is_joined_and_compared_with_the_thresholds_of_so_many(served: Answering, photos: int) -> None:
    joint, seen = served.joint, looks(photos)
    assert joint is not None
    answer = answer_together(served, seen, served.plan(Question(target=0.9)))
    size = joint.sizes[min(photos, 4) - 2]
    tempered = temper(seen.probabilities, served.calibration.temperature)
    joined = pool(tempered[None], dependence=joint.dependence, most=size.photos)[0]
    best = {entry["name"]: entry["probability"] for entry in answer["top"]}
    assert best == pytest.approx(
        {served.taxonomy.name[leaf]: joined[row] for row, leaf in enumerate(served.taxonomy.leaves)}
    )
    threshold = size.table.thresholds[size.table.position(0.9)][0]
    assert answer["threshold"] == pytest.approx(threshold)
    reached = [entry for entry in answer["path"] if entry["score"] >= answer["threshold"]]
    assert answer["taxon"] == reached[-1]["name"]
    row = answer["thresholds"]["targets"].index(0.9)
    assert answer["thresholds"]["thresholds"][row] == threshold
    assert answer["thresholds"]["reachable"][row]
    assert answer["thresholds"]["targets"] == served.thresholds.targets.tolist()


def test_what_was_measured_on_sets_is_promised(served: Answering) -> None:
    joint = served.joint
    assert joint is not None
    answer = answer_together(served, looks(3), served.plan(Question(target=0.8)))
    point = joint.sizes[1].point(0.8)
    assert point is not None
    promise = answer["promise"]
    assert (promise["accuracy"], promise["accuracy_low"], promise["accuracy_high"]) == (
        point.accuracy, point.accuracy_low, point.accuracy_high
    )  # fmt: skip
    assert f"{point.photos} sets of 3 photographs of one observation" in promise["text"]
    assert promise["text"].startswith("right 8 times in 10")
    assert "joint" not in {warning["kind"] for warning in answer["warnings"]}


def test_the_order_of_the_photographs_does_not_matter(served: Answering) -> None:
    plan, seen = served.plan(Question(embedding=True)), looks(4)
    back = Looks(seen.probabilities[::-1], seen.embeddings[::-1])
    answers = [answer_together(served, each, plan) for each in (seen, back)]
    assert answers[0]["taxon"] == answers[1]["taxon"]
    assert answers[0]["probability"] == pytest.approx(answers[1]["probability"])
    assert answers[0]["novelty"] == answers[1]["novelty"]
    assert answers[0]["embedding"] == pytest.approx(seen.embeddings.mean(axis=0).tolist(), rel=1e-5)


def test_novelty_is_that_of_the_photograph_least_unlike_the_known(served: Answering) -> None:
    seen, novelty = looks(5), served.novelty
    assert novelty is not None
    shares = [one["known"] for one in novelty.judge(seen.embeddings) if one["known"] is not None]
    answer = answer_together(served, seen, served.plan(Question()))
    assert answer["novelty"]["known"] == max(shares)
    assert answer["novelty"] in novelty.judge(seen.embeddings)


def test_the_alarm_of_a_watched_taxon_is_raised_by_the_joint_evidence(served: Answering) -> None:
    plan = served.plan(Question(watch=("Nestor notabilis=0.9",)))
    alike = Looks(np.tile([0.55, 0.2, 0.15, 0.1], (3, 1)), np.ones((3, EMBEDDING), np.float32))
    assert not any(answer["watch"][-1]["alarm"] for answer in served.answers(alike, plan))
    answer = answer_together(served, alike, plan)
    entry = answer["watch"][-1]
    assert (entry["name"], entry["alarm"]) == ("Nestor notabilis", True)
    assert entry["probability"] > 0.9
    assert answer["warnings"][0]["kind"] == "watch"


def test_a_threshold_that_was_asked_for_is_a_probability_of_the_joint_evidence(served: Answering) -> None:
    answer = answer_together(served, looks(3), served.plan(Question(threshold=0.97)))
    assert answer["threshold"] == 0.97
    assert answer["probability"] >= 0.97 or answer["depth"] == 0
    assert answer["promise"]["text"].startswith("nothing is promised")


def test_what_is_known_beforehand_conditions_the_joint_evidence(served: Answering) -> None:
    answer = answer_together(served, looks(3), served.plan(Question(within=("Suliformes",), target=0.9)))
    assert answer["taxon"] == "Morus serrator"
    assert "within Suliformes" in answer["promise"]["text"]
    assert "within" in {warning["kind"] for warning in answer["warnings"]}


def test_a_target_that_no_set_reaches_promises_nothing(served: Answering) -> None:
    joint = served.joint
    assert joint is not None
    sizes = tuple(
        replace(size, table=replace(size.table, reachable=np.zeros_like(size.table.reachable))) for size in joint.sizes
    )
    beyond = replace(served, joint=replace(joint, sizes=sizes))
    answer = answer_together(beyond, looks(3), beyond.plan(Question(target=0.9)))
    assert answer["warnings"][-1]["kind"] == "joint"
    assert "90 %" in answer["warnings"][-1]["text"]
    assert answer["promise"]["kept"] is None


def test_sets_of_different_individuals_promise_nothing_about_one(tmp_path: Path) -> None:
    served = version(tmp_path, observations=False)
    answer = answer_together(served, looks(3), served.plan(Question(target=0.8)))
    promise, warning = answer["promise"], answer["warnings"][-1]
    assert promise["text"].startswith("nothing is promised about one organism: right 8 times in 10")
    assert "sets of 3 photographs of different individuals" in promise["text"]
    assert promise["kept"] is None
    assert promise["accuracy"] is not None
    assert not any(answer["thresholds"]["reachable"])
    assert warning["kind"] == "joint"
    assert "different individuals" in warning["text"]


def test_earlier_versions_average_and_promise_nothing(served: Answering) -> None:
    earlier, seen = replace(served, joint=None), looks(3)
    answer = answer_together(earlier, seen, earlier.plan(Question(target=0.9)))
    tempered = temper(seen.probabilities, served.calibration.temperature)
    best = {entry["name"]: entry["probability"] for entry in answer["top"]}
    assert best["Nestor notabilis"] == pytest.approx(tempered[:, 0].mean())
    assert answer["threshold"] == earlier.plan(Question(target=0.9)).thresholds[0]
    assert answer["warnings"][-1]["kind"] == "joint"
    assert answer["promise"] == {
        "target": 0.9, "accuracy": None, "accuracy_low": None, "accuracy_high": None, "kept": None,
        "text": "nothing is promised about 3 photographs of one organism",
    }  # fmt: skip


def test_other_rules_are_joined_alike(tmp_path: Path) -> None:
    served = version(tmp_path, rule="reward")
    answer = answer_together(served, looks(3), served.plan(Question(target=0.8)))
    assert answer["rule"] == "reward"
    assert "sets of 3 photographs of one observation" in answer["promise"]["text"]


def test_a_registered_version_carries_the_thresholds_of_sets() -> None:
    spec, _ = release()
    calibration = CalibrateResult.read(spec.specificity)
    assert calibration.joint is not None
    stored = next((spec.output.parent / "mlartifacts" / "models").iterdir()) / "artifacts" / "artifacts"
    assert (stored / "joint.parquet").read_bytes() == calibration.joint.read_bytes()
    assert "photographs of one organism" in calibration.report.read_text(encoding="utf-8")
