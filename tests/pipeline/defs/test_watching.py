"""The sensors that start ingest: one run for each growth and each incomplete fetch, none while another works."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.data_version import extract_data_version_from_entry

from pipeline.config.settings import Settings, load_settings
from pipeline.definitions import defs
from pipeline.defs.observed import gbif_records
from pipeline.defs.scope_resource import Scope
from pipeline.errors import GbifError
from pipeline.gbif.client import Credentials
from pipeline.photos.incomplete import IncompleteFetch, remember
from tests.pipeline.gbif_server import KEA, Gbif, fetch

NOW = dt.datetime.now(tz=dt.UTC)


@pytest.fixture
def scope(tmp_path: Path, gbif: Gbif, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A scope of the local GBIF, with one download of three records."""
    source = {**KEA, "api_url": gbif.api.url}
    (tmp_path / "kea.yaml").write_text(yaml.safe_dump({"name": "kea", "data_root": str(tmp_path), "source": source}))
    monkeypatch.setenv("NATUREWATCH_CONFIG", str(tmp_path / "kea.yaml"))
    settings = load_settings()
    fetch(settings, gbif)
    gbif.count = 3
    return settings


@pytest.fixture(scope="module")
def shared_instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def instance(shared_instance: dg.DagsterInstance) -> dg.DagsterInstance:
    """Without runs."""
    shared_instance.run_storage.wipe()
    return shared_instance


def tick(instance: dg.DagsterInstance, sensor: str) -> dg.SensorResult:
    """What one evaluation of a sensor asks for."""
    with dg.build_sensor_context(instance=instance, resources={"scope": Scope()}) as context:
        found = defs.resolve_sensor_def(sensor).evaluate_tick(context)
    return dg.SensorResult(
        run_requests=found.run_requests,
        skip_reason=found.skip_message if not found.run_requests else None,
        asset_events=found.asset_events,
    )


def said(result: dg.SensorResult) -> str:
    return result.skip_reason.skip_message or "" if result.skip_reason is not None else ""


def test_growth_starts_ingest_with_a_new_download_and_notes_what_it_saw(
    scope: Settings, gbif: Gbif, instance: dg.DagsterInstance
) -> None:
    still = tick(instance, "growth")
    assert not still.run_requests
    assert said(still) == "3 records now, 3 in the last download"
    gbif.count = 4
    grown = tick(instance, "growth")
    (request,) = grown.run_requests or []
    (again,) = tick(instance, "growth").run_requests or []
    assert request.run_key == again.run_key
    assert request.run_config["ops"] == {"gbif_download": {"config": {"max_age_days": 0.0}}}
    (noted,) = grown.asset_events
    assert isinstance(noted, dg.AssetObservation)
    assert noted.asset_key == dg.AssetKey("gbif_records")
    assert noted.tags["dagster/data_version"] == f"4 records, {gbif.modified}"
    assert defs.resolve_sensor_def("growth").job_name == "ingest"


def test_the_run_that_growth_starts_asks_gbif_for_a_new_download_however_fresh_the_last_one_is(
    scope: Settings, gbif: Gbif, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = Credentials(user="kea", password="secret", email="kea@example.org")
    for name, value in {"USER": account.user, "PASSWORD": account.password, "EMAIL": account.email}.items():
        monkeypatch.setenv(f"GBIF_{name}", value)
    gbif.states = ["SUCCEEDED"]
    gbif.count = 4
    (request,) = tick(instance, "growth").run_requests or []
    assert len(gbif.bodies) == 1
    job = defs.resolve_job_def("ingest").get_subset(asset_selection={dg.AssetKey("gbif_download")})
    for config in (None, request.run_config):
        assert job.execute_in_process(instance=instance, run_config=config).success
    # Without the request's configuration the first download would be used again.
    assert len(gbif.bodies) == 2


def test_nothing_is_started_while_another_run_works_or_waits(
    scope: Settings, gbif: Gbif, instance: dg.DagsterInstance
) -> None:
    gbif.count = 4
    remember(scope.paths, incomplete(retry_at=NOW))
    job = defs.resolve_job_def("ingest")
    for status in (dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED):
        run = instance.create_run_for_job(job, status=status)
        for sensor in ("growth", "resume_fetch"):
            waits = tick(instance, sensor)
            assert not waits.run_requests
            assert said(waits) == f"run {run.run_id[:8]} of ingest is not finished"
        instance.run_storage.delete_run(run.run_id)
    assert tick(instance, "growth").run_requests


def test_a_gbif_that_refuses_fails_the_tick_and_the_observation(
    scope: Settings, gbif: Gbif, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    observed = dg.Definitions(assets=[gbif_records], resources={"scope": Scope()})
    job = observed.resolve_implicit_global_asset_job_def()
    gbif.count = 4
    made = job.execute_in_process(instance=instance)
    (event,) = made.get_asset_observation_events()
    assert event.asset_observation_data.asset_observation.metadata["records"].value == 4
    monkeypatch.setenv("NATUREWATCH__SOURCE__API_URL", gbif.api.url.replace("/v1", "/v0"))
    # This GBIF has no datasets at that address.
    with pytest.raises(Exception, match=r"answered 404"):
        tick(instance, "growth")
    with pytest.raises(GbifError):
        job.execute_in_process(instance=instance)
    last = instance.get_latest_data_version_record(dg.AssetKey("gbif_records"))
    assert last is not None
    version = extract_data_version_from_entry(last.event_log_entry)
    assert version is not None
    assert version.value == f"4 records, {gbif.modified}"


def incomplete(*, retry_at: dt.datetime, recorded_at: dt.datetime = NOW) -> IncompleteFetch:
    return IncompleteFetch(
        recorded_at=recorded_at, retry_at=retry_at, missing=400, hosts=(), reason="photos.example has closed"
    )


def test_an_incomplete_fetch_is_taken_up_once_at_the_moment_that_its_record_names(
    scope: Settings, instance: dg.DagsterInstance
) -> None:
    assert said(tick(instance, "resume_fetch")) == "the last fetch was complete"
    remember(scope.paths, incomplete(retry_at=NOW + dt.timedelta(hours=6)))
    early = tick(instance, "resume_fetch")
    assert not early.run_requests
    assert said(early).startswith("photos.example has closed (goes on at 20")
    remember(scope.paths, incomplete(retry_at=NOW))
    first, again = (tick(instance, "resume_fetch").run_requests or [] for _ in range(2))
    # Dagster starts one run for a key.
    assert len(first) == 1
    assert [each.run_key for each in first] == [each.run_key for each in again]
    assert first[0].run_config == {}
    # That run is incomplete, too: its record is another one.
    later = incomplete(retry_at=NOW, recorded_at=NOW + dt.timedelta(minutes=1))
    remember(scope.paths, later)
    (third,) = tick(instance, "resume_fetch").run_requests or []
    assert third.run_key != first[0].run_key
    assert defs.resolve_sensor_def("resume_fetch").job_name == "ingest"
