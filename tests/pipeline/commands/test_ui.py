"""`naturewatch ui`: which servers it starts, and that none of them, nor what they have started, outlives it."""

import contextlib
import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict

import dagster as dg
import psutil
import pytest

from pipeline.commands import ui
from pipeline.config.settings import Settings
from pipeline.errors import ChildError, ConfigurationError
from pipeline.launching.interrupts import Interrupted
from pipeline.launching.pools import PROCESS_TAG
from pipeline.launching.servers import Server, Servers, running
from pipeline.tracking.runs import client, experiment_id
from tests.mlflow_stores import empty_store

Make = Callable[..., Settings]
SERVER = """
import http.server, signal, subprocess, sys, threading, time
from pathlib import Path
folder, how = Path(sys.argv[1]), sys.argv[2]
print("a line of the server", flush=True)
if how == "ends":
    print("OSError: [Errno 98] in use"); print("the last line", flush=True)
    sys.exit(3)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
(folder / "pids.new").write_text(f"{__import__('os').getpid()} {child.pid}")
(folder / "pids.new").rename(folder / "pids")
if how == "deaf":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) > 3:
    class Healthy(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
    web = http.server.HTTPServer(("127.0.0.1", int(sys.argv[3])), Healthy)
    threading.Thread(target=web.serve_forever, daemon=True).start()
while how != "waits" or not (folder / "enough").exists():
    time.sleep(0.02)
"""
"""A server with a child of its own, of which it takes no care; it answers at the port that it may be given."""


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

    def stand_in(self, real: Server, command: list[str]) -> Server:
        """A server of the test's own at the port of a real one."""
        return replace(real, command=[*command, str(real.port)])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a Dagster instance, whose making takes longer than the tests, too."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: Path) -> Started:
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    servers = Started(tmp_path)
    start, dagster, mlflow = Servers.start, ui._dagster, ui._mlflow

    @contextlib.contextmanager
    def recorded(*, environment: Mapping[str, str], log: Path) -> Iterator[Any]:
        servers.environment = environment
        with running(environment=environment, log=log) as each:
            yield each

    def recorded_start(self: Servers, one: Server) -> None:
        servers.names.add(one.name)
        start(self, one)

    def watched(instance: dg.DagsterInstance, each: Servers) -> None:
        servers.once_running()
        watch(instance, each)

    watch = ui._watch
    monkeypatch.setattr(ui, "running", recorded)
    monkeypatch.setattr(Servers, "start", recorded_start)
    monkeypatch.setattr(ui, "_watch", watched)
    monkeypatch.setattr(ui, "_dagster", lambda port: servers.stand_in(dagster(port), servers.dagster))
    monkeypatch.setattr(ui, "_mlflow", lambda settings, port: servers.stand_in(mlflow(settings, port), servers.mlflow))
    return servers


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A configuration with an MLflow database, which is not made anew for each test."""
    settings = Settings(name="test", data_root=tmp_path_factory.mktemp("data"))
    empty_store(settings.paths.mlflow_database)
    return settings


class Ports(TypedDict):
    """Two ports at which nothing listens."""

    port: int
    mlflow_port: int


def free_ports() -> Ports:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return Ports(port=one.getsockname()[1], mlflow_port=other.getsockname()[1])


def test_it_says_what_it_shows_and_when_it_is_ready(
    started: Started, local: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ports = free_ports()

    def interrupt() -> None:
        pids(tmp_path / "dagster"), pids(tmp_path / "mlflow")
        raise Interrupted(signal.SIGINT)

    started.once_running = interrupt
    with pytest.raises(Interrupted, match="Dagster and MLflow ended"):
        ui.serve(local, **ports)
    first, tables, log, ready, stopping = capsys.readouterr().out.splitlines()
    assert f"for the scope test, data in {local.data_root}" in first
    assert "There are no tables yet" in tables
    written = Path(log.removeprefix("What the servers print: "))
    assert written.parent == local.paths.logs
    assert "a line of the server" in written.read_text("utf-8")
    number = experiment_id(local, client(local))
    page = f"http://127.0.0.1:{ports['mlflow_port']}/#/experiments/{number}/runs?workflowType=machine_learning"
    assert ready == f"Ready: Dagster http://127.0.0.1:{ports['port']}   MLflow {page}   (Ctrl-C ends this)"
    assert stopping == "Stopping Dagster and MLflow."
    assert started.environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"


@pytest.mark.parametrize(
    ("terminal", "display", "asked", "opened"),
    [(True, ":0", True, True), (False, ":0", True, False), (True, "", True, False), (True, ":0", False, False)],
)
def test_a_browser_is_opened_for_a_person_only(
    started: Started, local: Settings, monkeypatch: pytest.MonkeyPatch,
    *, terminal: bool, display: str, asked: bool, opened: bool,
) -> None:  # fmt: skip
    ports, addresses = free_ports(), list[str]()
    for name in ("WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    monkeypatch.setattr(webbrowser, "open", addresses.append)

    def interrupt() -> None:
        raise Interrupted(signal.SIGINT)

    started.once_running = interrupt
    with pytest.raises(Interrupted):
        ui.serve(local, **ports, browser=asked)
    assert addresses == ([f"http://127.0.0.1:{ports['port']}/asset-groups"] if opened else [])


def test_when_one_server_ends_the_other_is_ended_and_the_one_is_named_with_its_error(
    started: Started, local: Settings, tmp_path: Path
) -> None:
    started.mlflow = server(tmp_path / "mlflow", "ends")
    with pytest.raises(ChildError) as told:
        ui.serve(local, **free_ports())
    assert re.fullmatch(
        r"mlflow server ended with status 3 \(OSError: \[Errno 98\] in use\); the log has the rest: .*/logs/ui-.*\.log",
        str(told.value),
    )
    if (tmp_path / "dagster" / "pids").exists():
        assert all(not psutil.pid_exists(pid) for pid in pids(tmp_path / "dagster"))


def test_a_taken_port_is_told_before_anything_is_started(started: Started, local: Settings) -> None:
    ports = free_ports()
    with (
        socket.create_server(("127.0.0.1", ports["mlflow_port"])),
        pytest.raises(ConfigurationError, match=rf"port {ports['mlflow_port']} cannot be used .* with --mlflow-port"),
    ):
        ui.serve(local, **ports)
    assert started.names == set()


def test_a_remote_tracking_server_is_linked_to_and_none_is_started_here(
    started: Started, make_settings: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ports = free_ports()
    remote = f"http://127.0.0.1:{ports['mlflow_port']}"

    def interrupt() -> None:
        raise Interrupted(signal.SIGTERM)

    started.once_running = interrupt
    with pytest.raises(Interrupted, match=r"^Dagster ended"):
        ui.serve(make_settings(registry={"tracking_uri": remote}), **ports)
    assert started.names == {"dagster dev"}
    assert started.environment["NATUREWATCH__REGISTRY__MLFLOW_URL"] == remote
    printed = capsys.readouterr()
    assert f"MLflow {remote} " in printed.out
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


COMMAND = """
import sys
from dataclasses import replace
from pathlib import Path
from pipeline.commands import cli, ui
dagster, mlflow, command = ui._dagster, ui._mlflow, sys.argv[1:5]
def stand_in(real, folder):
    return replace(real, command=[*command[:3], folder, "serves", str(real.port)])
