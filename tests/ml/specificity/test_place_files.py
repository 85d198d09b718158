"""`python -m ml calibrate` with places: the prior, tables of each case, a section of the report, and nothing else."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mlflow.tracking import MlflowClient

from ml.errors import DataError
from ml.places.composition import compose
from ml.places.prior import PlacePrior
from ml.spec import PLACE_GROUPS, PLACE_LEFT_OUT, RESULT_FILE, CalibrateResult, CalibrateSpec
from ml.specificity import candidates, select
from ml.specificity.place_accuracy import TRAINED
from ml.specificity.place_accuracy_files import read_accuracy
from ml.specificity.place_files import read_places
from ml.specificity.stage import finished, run
from ml.specificity.thresholds import TABULATED_TARGETS, ThresholdTable
from ml.taxonomy import Taxonomy
from tests.ml.placed import TRAINING, write_places
from tests.ml.specificity_fixtures import QUIET, calibrate_spec, release

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> CalibrateSpec:
    return calibrate_spec(tmp_path_factory.mktemp("placed"), embeddings=8, places=True)


@pytest.fixture(scope="module")
def result(spec: CalibrateSpec) -> CalibrateResult:
    return run(spec, reporter=QUIET)


def elsewhere(spec: CalibrateSpec, folder: Path, **changes: object) -> CalibrateSpec:
    """The same calibration, untracked, in another folder."""
    return spec.model_copy(update={"output": folder / "out", "tracking": None, **changes})


def test_photographs_alone_are_calibrated_to_the_last_bit_as_without_places(
    spec: CalibrateSpec, result: CalibrateResult, tmp_path: Path
) -> None:
    alone = elsewhere(spec, tmp_path, places=None)
    without = run(alone, reporter=QUIET)
    assert (without.place_cases, without.compared_cases) == ((), ())
    made = {file.name for file in alone.output.iterdir()} - {RESULT_FILE, "operating_points.md"}
    assert {"thresholds.parquet", "by_target.parquet", "operating_curve.parquet", "joint.parquet"} < made
    for name in made:
        if not name.endswith(".svg"):  # which say when they were drawn
            assert (alone.output / name).read_bytes() == (spec.output / name).read_bytes(), name
    report = without.report.read_text("utf-8")
    assert result.report.read_text("utf-8").startswith(report)
    assert "Place and season" not in report
    new = {"place_prior", "place_cases", "compared_cases", "place_accuracy", "mlflow_run_id"}
    same = {name for name in CalibrateResult.model_fields if not isinstance(getattr(without, name), Path | dict)} - new
    assert without.model_dump_json(include=same) == result.model_dump_json(include=same)


def test_each_case_has_a_table_which_travels_with_its_folder(
    spec: CalibrateSpec, result: CalibrateResult, tmp_path: Path
) -> None:
    moved = CalibrateResult.read(shutil.copytree(spec.output, tmp_path / "moved") / RESULT_FILE)
    tree, probabilities = Taxonomy.read(spec.taxonomy), np.load(spec.probabilities)
    predictions = pq.read_table(spec.predictions)
    judges = np.array(predictions["half"].to_pylist()) == "evaluation"
    places = read_places(spec, classes=4)
    assert moved.place_prior is not None
    prior = PlacePrior.read(moved.place_prior)
    assert int(prior.records.counts.sum()) == 4 * TRAINING
    for case, written in zip(moved.place_cases, result.place_cases, strict=True):
        assert case.thresholds == tmp_path / "moved" / f"thresholds_{case.case}.parquet"
        assert case.by_target == tmp_path / "moved" / f"by_target_{case.case}.parquet"
        sites = places.sites if case.case == "place_and_date" else places.sites.without_days()
        look = prior.look(sites)
        rows = judges & look.known & (places.sites.dated if case.case == "place_and_date" else places.sites.placed)
        leaves = compose(probabilities.astype(np.float64), look, exponent=prior.settings.exponent)[rows]
        table = ThresholdTable.read(case.thresholds)
        assert case.threshold == table.thresholds[table.position(spec.target), 0]
        nodes = select(candidates(leaves, tree, temperature=case.temperature), case.threshold).node_ids
        right = tree.contains(nodes, predictions["class_id"].to_numpy()[rows]).mean()
        assert case.judged.accuracy == pytest.approx(right) == written.judged.accuracy
        assert case.judged.depth == pytest.approx(tree.depth[nodes].mean())
        assert case.evaluation_photos == rows.sum()
        targets = {row["target"]: row for row in pq.read_table(case.by_target).to_pylist()}
        assert set(TABULATED_TARGETS) <= set(targets)
        assert targets[spec.target]["accuracy"] == case.judged.accuracy
        assert case.judged.depth > case.alone.depth
    again = finished(spec)
    assert again is not None
    assert again.model_dump_json() == result.model_dump_json()


def test_the_report_and_mlflow_tell_of_the_three_cases(spec: CalibrateSpec, result: CalibrateResult) -> None:
    section = result.report.read_text("utf-8").partition("## Place and season")[2]
    assert [one.case for one in result.compared_cases] == ["neither", "place", "place_and_date"]
    for one, title in zip(
        result.compared_cases, ("the photograph alone", "with its place", "with its place and date"), strict=True
    ):
        right = f"{100 * one.accuracy:.1f} % ({100 * one.accuracy_low:.1f} to {100 * one.accuracy_high:.1f})"
        assert f"| {title} | {right} | {one.depth:.2f} | {100 * one.abstention:.1f} % |" in section
    assert f"the same {result.compared_cases[0].photos} photographs" in section
    assert f"{4 * TRAINING} occurrences of the training side" in section
    assert spec.tracking is not None
    client = MlflowClient(tracking_uri=spec.tracking.uri)
    metrics = client.get_run(result.mlflow_run_id).data.metrics
    place = result.place_cases[0]
    assert metrics["place/depth"] == pytest.approx(place.judged.depth)
    assert metrics["place/depth_alone"] == pytest.approx(place.alone.depth)
    assert metrics["place_and_date/top1"] == pytest.approx(result.place_cases[1].top1)
    assert {item.path for item in client.list_artifacts(result.mlflow_run_id)} >= {
        "place_prior.safetensors", "thresholds_place.parquet", "by_target_place_and_date.csv",
        "place_accuracy.parquet", "place_accuracy.csv",
    }  # fmt: skip


def test_what_places_are_worth_is_a_table_in_mlflow_with_pictures_and_metrics(
    spec: CalibrateSpec, result: CalibrateResult
) -> None:
    assert result.place_accuracy == spec.output / "place_accuracy.parquet"
    table = read_accuracy(result.place_accuracy)
    whole = {one.case: one for one in table if one.grouping == "all"}
    for one in result.compared_cases:
        own = whole[one.case]
        assert (own.photos, own.top1, own.accuracy, own.depth) == (one.photos, one.top1, one.accuracy, one.depth)
    far = next(one for one in table if (one.left_out_km, one.case) == (50, "place_and_date"))
    assert {one.group for one in table if one.grouping == "region"} == {"NZ"}
    assert {one.group for one in table if one.grouping == "observer"} == {TRAINED}
    assert spec.tracking is not None
    client = MlflowClient(tracking_uri=spec.tracking.uri)
    metrics = client.get_run(result.mlflow_run_id).data.metrics
    assert metrics["place/gain"] == whole["place"].gain
    assert metrics["place_and_date/gain_50_km_left_out"] == far.gain
    drawn = {Path(item.path).name for item in client.list_artifacts(result.mlflow_run_id, "figures")}
    assert {result.figures[title].name for title in (PLACE_LEFT_OUT, PLACE_GROUPS)} <= drawn
    assert "| records left out within | gain with its place |" in result.report.read_text("utf-8")


def test_a_dataset_without_a_usable_place_is_calibrated_alone_and_says_so(spec: CalibrateSpec, tmp_path: Path) -> None:
    labels = pq.read_table(spec.predictions)["class_id"].to_numpy()
    split, places = write_places(tmp_path, labels, usable=False)
    found = run(elsewhere(spec, tmp_path, split=split, places=places), reporter=QUIET)
    assert (found.place_prior, found.place_cases, found.compared_cases) == (None, (), ())
    assert "No occurrence of the training side has a usable place" in found.report.read_text("utf-8")
    assert not list((tmp_path / "out").glob("*place*"))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("latitude", 91.0, "impossible latitudes"),
        ("longitude", -181.0, "impossible longitudes"),
        ("day", 367, "impossible days"),
        ("class_id", 4, "impossible classes"),
        ("occurrence_key", "other", "does not say where 1 photographs"),
        ("observer", None, ""),
    ],
)
def test_places_that_cannot_be_are_refused(
    spec: CalibrateSpec, tmp_path: Path, column: str, value: object, message: str
) -> None:
    assert spec.places is not None
    table = pq.read_table(spec.places)
    row = 1 if column == "class_id" else table.num_rows - 2
    changed = [value if at == row else one for at, one in enumerate(table[column].to_pylist())]
    kind = table.schema.field(column).type
    table = table.set_column(table.column_names.index(column), column, pa.array(changed, kind))
    pq.write_table(table, tmp_path / "places.parquet")
    other = spec.model_copy(update={"places": tmp_path / "places.parquet"})
    if message:
        with pytest.raises(DataError, match=message):
            read_places(other, classes=4)
    else:
        assert read_places(other, classes=4).records.class_id.shape == (4 * TRAINING,)


def test_damaged_or_missing_places_are_an_error_that_says_what_to_do(spec: CalibrateSpec, tmp_path: Path) -> None:
    (tmp_path / "places.parquet").write_bytes(b"PAR1 no")
    for path in (tmp_path / "places.parquet", tmp_path / "none.parquet"):
        with pytest.raises(DataError, match="materialise the asset places"):
            read_places(spec.model_copy(update={"places": path}), classes=4)
    with pytest.raises(DataError, match="only with a split"):
        read_places(spec.model_copy(update={"split": None}), classes=4)


def test_a_registered_version_carries_the_prior_and_the_tables_of_each_case() -> None:
    spec, registered = release(places=True)
    client = MlflowClient(tracking_uri=spec.tracking.uri, registry_uri=spec.tracking.uri)
    source = client.get_model_version_download_uri(registered.model_name, registered.version)
    (model,) = (spec.output.parent / "mlartifacts" / "models").iterdir()
    assert model.name in source
    assert {file.name for file in (model / "artifacts" / "artifacts").iterdir()} >= {
        "place_prior.safetensors", "thresholds_place.parquet", "thresholds_place_and_date.parquet",
        "by_target_place.parquet", "by_target_place_and_date.parquet",
    }  # fmt: skip
