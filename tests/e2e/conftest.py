"""The real commands in sessions of their own, on a part of the sample, and one run that all tests look at."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest
import yaml
from playwright.sync_api import Browser

from demo.lineage import number
from ml.training.recipes import RECIPES, Probe, Segment
from tests.pipeline.pages.browser import chromium

REPOSITORY = Path(__file__).resolve().parents[2]
TABLES = ("occurrences", "clean_occurrences", "photo_index", "species", "taxonomy", "split", "rejections")
"""Tables whose content depends on the source alone."""
SCOPE = (("Fungi",), ("Plantae", "Tracheophyta", "Magnoliopsida"))
"""Two kingdoms with some twenty species: enough for a tree, and for species that are too rare."""
LONG = 1500.0
"""Seconds that a machine under load may take for a run: a wait for a state, not a measure of speed."""


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


def environment_below(folder: Path, **overrides: str) -> dict[str, str]:
    """The environment of a command that keeps all it writes below `folder`, its Dagster instance included.

    Everything is as in conf/sample.yaml but for the number of photographs, their size, and the length of trainings.
    """
    home = folder / "dagster_home"
    home.mkdir(parents=True, exist_ok=True)
    (home / "dagster.yaml").write_bytes((REPOSITORY / "dagster_home" / "dagster.yaml").read_bytes())
    keys = [number("taxon", *path, digits=10) for path in SCOPE]
    return {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "NATUREWATCH_LAST_SCOPE": str(folder / "last_scope.json"),
        "NATUREWATCH__DATA_ROOT": str(folder / "data"),
        "NATUREWATCH__SOURCE__TAXON_KEYS": json.dumps(keys),
        "NATUREWATCH__TRAINING__IMAGE_SIZE": "64",
        "NATUREWATCH__TRAINING__WORKERS": "1",
        "NATUREWATCH__TRAINING__RECIPE": str(short_recipes(folder)),
        **overrides,
    }


class Command:
    """A `naturewatch` command: started, watched, interrupted, killed or waited for."""

    def __init__(self, *arguments: str, environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        self._before = log.stat().st_size if log.exists() else 0
        with log.open("ab") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pipeline.commands.cli", *arguments],
                env=dict(environment),
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self, *, timeout: float = LONG) -> int:
        """Wait for the end and return the exit status; a command that does not end is killed."""
        with self._killed_on_error():
            try:
                return self.process.wait(timeout=timeout)
            except subprocess.TimeoutExpired:
                pytest.fail(f"it did not end:\n{self.said()}")

    def wait_until(self, ready: Callable[[], bool], *, timeout: float = LONG) -> None:
        """Wait for a state; a command that ends before, or never comes there, fails the test and is killed."""
        deadline = time.monotonic() + timeout
        with self._killed_on_error():
            while not ready():
                if self.process.poll() is not None:
                    pytest.fail(f"it ended with {self.process.returncode} before its time:\n{self.said()}")
                if time.monotonic() > deadline:
                    pytest.fail(f"the moment never came:\n{self.said()}")
                time.sleep(0.02)

    @contextlib.contextmanager
    def _killed_on_error(self) -> Iterator[None]:
        """Whatever ends a wait, a person's Ctrl-C too, ends what was waited for."""
        try:
            yield
        except BaseException:
            self.kill()
            raise

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, and to it alone: what it has started must notice by itself."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """Send SIGKILL to the process, and to it alone."""
        self.process.kill()
        self.process.wait()

    def descendants(self) -> list[psutil.Process]:
        """All processes that it has started, and those that they have."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def said(self) -> str:
        """The end of what it has printed."""
        text = self.log.read_bytes()[self._before :].decode(errors="replace")
        return "\n".join(text.splitlines()[-60:])


def all_end(processes: list[psutil.Process], *, timeout: float = 120) -> bool:
    """Wait until none of the processes runs."""
    _, alive = psutil.wait_procs(processes, timeout=timeout)
    return not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the run that all tests look at keeps everything."""
    return tmp_path_factory.mktemp("finished")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests of a module, with a camera that shows a test picture."""
    with chromium("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream") as found:
        yield found