ui._dagster = lambda port: stand_in(dagster(port), sys.argv[4])
ui._mlflow = lambda settings, port: stand_in(mlflow(settings, port), sys.argv[5])
sys.exit(cli.main(sys.argv[6:]))
"""
"""The command, with servers of the test's own."""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_the_command_and_all_that_it_started_without_a_trace(
    local: Settings, home: Path, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    ports = free_ports()
    folders = [tmp_path / name for name in ("dagster", "mlflow")]
    for folder in folders:
        folder.mkdir()
    options = ["ui", "--port", str(ports["port"]), "--mlflow-port", str(ports["mlflow_port"])]
    command = [*server(folders[0])[:3], *map(str, folders), *options]
    environment = {**os.environ, "DAGSTER_HOME": str(home), "NATUREWATCH__DATA_ROOT": str(local.data_root)}
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, *command], env=environment, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as started:  # fmt: skip
        assert started.stdout is not None
        said = list(itertools.takewhile(lambda line: not line.startswith("Ready:"), started.stdout))
        assert "Starting" in said[0], said
        found = [process for folder in folders for process in processes(folder)]
        if number == signal.SIGINT:
            # Ctrl-C reaches everybody.
            os.killpg(started.pid, number)
        else:
            started.send_signal(number)
        said = started.stdout.read().splitlines()
    assert said == ["Stopping Dagster and MLflow.", "naturewatch: Dagster and MLflow ended"]
    assert started.returncode == status
    assert len(found) == 4
    assert ended(found)


def test_a_signal_waits_until_what_must_not_be_disturbed_ends() -> None:
    came: list[int] = []

    def handler(number: int, _: object) -> None:
        came.append(number)

    before = signal.signal(signal.SIGTERM, handler)
    try:
        with ui._undisturbed():
            # Another thread may be the one that receives it.
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.05)
            assert came == []
        assert came == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)
