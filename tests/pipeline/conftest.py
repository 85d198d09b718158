"""A configuration of its own for each test, below a temporary folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import Settings


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
