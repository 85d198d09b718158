"""Fixtures of the tests of `ml`."""

import pytest

from tests.ml.world import World, make_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Real JPEGs of three species, packed, split, under a taxonomy."""
    return make_world(tmp_path_factory.mktemp("world"))
