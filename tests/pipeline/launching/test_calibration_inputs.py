"""Places are in the specification of a calibration where there are usable ones; a change of them calibrates anew."""

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.spec import PLACE_GROUPS, PLACE_LEFT_OUT
from ml.specificity.stage import run
from pipeline.comparison.place_tables import cases, left_out, place_rows
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.defs.stages import calibration_version, case_metadata
from pipeline.errors import ChildError, TableError
from pipeline.launching.calibration_inputs import identity_of, usable_places
from pipeline.launching.specs import calibrate_hash, calibrate_spec, calibrated
from pipeline.production.production_specs import calibration_spec, is_calibrated, production_calibration
from tests.ml.placed import write_places
from tests.ml.specificity_fixtures import QUIET
from tests.pipeline.trained import adopted, dataset, photo_ids, train, truth


@pytest.fixture
def manifest(settings: Settings) -> DatasetManifest:
    made = dataset(settings.paths)
    train(settings, made, network="baseline", seed=settings.training.seed, skill=2)
    return made


def place(settings: Settings, *, usable: bool = True) -> pa.Table:
    """Give the photographs of the dataset places, and return the table."""
    _, places = write_places(settings.paths.tables, truth(), usable=usable, photos=photo_ids())
    return pq.read_table(places)


def test_a_dataset_without_a_usable_place_is_calibrated_as_ever(
    settings: Settings, manifest: DatasetManifest, with_store: None
) -> None:
    before = calibrate_spec(settings, manifest, network="baseline", tags={})
    assert before.places is None
    assert before.spec_hash == calibrate_hash(settings, manifest, network="baseline")
    place(settings, usable=False)
    assert usable_places(settings.paths) is None
    assert calibrate_spec(settings, manifest, network="baseline", tags={}) == before
    assert identity_of(calibrated(settings, manifest, network="baseline")) == before.spec_hash


def test_places_that_changed_are_calibrated_anew_in_the_same_folder(
    settings: Settings, manifest: DatasetManifest, with_store: None
) -> None:
    record = adopted(settings, manifest, network="baseline")
    alone = calibration_spec(settings, manifest, record, tags={})
    before = production_calibration(settings, record)
    assert is_calibrated(alone)
    table = place(settings)
    spec = calibration_spec(settings, manifest, record, tags={})
    assert spec.places == settings.paths.table("places")
    assert spec.output == alone.output
    assert spec.spec_hash != alone.spec_hash
    assert not is_calibrated(spec)
    run(spec.model_copy(update={"tracking": None}), reporter=QUIET)
    assert is_calibrated(spec)
    found = production_calibration(settings, record)
    assert [one.case for one in found.place_cases] == ["place", "place_and_date"]
    alone_points = [[(point.threshold, point.accuracy) for point in each.points] for each in (found, before)]
    assert alone_points[0] == alone_points[1]
    assert calibration_version([found]) != calibration_version([before])
    assert case_metadata(before) == {}
    shown = case_metadata(found)["place and season"]
    assert isinstance(shown, dg.TableMetadataValue)
    accuracy = place_rows(found)
    near, far = cases(accuracy)[-1], left_out(accuracy)
    assert far is not None
    assert (near["case"], far["case"], far["left_out_km"]) == ("place_and_date", "place_and_date", 50)
    for name, gained in {"gain by place and season": near, "gain, records within 50 km left out": far}.items():
        spread = f"{100 * gained['gain_low']:+.1f} to {100 * gained['gain_high']:+.1f}"
        assert case_metadata(found)[name] == f"{100 * gained['gain']:+.1f} points ({spread})"
    assert {PLACE_LEFT_OUT, PLACE_GROUPS} < set(found.figures)
    rows = [record.data for record in shown.records]
    assert [row["answered by"] for row in rows] == [
        "the photograph alone", "with its place", "with its place and date"
    ]  # fmt: skip
    for row, one in zip(rows, found.compared_cases, strict=True):
        assert (row["mean depth"], row["photographs"]) == (f"{one.depth:.2f}", str(one.photos))
    # What does not decide changes nothing, and one place does.
    problems = pa.array(["somewhere else"] * table.num_rows)
    pq.write_table(
        table.set_column(table.column_names.index("problem"), "problem", problems), settings.paths.table("places")
    )
    assert is_calibrated(calibration_spec(settings, manifest, record, tags={}))
    latitudes = pa.array([-40.0, *table["latitude"].to_pylist()[1:]])
    pq.write_table(
        table.set_column(table.column_names.index("latitude"), "latitude", latitudes), settings.paths.table("places")
    )
    assert not is_calibrated(calibration_spec(settings, manifest, record, tags={}))


def test_damaged_files_are_an_error_that_says_what_to_do(settings: Settings, manifest: DatasetManifest) -> None:
    settings.paths.table("places").write_bytes(b"PAR1 no")
    with pytest.raises(TableError, match="materialise the asset places again"):
        usable_places(settings.paths)
    found = calibrated(settings, manifest, network="baseline")
    found.curve.write_bytes(b"PAR1 no")
    with pytest.raises(ChildError, match="calibrate again"):
        identity_of(found)
