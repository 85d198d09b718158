"""The command line: zero only when the work is done, one line of reason otherwise."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def naturewatch(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize(
    ("arguments", "environment", "reason"),
    [
        (["run", "--config", "absent.yaml"], {}, "absent.yaml"),
        (["run"], {"NATUREWATCH__SPLIT__SIDE": "left"}, "split.side"),
        (["run", "--select", "group:nonsense"], {}, "selects no asset"),
        (["run", "--select", "group:("], {}, "cannot be read"),
    ],
)
def test_a_wrong_call_ends_with_one_line_of_reason(
    tmp_path: Path, arguments: list[str], environment: dict[str, str], reason: str
) -> None:
    answer = naturewatch(*arguments, DAGSTER_HOME=str(tmp_path), **environment)
    assert answer.returncode == 1
    assert answer.stderr.count("\n") == 1, answer.stderr
    assert answer.stderr.startswith("naturewatch: ")
    assert reason in answer.stderr


@pytest.mark.parametrize("command", ["run", "ui", "identify", "specificity", "replica"])
def test_every_command_explains_itself(command: str) -> None:
    answer = naturewatch(command, "--help")
    assert answer.returncode == 0, answer.stderr
    assert "usage:" in answer.stdout


def test_no_command_loads_the_networks() -> None:
    code = "import sys, pipeline.definitions, pipeline.run; print([m for m in ('torch', 'timm') if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert answer.stdout.strip() == "[]"
