"""The report is about the version that was registered last, and is kept with it."""

import datetime as dt
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from pipeline.config.settings import Settings
from pipeline.errors import RegistryError
from pipeline.production.record import Production
from pipeline.registry.reported_version import REPORT_PLACE, record_report, reported_version
from pipeline.tracking.runs import client
from pipeline.tracking.tags import EXAM, GATE, GATE_REASONS, REPORT, TRAINING
from tests.pipeline.registry.test_contenders import register

pytestmark = pytest.mark.usefixtures("with_store")
PRODUCTION = Production(
    how="adopted",
    network="multi_view",
    spec_hash="s1",
    folder=Path("f"),
    dataset_version="v",
    full_photos=1,
    reason="r",
)


@pytest.fixture
def connected(settings: Settings) -> MlflowClient:
    connected = client(settings)
    connected.create_registered_model(settings.registry.model_name)
    return connected


def test_without_a_version_it_says_what_to_do(settings: Settings, connected: MlflowClient) -> None:
    with pytest.raises(RegistryError, match="no version under the alias challenger; materialise the asset candidate"):
        reported_version(settings, PRODUCTION)


def test_a_version_of_another_training_is_refused(settings: Settings, connected: MlflowClient) -> None:
    number, name = register(settings, connected, alias="challenger"), settings.registry.model_name
    assert reported_version(settings, PRODUCTION).number == number, "versions of earlier code do not say"
    connected.set_model_version_tag(name, number, TRAINING, "s2")
    with pytest.raises(RegistryError, match="was made of another training"):
        reported_version(settings, PRODUCTION)


def test_it_knows_what_the_gate_said_and_who_is_served(settings: Settings, connected: MlflowClient) -> None:
    champion, name = register(settings, connected, alias="champion"), settings.registry.model_name
    number = register(settings, connected, alias="challenger")
    for tag, value in {GATE: "refused", GATE_REASONS: "one\ntwo", EXAM: "4"}.items():
        connected.set_model_version_tag(name, number, tag, value)
    found = reported_version(settings, PRODUCTION)
    assert (found.number, found.champion, found.served) == (number, champion, False)
    assert (found.gate, found.reasons, found.exam, found.commit) == ("refused", ("one", "two"), "4", "unknown")
    assert found.registered == dt.datetime.now(dt.UTC).date()
    connected.set_registered_model_alias(name, "champion", number)
    assert reported_version(settings, PRODUCTION).served


def test_the_report_is_kept_with_the_version(settings: Settings, connected: MlflowClient, tmp_path: Path) -> None:
    number = register(settings, connected, alias="challenger")
    html = tmp_path / "report.html"
    html.write_text("<p>the report</p>", encoding="utf-8")
    version = reported_version(settings, PRODUCTION)
    record_report(settings, version, html)
    kept = connected.get_model_version(settings.registry.model_name, number)
    assert kept.tags[REPORT] == f"runs:/{kept.run_id}/{REPORT_PLACE}"
    (tmp_path / "down").mkdir()
    assert kept.run_id is not None
    kept_file = connected.download_artifacts(kept.run_id, REPORT_PLACE, str(tmp_path / "down"))
    assert Path(kept_file).read_text(encoding="utf-8") == "<p>the report</p>"
