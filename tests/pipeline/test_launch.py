"""A laptop and a workstation differ by one command."""

import sys
from pathlib import Path

from pipeline.launch import command


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
