"""Running the real command in a process group of its own, on a small but whole sample."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml

from ml.recipes import RECIPES, Probe, Segment

SMALL = {
    # 64 pixels and short trainings keep the whole road to a few minutes; all else is as in conf/sample.yaml.
    "NATUREWATCH__TRAINING__IMAGE_SIZE": "64",
    "NATUREWATCH__TRAINING__WORKERS": "1",
}


def short_recipes(folder: Path) -> Path:
    """Write the sample's recipes to a file, each with half an epoch."""
    short = {
        "segments": (Segment(epochs=0.5, rate=1e-4),),
        "probe": Probe(views=1, weight_decay=0.01, iterations=20),
    }
    recipes = {
        network: recipe.model_copy(update=short).model_dump(mode="json")
        for network, recipe in RECIPES["sample"].items()
    }
    file = folder / "recipes.yaml"
    file.write_text(yaml.safe_dump(recipes), encoding="utf-8")
    return file


TABLES = ("occurrences", "clean_occurrences", "photo_index", "species", "taxonomy", "split", "rejections")
"""Tables whose content depends on the source alone."""


def road_environment(folder: Path, **overrides: str) -> dict[str, str]:
    """The environment of a run that keeps all it writes below `folder`, its Dagster instance included."""
    home = folder / "dagster_home"
    home.mkdir(parents=True, exist_ok=True)
    settings = Path(__file__).resolve().parents[2] / "dagster_home" / "dagster.yaml"
    (home / "dagster.yaml").write_bytes(settings.read_bytes())
    return {
        **os.environ,
        **SMALL,
        "DAGSTER_HOME": str(home),
        "NATUREWATCH__DATA_ROOT": str(folder / "data"),
        "NATUREWATCH__TRAINING__RECIPE": str(short_recipes(folder)),
        **overrides,
    }


class Road:
    """`naturewatch run`, started, watched, killed or waited for."""

    def __init__(self, environment: Mapping[str, str], *arguments: str, log: Path) -> None:
        self.log = log
        with log.open("ab") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pipeline.cli", "run", *arguments],
                env=dict(environment),
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self, *, timeout: float = 400) -> int:
        """Wait for the end and return the exit status."""
        return self.process.wait(timeout=timeout)

    def kill_when(self, ready: Callable[[], bool], *, timeout: float = 200) -> None:
        """SIGKILL the process, and it alone, as soon as `ready()`: its children must notice by themselves."""
        deadline = time.monotonic() + timeout
        while not ready():
            if self.process.poll() is not None:
                pytest.fail(f"the run ended before it could be killed:\n{self.tail()}")
            if time.monotonic() > deadline:
                self.process.kill()
                pytest.fail(f"the moment to kill never came:\n{self.tail()}")
            time.sleep(0.02)
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=30)

    def tail(self) -> str:
        """The end of what the run printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-60:])
