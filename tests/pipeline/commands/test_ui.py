"""`naturewatch ui`: which servers it starts, and that none of them, nor what they have started, outlives it."""

import contextlib
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pytest

from pipeline.commands import ui
from pipeline.config.settings import Settings
from pipeline.errors import ChildError
from pipeline.launching.interrupts import Interrupted
from pipeline.launching.pools import PROCESS_TAG

Make = Callable[..., Settings]
SERVER = """
import signal, subprocess, sys, time
from pathlib import Path
folder, how = Path(sys.argv[1]), sys.argv[2]
if how == "ends":
    sys.exit(3)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
(folder / "pids.new").write_text(f"{__import__('os').getpid()} {child.pid}")
(folder / "pids.new").rename(folder / "pids")
if how == "deaf":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
while how != "waits" or not (folder / "enough").exists():
    time.sleep(0.02)
"""
"""A server with a child of its own, of which it takes no care."""


def server(folder: Path, how: str = "serves") -> list[str]:
    folder.mkdir(exist_ok=True)
    return [sys.executable, "-c", SERVER, str(folder), how]


def pids(folder: Path) -> list[int]:
    """The server and its child, once both run."""
    while not (folder / "pids").exists():
        time.sleep(0.01)
    return [int(pid) for pid in (folder / "pids").read_text().split()]


def wait_for(state: Callable[[], bool]) -> None:
    while not state():
        time.sleep(0.02)


def processes(folder: Path) -> list[psutil.Process]:
    return [psutil.Process(pid) for pid in pids(folder)]


def ended(found: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(found, timeout=60)
    return all(process.status() == psutil.STATUS_ZOMBIE for process in alive)


@pytest.fixture
def keeper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Starts a keeper with a server; waits for nothing that a deaf server would make long."""
    started: list[subprocess.Popen[bytes]] = []

    def start(how: str) -> subprocess.Popen[bytes]:
        program = (
            "import sys\nfrom pipeline.launching import keep\n"
            "keep.GRACE_SECONDS = keep.LEFT_SECONDS = 0.3\nsys.exit(keep.main(sys.argv[1:]))"
        )
        command = [sys.executable, "-c", program, *server(tmp_path, how)]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("how", ["serves", "deaf"])
def test_a_keeper_ends_the_whole_group_when_its_input_ends(
    keeper: Callable[[str], subprocess.Popen[bytes]], tmp_path: Path, how: str
) -> None:
    kept = keeper(how)
    found = processes(tmp_path)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A terminal sends them to everybody: the keeper's parent decides.
        kept.send_signal(number)
    assert kept.poll() is None
    assert kept.stdin is not None
    kept.stdin.close()
    assert ended(found)
    assert kept.wait(60) != 0


def test_a_keeper_ends_what_a_server_that_died_has_left_behind(
    keeper: Callable[[str], subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    kept = keeper("serves")
    found = processes(tmp_path)
    found[0].kill()
    assert kept.wait(60) == -signal.SIGKILL % 256
    assert ended(found)


class Started:
    """Servers of the test's own in place of Dagster's and MLflow's; what they were started with."""

    def __init__(self, folder: Path) -> None:
        self.dagster, self.mlflow = server(folder / "dagster"), server(folder / "mlflow")
        self.names: set[str] = set()
        self.environment: Mapping[str, str] = {}
        self.once_running: Callable[[], object] = lambda: None


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a Dagster instance, whose making takes longer than the tests, too."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: Path) -> Started:
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    servers = Started(tmp_path)
    running = ui._running

    @contextlib.contextmanager
    def recorded(commands: Mapping[str, list[str]], environment: Mapping[str, str]) -> Iterator[Any]:
        servers.names, servers.environment = set(commands), environment
        with running(commands, environment) as keepers:
            servers.once_running()
            yield keepers

    monkeypatch.setattr(ui, "_running", recorded)
    monkeypatch.setattr(ui, "_dagster", lambda _: servers.dagster)
    monkeypatch.setattr(ui, "_mlflow", lambda *_: servers.mlflow)
    return servers


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A configuration whose MLflow database is made once: that takes longer than the tests."""
    return Settings(name="test", data_root=tmp_path_factory.mktemp("data"))


def free_ports() -> dict[str, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return {"port": one.getsockname()[1], "mlflow_port": other.getsockname()[1]}


def test_when_one_server_ends_the_other_is_ended_and_the_one_is_named(
    started: Started, local: Settings, tmp_path: Path
) -> None:
    started.mlflow = server(tmp_path / "mlflow", "ends")
    started.once_running = lambda: pids(tmp_path / "dagster")
    with pytest.raises(ChildError, match=r"mlflow server ended with status 3; its output above says why"):
        ui.serve(local, **free_ports())
    assert all(not psutil.pid_exists(pid) for pid in pids(tmp_path / "dagster"))


def test_a_remote_tracking_server_is_linked_to_and_none_is_started_here(
    started: Started, make_settings: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ports = free_ports()
    remote = f"http://127.0.0.1:{ports['mlflow_port']}"
    started.dagster = server(tmp_path / "dagster", "ends")
    with pytest.raises(ChildError, match="dagster dev ended"):
        ui.serve(make_settings(registry={"tracking_uri": remote}), **ports)
    assert started.names == {"dagster dev"}
    assert started.environment["NATUREWATCH__REGISTRY__MLFLOW_URL"] == remote
    printed = capsys.readouterr()
    assert f"MLflow: {remote}" in printed.out
    assert "cannot be reached" in printed.err, "it is down, which is said, and Dagster's side is of use all the same"
    assert not (tmp_path / "data" / "mlflow.db").exists()


def test_a_killed_run_is_ended_so_that_none_queues_behind_it(started: Started, local: Settings, tmp_path: Path) -> None:
    @dg.asset
    def anything() -> None:
        """Never made."""

    job = dg.Definitions(assets=[anything]).resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.get() as instance:
        tags = {PROCESS_TAG: "process 7 on a-container-that-was-replaced"}
        killed = instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTED)

        def ended_there() -> bool:
            run = instance.get_run_by_id(killed.run_id)
            return run is not None and run.is_finished

        # The server ends once it sees that the run has been ended.
        started.dagster = server(tmp_path / "dagster", "waits")

        def release() -> None:
            wait_for(ended_there)
            (tmp_path / "dagster" / "enough").touch()

        started.once_running = threading.Thread(target=release, daemon=True).start
        with pytest.raises(ChildError, match="dagster dev ended"):
            ui.serve(local, **free_ports())
        assert ended_there()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_both(
    started: Started, local: Settings, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    found: list[psutil.Process] = []

    def interrupt() -> None:
        found.extend(processes(tmp_path / "dagster") + processes(tmp_path / "mlflow"))
        raise Interrupted(number)

    started.once_running = interrupt
    with pytest.raises(Interrupted) as interrupted:
        ui.serve(local, **free_ports())
    assert interrupted.value.status == status
    assert len(found) == 4
    assert ended(found)
