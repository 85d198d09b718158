"""One process or several: the command of a child differs, nothing else; how a child ends is told in words."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from pipeline.errors import ChildError
from pipeline.launching import launch
from pipeline.launching.launch import command, environment, run_child

ODD_CHILD = "tests.pipeline.odd_child"


def test_one_process_is_plain_python() -> None:
    assert command(stage="train", spec=Path("spec.json")) == [
        sys.executable, "-m", "ml", "train", "--spec", "spec.json",
    ]  # fmt: skip


def test_several_processes_go_through_torchrun() -> None:
    assert command(stage="train", spec=Path("spec.json"), processes=4) == [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=4",
        "-m", "ml", "train", "--spec", "spec.json",
    ]  # fmt: skip


# Dagster's own client is what Dagster marks as a preview.
@pytest.mark.filterwarnings("ignore::dagster.PreviewWarning")
@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("fail", r"^train: the loss is not finite; lower the rate$"),
        ("die", r"process of train was ended by SIGKILL; the machine may lack memory; run the same command again"),
        ("nothing", r"^train ended without .*result\.json"),
    ],
)
def test_a_child_without_a_result_is_told_in_its_own_words_or_by_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, reason: str
) -> None:
    monkeypatch.setattr(launch, "PROGRAM", ODD_CHILD)
    spec = tmp_path / "spec"
    spec.write_text(what, encoding="utf-8")

    @dg.asset
    def trained(context: dg.AssetExecutionContext) -> None:
        run_child(context=context, pipes=dg.PipesSubprocessClient(), stage="train", spec=spec, output=tmp_path)

    with dg.DagsterInstance.ephemeral() as instance, pytest.raises(ChildError, match=reason):
        dg.materialize([trained], instance=instance)


def test_a_child_that_still_loads_leaves_no_trace_of_an_interrupt(tmp_path: Path) -> None:
    # It waits for its specification, as it waits for its imports.
    pipe = tmp_path / "spec"
    os.mkfifo(pipe)
    child = subprocess.Popen(
        command(stage="calibrate", spec=pipe),
        env={**os.environ, **environment()},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    # Opened for writing once the child reads.
    with pipe.open("w", encoding="utf-8"):
        child.send_signal(signal.SIGINT)
        said, _ = child.communicate(timeout=60)
    assert (child.returncode, said) == (-signal.SIGINT, "")


def test_threads_of_a_child_do_not_wait_in_a_loop_unless_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert environment()["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert environment()["OMP_WAIT_POLICY"] == "ACTIVE"
