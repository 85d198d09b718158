"""The command line: zero only when the work is done, one line of reason otherwise."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.commands.cli import main
from pipeline.launching.interrupts import SIGNALS


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    """The command handles signals from its first moment on; the tests do not."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Dagster instance and a data root of the test's own."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NATUREWATCH__DATA_ROOT", str(tmp_path / "data"))
    return tmp_path


def naturewatch(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline.commands.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, **environment},
    )


def told(capfd: pytest.CaptureFixture[str], *arguments: str, status: int = 1) -> str:
    """The one line that a wrong call ends with."""
    try:
        assert main(arguments) == status
    except SystemExit as end:
        assert end.code == status  # noqa: PT017 (argparse leaves so)
    said = capfd.readouterr().err
    assert said.count("\n") == 1, said
    assert said.startswith("naturewatch")
    return said


@pytest.mark.parametrize(
    ("arguments", "environment", "reason"),
    [
        (["run", "--config", "absent.yaml"], {}, "absent.yaml"),
        (["refresh", "--config", "absent.yaml"], {}, "absent.yaml"),
        (["run"], {"NATUREWATCH__SPLIT__SIDE": "left"}, "split.side"),
        (["run"], {"DAGSTER_HOME": "/dev/null/home"}, "/dev/null/home"),
        (["identify", "--config", "absent.yaml", "photo.jpg"], {}, "absent.yaml"),
        (["identify", "--config=absent.yaml", "photo.jpg"], {}, "absent.yaml"),
        (["export", "--config", "absent.yaml", "--output", "folder"], {}, "absent.yaml"),
    ],
)
def test_what_can_be_known_before_is_told_in_one_line(
    home: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    arguments: list[str], environment: dict[str, str], reason: str,
) -> None:  # fmt: skip
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert reason in told(capfd, *arguments)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "command"),
        (["rnu"], "'rnu'"),
        (["run", "--slect", "photos"], "--slect"),
        (["run", "photos"], "photos"),
        (["refresh", "--select", "photos"], "--select"),
        (["refresh", "--accept-losses"], "--accept-losses"),
        (["run", "--config"], "--config"),
        (["ui", "--port", "http"], "no port"),
        (["ui", "--port", "70000"], "no port"),
        (["ui", "--mlflow-port", "-1"], "no port"),
    ],
)
def test_a_wrong_call_ends_with_two_and_one_line(
    capfd: pytest.CaptureFixture[str], arguments: list[str], reason: str
) -> None:
    assert reason in told(capfd, *arguments, status=2)


def test_a_taken_port_is_told_before_anything_is_started(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"port {port} cannot be used" in told(capfd, "ui", "--port", str(port))
        said = told(capfd, "ui", "--mlflow-port", str(port))
    assert f"port {port}" in said
    assert "--mlflow-port" in said
    assert "choose two ports" in told(capfd, "ui", "--port", "6000", "--mlflow-port", "6000")
    assert not (home / "data").exists()


def test_a_wrong_selection_and_a_server_that_is_down_are_told_before_anything_runs(home: Path) -> None:
    wrong = naturewatch("run", "--select", "key:photos or key:splitt")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1), wrong.stderr
    assert "did you mean split?" in wrong.stderr
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    down = naturewatch("run", NATUREWATCH__REGISTRY__TRACKING_URI=address)
    assert (down.returncode, down.stderr.count("\n")) == (1, 1), down.stderr
    assert f"MLflow server at {address.removeprefix('http://')} cannot be reached" in down.stderr
    assert not (home / "data" / "downloads").exists()


@pytest.mark.parametrize("command", ["identify", "export", "specificity", "replica"])
def test_every_command_that_is_handed_over_explains_itself(command: str) -> None:
    answer = naturewatch(command, "--help")
    assert answer.returncode == 0, answer.stderr
    assert "usage:" in answer.stdout


@pytest.mark.parametrize("command", ["run", "refresh", "ui"])
def test_the_other_commands_do_so_too(capfd: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert "usage:" in capfd.readouterr().out


def test_no_command_loads_the_networks() -> None:
    code = "import sys, pipeline.definitions, pipeline.commands.run; "
    code += "print([m for m in ('torch', 'timm') if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert answer.stdout.strip() == "[]"
