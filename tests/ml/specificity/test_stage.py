"""`python -m ml calibrate`: one half chooses, the other judges, and a second run changes nothing."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mlflow.tracking import MlflowClient
from PIL import Image

from ml.__main__ import main
from ml.errors import DataError
from ml.evaluation.predictions import StoredProbabilities
from ml.evaluation.reliability import clopper_pearson
from ml.spec import RESULT_FILE, CalibrateResult, CalibrateSpec, Reward, Rule
from ml.specificity import answer, calibrate, candidates, select, tree_sums
from ml.specificity.novelty import Novelty
from ml.specificity.operating_points import OperatingCurve
from ml.specificity.stage import read_predictions
from ml.specificity.thresholds import TABULATED_TARGETS, ThresholdTable
from ml.taxonomy import Taxonomy
from tests.ml.specificity_fixtures import calibrate_spec

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> CalibrateSpec:
    made = calibrate_spec(tmp_path_factory.mktemp("calibrate"))
    assert main(["calibrate", "--spec", str(made.write(made.output / "spec.json"))]) == 0
    return made


def test_the_threshold_is_chosen_on_one_half_and_judged_on_the_other(spec: CalibrateSpec) -> None:
    result = CalibrateResult.read(spec.output / RESULT_FILE)
    probabilities, tree = np.load(spec.probabilities), Taxonomy.read(spec.taxonomy)
    table = pq.read_table(spec.predictions)
    labels, halves = table["class_id"].to_numpy(), np.array(table["half"].to_pylist())
    a, b = halves == "calibration", halves == "evaluation"
    assert result.threshold == calibrate(probabilities[a], labels[a], tree, spec.target).threshold
    nodes = answer(probabilities[b], tree, result.threshold).node_ids
    assert result.evaluation_accuracy == pytest.approx(tree.contains(nodes, labels[b]).mean())
    assert result.evaluation_depth == pytest.approx(tree.depth[nodes].mean())
    assert result.abstention_rate == pytest.approx((nodes == 0).mean())
    assert (result.calibration_photos, result.evaluation_photos) == (200, 200)
    assert result.evaluation_accuracy_low < result.evaluation_accuracy < result.evaluation_accuracy_high


def test_the_labels_of_the_evaluation_half_do_not_move_the_threshold(spec: CalibrateSpec, tmp_path: Path) -> None:
    table = pq.read_table(spec.predictions).to_pylist()
    for row in table:
        if row["half"] == "evaluation":
            row["class_id"] = (row["class_id"] + 1) % 4

    pq.write_table(pa.Table.from_pylist(table), tmp_path / "other.parquet")
    other = spec.model_copy(
        update={"predictions": tmp_path / "other.parquet", "output": tmp_path / "out", "spec_hash": "other"}
    )
    assert main(["calibrate", "--spec", str(other.write(tmp_path / "spec.json"))]) == 0
    before, after = (CalibrateResult.read(folder / RESULT_FILE) for folder in (spec.output, other.output))
    assert before.threshold == after.threshold
    assert before.evaluation_accuracy != after.evaluation_accuracy


def test_the_run_is_nested_and_holds_metrics_curve_and_figures(spec: CalibrateSpec) -> None:
    result = CalibrateResult.read(spec.output / RESULT_FILE)
    assert spec.tracking is not None
    client = MlflowClient(tracking_uri=spec.tracking.uri)
    run = client.get_run(result.mlflow_run_id)
    assert run.data.tags["mlflow.parentRunId"] == spec.tracking.parent_run_id
    assert run.data.tags["naturewatch.spec_hash"] == spec.spec_hash
    assert run.data.params["method"] == "exact"
    assert run.data.metrics["specificity/threshold"] == pytest.approx(result.threshold)
    assert run.data.metrics["evaluation/depth_incl_root"] == pytest.approx(result.evaluation_depth + 1)
    assert {item.path for item in client.list_artifacts(result.mlflow_run_id)} >= {
        "figures", "operating_curve.parquet", "operating_curve.csv", "thresholds.csv", "by_target.csv"
    }  # fmt: skip
    for figure in result.figures.values():
        with Image.open(figure) as picture:
            assert picture.format == "PNG"


def test_operating_points_and_watch_list_are_judged_and_shown(spec: CalibrateSpec) -> None:
    result = CalibrateResult.read(spec.output / RESULT_FILE)
    assert [point.target for point in result.points] == [0.8, 0.9, 0.95, 0.99]
    at_target = result.points[1]
    assert (at_target.threshold, at_target.accuracy) == (result.threshold, result.evaluation_accuracy)
    depths = [point.depth for point in result.points]
    assert depths == sorted(depths, reverse=True)
    (watched,) = result.watch
    assert watched.taxon.endswith("Moraceae > Morus")
    assert watched.recall is not None
    assert watched.recall > 0.85
    assert result.watch_unknown == ("Dodo",)
    page = result.report.read_text(encoding="utf-8")
    assert "| 95 % |" in page
    assert "Dodo" in page
    assert spec.tracking is not None
    run = MlflowClient(tracking_uri=spec.tracking.uri).get_run(result.mlflow_run_id)
    assert run.data.metrics["at_95/depth"] == pytest.approx(result.points[2].depth)
    assert run.data.metrics["at_99/abstention"] == pytest.approx(result.points[3].abstention)


def test_thresholds_per_group_with_temperature_and_guarantee_are_judged_on_the_other_half(
    spec: CalibrateSpec, tmp_path: Path
) -> None:
    split = [{"photo_id": str(row), "observation_id": f"o{row // 4}"} for row in range(400)]
    pq.write_table(pa.Table.from_pylist(split), tmp_path / "split.parquet")
    chosen = {"groups": "kingdom", "group_photos": 10, "temperature": True, "delta": 0.2, "target": 0.8}
    other = spec.model_copy(
        update={**chosen, "split": tmp_path / "split.parquet", "output": tmp_path / "out", "spec_hash": "groups"}
    )
    assert main(["calibrate", "--spec", str(other.write(tmp_path / "spec.json"))]) == 0
    result, tree = CalibrateResult.read(other.output / RESULT_FILE), Taxonomy.read(spec.taxonomy)
    table = ThresholdTable.read(result.thresholds)
    assert [tree.name[node] for node in table.groups] == ["Life", "Animalia", "Plantae"]
    assert result.temperature != 1
    assert all(point.guaranteed for point in result.points)
    assert [group.taxon for group in result.groups] == ["others", "Animalia", "Plantae"]
    # A fourth of the observations fitted the temperature.
    assert result.calibration_photos == pytest.approx(150, abs=4)
    predictions = pq.read_table(spec.predictions)
    judges = np.array(predictions["half"].to_pylist()) == "evaluation"
    found = candidates(np.load(spec.probabilities)[judges], tree, temperature=result.temperature)
    thresholds = table.of_groups(table.position(0.8))[table.group_of(found)]
    nodes = select(found, thresholds).node_ids
    right = tree.contains(nodes, predictions["class_id"].to_numpy()[judges])
    assert result.evaluation_accuracy == pytest.approx(right.mean())
    plants = found.node_ids[:, 1] == tree.find("Plantae")
    assert result.groups[2].accuracy == pytest.approx(right[plants].mean())
    assert result.groups[2].evaluation_photos == plants.sum()
    assert "| Plantae |" in result.report.read_text(encoding="utf-8")


@pytest.mark.parametrize(("rule", "reward"), [("reward", "depth"), ("reward", "information"), ("distance", "depth")])
def test_the_rule_is_written_and_told(spec: CalibrateSpec, tmp_path: Path, rule: Rule, reward: Reward) -> None:
    chosen = {"rule": rule, "reward": reward, "groups": "kingdom", "group_photos": 10, "delta": 0.2, "target": 0.8}
    other = spec.model_copy(update={**chosen, "output": tmp_path / "out", "spec_hash": rule + reward})
    assert main(["calibrate", "--spec", str(other.write(tmp_path / "spec.json"))]) == 0
    result, tree = CalibrateResult.read(other.output / RESULT_FILE), Taxonomy.read(spec.taxonomy)
    table = ThresholdTable.read(result.thresholds)
    assert (result.rule, result.reward) == (table.rule, table.reward) == (rule, reward)
    predictions = pq.read_table(spec.predictions)
    judges = np.array(predictions["half"].to_pylist()) == "evaluation"
    found = candidates(np.load(spec.probabilities)[judges], tree, rule=rule, reward=reward)
    nodes = select(found, table.of_groups(table.position(0.8))[table.group_of(found)]).node_ids
    right = tree.contains(nodes, predictions["class_id"].to_numpy()[judges])
    assert result.evaluation_accuracy == pytest.approx(right.mean())
    assert f"t of the {rule} rule" in result.report.read_text(encoding="utf-8")
    assert spec.tracking is not None
    assert MlflowClient(tracking_uri=spec.tracking.uri).get_run(result.mlflow_run_id).data.params["rule"] == rule


def test_a_result_of_an_earlier_version_is_one_of_thresholds(spec: CalibrateSpec, tmp_path: Path) -> None:
    written = json.loads((spec.output / RESULT_FILE).read_text(encoding="utf-8"))
    del written["rule"], written["reward"]
    (tmp_path / RESULT_FILE).write_text(json.dumps(written), encoding="utf-8")
    assert CalibrateResult.read(tmp_path / RESULT_FILE).rule == "threshold"


def test_a_homonym_on_the_watch_list_is_refused(
    spec: CalibrateSpec, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = spec.model_copy(update={"watch_list": ("Morus",), "output": tmp_path / "out"})
    assert main(["calibrate", "--spec", str(wrong.write(tmp_path / "spec.json"))]) == 1
    assert "'Morus' stands for several taxa" in capsys.readouterr().err


def test_a_photograph_that_the_split_does_not_know_is_refused(spec: CalibrateSpec, tmp_path: Path) -> None:
    pq.write_table(pa.table({"photo_id": ["1"], "observation_id": ["o"]}), tmp_path / "split.parquet")
    with pytest.raises(DataError, match="cannot read the predictions"):
        read_predictions(
            spec.model_copy(update={"split": tmp_path / "split.parquet"}), taxonomy=Taxonomy.read(spec.taxonomy)
        )


def test_every_tabulated_target_is_judged_on_the_other_half(spec: CalibrateSpec) -> None:
    result = CalibrateResult.read(spec.output / RESULT_FILE)
    rows = {row["target"]: row for row in pq.read_table(result.by_target).to_pylist()}
    assert set(TABULATED_TARGETS) <= set(rows)
    for point in result.points:
        row = rows[point.target]
        assert (row["accuracy"], row["depth"], row["reachable"]) == (point.accuracy, point.depth, point.reachable)


def test_parquet_in_the_place_of_the_array_gives_the_same(spec: CalibrateSpec, tmp_path: Path) -> None:
    rows = np.load(spec.probabilities)
    column = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), 4)
    stored = pq.read_table(spec.predictions).append_column("probabilities", column)
    pq.write_table(stored, tmp_path / "validation.parquet", row_group_size=64)
    file = {"probabilities": tmp_path / "validation.parquet", "predictions": tmp_path / "validation.parquet"}
    other = spec.model_copy(update={**file, "output": tmp_path / "out", "spec_hash": "stored", "temperature": True})
    again = other.model_copy(update={"probabilities": spec.probabilities, "output": tmp_path / "again"})
    for one in (other, again):
        assert main(["calibrate", "--spec", str(one.write(tmp_path / "spec.json"))]) == 0
    found, expected = (CalibrateResult.read(one.output / RESULT_FILE) for one in (other, again))
    assert (found.temperature, found.threshold, found.points, found.watch) == (
        expected.temperature, expected.threshold, expected.points, expected.watch
    )  # fmt: skip


def test_the_curve_travels_in_a_file(spec: CalibrateSpec) -> None:
    result = CalibrateResult.read(spec.output / RESULT_FILE)
    curve = OperatingCurve.read(result.curve)
    assert curve.threshold[curve.choose(spec.target)] == result.threshold


def test_a_second_run_computes_nothing(spec: CalibrateSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (spec.output / RESULT_FILE).stat().st_mtime_ns
    monkeypatch.setattr(tree_sums, "BLOCK_CELLS", "nothing may be computed")
    assert main(["calibrate", "--spec", str(spec.output / "spec.json")]) == 0
    assert (spec.output / RESULT_FILE).stat().st_mtime_ns == before


def test_predictions_that_do_not_fit_are_refused(
    spec: CalibrateSpec, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "short.npy", np.full((3, 4), 0.25))
    wrong = spec.model_copy(update={"probabilities": tmp_path / "short.npy", "output": tmp_path / "out"})
    assert main(["calibrate", "--spec", str(wrong.write(tmp_path / "spec.json"))]) == 1
    assert "has the shape (3, 4)" in capsys.readouterr().err
    assert not (tmp_path / "out" / RESULT_FILE).exists()


def test_an_empty_half_is_refused(spec: CalibrateSpec, tmp_path: Path) -> None:
    table = pq.read_table(spec.predictions)

    lone = table.set_column(table.column_names.index("half"), "half", pa.array(["calibration"] * table.num_rows))
    pq.write_table(lone, tmp_path / "lone.parquet")
    with pytest.raises(DataError, match="evaluation half"):
        read_predictions(
            spec.model_copy(update={"predictions": tmp_path / "lone.parquet"}), taxonomy=Taxonomy.read(spec.taxonomy)
        )


def test_novelty_is_calibrated_on_one_half_and_judged_on_the_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = calibrate_spec(tmp_path / "with", embeddings=8)
    assert main(["calibrate", "--spec", str(spec.write(tmp_path / "spec.json"))]) == 0
    result = CalibrateResult.read(spec.output / RESULT_FILE)
    # What is served comes out of the file: three species of other genera are far from the direction of one's own.
    assert result.novelty is not None
    novelty = Novelty.read(result.novelty)
    known, unknown = np.eye(8, dtype=np.float32)[:1], np.eye(8, dtype=np.float32)[7:]
    assert novelty.judge(known)[0]["known"] == pytest.approx(1)
    assert novelty.judge(unknown)[0]["known"] == pytest.approx(1 / 201)
    embeddings = StoredProbabilities(spec.predictions, column="embedding")[:]
    judges = np.array(pq.read_table(spec.predictions)["half"].to_pylist()) == "evaluation"
    shares = np.array([answer["known"] for answer in novelty.judge(embeddings[judges])])
    low, high = clopper_pearson(int((shares <= 0.05).sum()), 200)
    row = f"| 5 % | {100 * (shares <= 0.05).mean():.1f} % ({100 * low:.1f} to {100 * high:.1f}) |"
    assert row in result.report.read_text("utf-8")
    assert result.novelty_auroc is not None
    assert result.novelty_auroc > 0.9
    page = result.report.read_text("utf-8")
    assert "| novelty alarm at | false alarms (95 % interval) | unknown genera found |" in page
    assert f"AUROC {result.novelty_auroc:.3f}" in page
    assert spec.tracking is not None
    run = MlflowClient(tracking_uri=spec.tracking.uri).get_run(result.mlflow_run_id)
    assert run.data.metrics["specificity/novelty_auroc"] == pytest.approx(result.novelty_auroc)
    wrong = spec.model_copy(update={"prototypes": tmp_path / "gone", "output": tmp_path / "out", "spec_hash": "wrong"})
    assert main(["calibrate", "--spec", str(wrong.write(tmp_path / "spec.json"))]) == 1
    assert "cannot read the class means" in capsys.readouterr().err


def test_of_an_observation_one_photograph_calibrates_novelty(tmp_path: Path) -> None:
    spec = calibrate_spec(tmp_path / "with", embeddings=8)
    rows = [{"photo_id": str(row), "observation_id": f"o{row // 4}"} for row in range(400)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "split.parquet")
    grouped = spec.model_copy(update={"split": tmp_path / "split.parquet"})
    assert main(["calibrate", "--spec", str(grouped.write(tmp_path / "spec.json"))]) == 0
    file = CalibrateResult.read(spec.output / RESULT_FILE).novelty
    assert file is not None
    assert len(Novelty.read(file).known) == 100


def test_without_embeddings_there_is_no_novelty(spec: CalibrateSpec) -> None:
    result = CalibrateResult.read(spec.output / RESULT_FILE)
    assert (result.novelty, result.novelty_auroc) == (None, None)
