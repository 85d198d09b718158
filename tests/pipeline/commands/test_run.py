"""Several trainings of a run: side by side on several GPUs, one after the other on one, with errors told as ever."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from pipeline.commands import run
from pipeline.config.settings import Settings
from pipeline.defs.together import TRAININGS
from pipeline.errors import ConfigurationError
from pipeline.launching import pools
from pipeline.launching.gpus import VISIBLE, slots
from pipeline.paths import PROJECT_ROOT
from tests.pipeline import side_by_side
from tests.pipeline.cards import PAIR, SINGLE, A, B, nvidia_smi

CONFIGURATION = "telemetry: {enabled: false}\nconcurrency: {pools: {default_limit: 1, granularity: op}}\n"
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::dagster.PreviewWarning")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine of its own with two cards, and a job of trainings; returns the folder that they write to."""
    for name in ("home", "done"):
        (tmp_path / name).mkdir()
    (tmp_path / "home" / "dagster.yaml").write_text(CONFIGURATION, encoding="utf-8")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(PROJECT_ROOT))
    monkeypatch.setenv("NATUREWATCH__DATA_ROOT", str(tmp_path / "data"))
    # Short: sockets of processes are made there.
    with tempfile.TemporaryDirectory(prefix="nw") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr("tempfile.tempdir", None)
        monkeypatch.delenv(VISIBLE, raising=False)
        monkeypatch.setenv(side_by_side.FOLDER, str(tmp_path / "done"))
        monkeypatch.setenv(side_by_side.MEETING_SECONDS, "1")
        nvidia_smi(PAIR, folder=tmp_path / "bin", monkeypatch=monkeypatch)
        monkeypatch.setattr(run, "whole_pipeline", side_by_side.whole_pipeline)
        yield tmp_path / "done"


@contextlib.contextmanager
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.get() as opened:
        yield opened


def run_of(*names: str) -> list[str]:
    with instance() as opened:
        pools.set_slots(opened, TRAININGS, slots(processes=1))
        return run._in_processes(opened, [dg.AssetKey(name) for name in names], log="run.log")


def test_two_trainings_meet_on_two_gpus_and_errors_are_told_in_one_line_each(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(side_by_side.MEETING_SECONDS, "120")
    assert sorted(run_of("baseline", "multi_view", "failing", "broken")) == [
        "broken: ZeroDivisionError: integer division or modulo by zero",
        "failing: train: the loss is not finite; lower the rate",
    ]
    found = {path.stem: json.loads(path.read_text()) for path in machine.glob("*.json")}
    assert {name: each["beside"] for name, each in found.items()} == {"baseline": True, "multi_view": True}
    assert {each["gpu"] for each in found.values()} == {A, B}


def test_on_one_gpu_they_follow_each_other(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia_smi(SINGLE, folder=machine.parent / "bin", monkeypatch=monkeypatch)
    assert run_of("baseline", "multi_view") == []
    found = [json.loads(path.read_text()) for path in machine.glob("*.json")]
    assert found == [{"gpu": A, "beside": False}] * 2


@pytest.mark.parametrize(
    ("cards", "selection", "way"),
    [
        (PAIR, "key:baseline or key:multi_view", "_in_processes"),
        (PAIR, "key:baseline or key:specificity_baseline", "_in_this_process"),
        (SINGLE, "group:training", "_in_this_process"),
        ("", "group:training", "_in_this_process"),
    ],
)
def test_processes_are_started_where_trainings_can_be_side_by_side(
    machine: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, cards: str, selection: str, way: str
) -> None:
    nvidia_smi(cards, folder=machine.parent / "bin", monkeypatch=monkeypatch)
    taken: list[str] = []

    def takes(name: str) -> Callable[..., list[str]]:
        def taking(*_: object, **__: object) -> list[str]:
            taken.append(name)
            return []

        return taking

    for name in ("_in_processes", "_in_this_process"):
        monkeypatch.setattr(run, name, takes(name))
    monkeypatch.setattr(run, "raise_on_signals", lambda: None)
    assert run.materialise(settings, selection=selection).problems == []
    assert taken == [way]


def test_losses_are_accepted_by_a_run_that_looks_for_them_only() -> None:
    assert "ops" not in run.run_config({"losses"}, accept_losses=None)
    accepted = run.run_config({"losses", "species"}, accept_losses="a genus moved out of the scope")
    assert accepted["ops"] == {"losses": {"config": {"accept": "a genus moved out of the scope"}}}
    assert accepted["loggers"] == run.RUN_CONFIG["loggers"]
    with pytest.raises(ConfigurationError, match="--accept-losses is about the asset losses"):
        run.run_config({"split"}, accept_losses="why")


def test_a_signal_ends_the_trainings_and_their_children(machine: Path) -> None:
    command = subprocess.Popen(
        [sys.executable, "-m", "tests.pipeline.side_by_side"], cwd=PROJECT_ROOT, stderr=subprocess.PIPE, text=True
    )
    child = machine / "child"
    while not (child.exists() and child.read_text()):
        assert command.poll() is None
        time.sleep(0.05)
    command.send_signal(signal.SIGINT)
    _, said = command.communicate(timeout=120)
    assert command.returncode == 130, said
    assert not side_by_side.is_running(int(child.read_text()))


@pytest.mark.usefixtures("machine")
class TestSlots:
    """The number of slots of the pool of trainings."""

    def limits(self, opened: dg.DagsterInstance) -> dict[str, int]:
        return {limit.name: limit.limit for limit in opened.event_log_storage.get_pool_limits()}

    def test_they_follow_the_machine(self) -> None:
        with instance() as opened:
            for number in (2, 8, 4, 1):
                pools.set_slots(opened, TRAININGS, number)
                assert self.limits(opened) == {TRAININGS: number}

    def test_without_several_gpus_the_default_stays(self) -> None:
        with instance() as opened:
            pools.set_slots(opened, TRAININGS, 1)
            assert self.limits(opened) == {}

    def test_what_a_person_chose_stays(self) -> None:
        with instance() as opened:
            pools.set_slots(opened, TRAININGS, 4)
            opened.event_log_storage.set_concurrency_slots(TRAININGS, 3)
            pools.set_slots(opened, TRAININGS, 8)
            assert self.limits(opened) == {TRAININGS: 3}

    def test_a_default_that_a_person_chose_stays(self) -> None:
        home = Path(os.environ["DAGSTER_HOME"]) / "dagster.yaml"
        home.write_text(CONFIGURATION.replace("default_limit: 1", "default_limit: 3"), encoding="utf-8")
        with instance() as opened:
            pools.set_slots(opened, TRAININGS, 8)
            assert self.limits(opened) == {}
