"""A laptop and a workstation differ by one command."""

import sys
from pathlib import Path

import pytest

from pipeline.launch import command, environment


def test_one_process_is_plain_python() -> None:
    assert command(module="ml.train", spec=Path("spec.json")) == [
        sys.executable,
        "-m",
        "ml.train",
        "--spec",
        "spec.json",
    ]


def test_several_processes_go_through_torchrun() -> None:
    assert command(module="ml.train", spec=Path("spec.json"), processes=4) == [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=4",
        "-m", "ml.train", "--spec", "spec.json",
    ]  # fmt: skip


def test_threads_of_a_child_do_not_wait_in_a_loop_unless_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert environment()["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert environment()["OMP_WAIT_POLICY"] == "ACTIVE"
