"""What every test relies on: no configuration from outside, few threads, no network beyond this machine."""

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

# Two workers share two cores; libraries that grab all of them make every test slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Threads that wait in a loop burn what the other worker computes with.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("MPLBACKEND", "Agg")
# A GPU may be in use, and rounds in its own way. `CUDA_VISIBLE_DEVICES=0 pytest tests/ml` tests on it.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DAGSTER_DISABLE_TELEMETRY"] = "true"
# What a test runs is not the last run of this checkout.
os.environ["NATUREWATCH_LAST_SCOPE"] = ""

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = REPOSITORY.parent / "shared" / "data"

# An example that takes long says something of the machine and nothing of the code.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")


@pytest.fixture(autouse=True)
def _no_configuration_from_outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A developer's own overrides must not decide a test, nor what a command of the last test left."""
    before = _configured()
    for variable in before:
        monkeypatch.delenv(variable)
    yield
    for variable in _configured() - before:
        del os.environ[variable]


def _configured() -> set[str]:
    variables = {variable for variable in os.environ if variable.startswith(("NATUREWATCH_", "GBIF_"))}
    return variables - {"NATUREWATCH_LAST_SCOPE"}


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout under test."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real photographs and recorded GBIF traffic; a test that needs them says so when they are absent."""
    if not SHARED.is_dir():
        pytest.skip(f"real data are not at {SHARED}")
    return SHARED
