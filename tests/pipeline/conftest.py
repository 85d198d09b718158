"""A configuration of its own for each test, below a temporary folder, and a GBIF of its own for those that ask one."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.config.settings import Settings
from tests.mlflow_stores import empty_store
from tests.pipeline.gbif_server import Gbif, gbif_server


@pytest.fixture
def make_settings(tmp_path: Path) -> Callable[..., Settings]:
    """Settings with the given sections, writing below the test's folder."""

    def make(**sections: Any) -> Settings:  # noqa: ANN401
        return Settings(**{"name": "test", "data_root": tmp_path / "data", **sections})

    return make


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    """Default settings, writing below the test's folder."""
    return make_settings()


@pytest.fixture
def with_store(settings: Settings) -> None:
    """An empty store of MLflow where the settings look for it."""
    empty_store(settings.paths.mlflow_database)


@pytest.fixture
def gbif() -> Iterator[Gbif]:
    """A local GBIF, for the time of the test."""
    with gbif_server() as server:
        yield server
