"""What the tests of the report share: a version with all that a report can show."""

import pytest

from ml.spec import NetworkName
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.registry.report_page import Report
from tests.pipeline import trained
from tests.pipeline.registry.reported import VERSION, examined, judged, photographed, reported

SKILLS: dict[NetworkName, float] = {
    "baseline": 1.0,
    "baseline_matched": 1.5,
    "multi_view": 3.0,
    "knowledge_transfer": 2.0,
}


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, DatasetManifest]:
    """All networks, suspects and an exam."""
    settings = Settings(name="test", data_root=tmp_path_factory.mktemp("world"))
    manifest = photographed(settings)
    trained.train_all(settings, manifest, SKILLS)
    judged(settings, manifest)
    examined(settings, VERSION)
    return settings, manifest


@pytest.fixture(scope="session")
def whole(world: tuple[Settings, DatasetManifest]) -> Report:
    """The report on it."""
    return reported(*world)
