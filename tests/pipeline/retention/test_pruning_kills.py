"""A pruning that is killed after each thing that it removes: there is always one champion, and the end is whole."""

import shutil
import subprocess
import sys
from pathlib import Path

from mlflow.tracking import MlflowClient

from pipeline.paths import PROJECT_ROOT
from pipeline.retention.pruning import carry_out, planned
from pipeline.tracking.runs import client
from tests.pipeline.retention.lived_in import (
    MODEL,
    age,
    instance_in,
    lived_in,
    load_version,
    photographs,
    training_of,
)

MOST = 40
"""Kills after which a pruning has surely got nowhere."""


def everything_below(root: Path) -> set[str]:
    """Files and folders, without those that come and go with every process, and databases."""
    passing = {"work", "dagster", "fetch"}
    found = {path.relative_to(root) for path in root.rglob("*")}
    return {str(path) for path in found if path.parts[0] not in passing and not path.name.endswith(("lock", ".db"))}


def champions(connected: MlflowClient) -> list[str]:
    """What the alias `champion` leads to."""
    aliases = connected.get_registered_model(MODEL).aliases
    return [str(number) for alias, number in aliases.items() if alias == "champion"]


def test_killed_after_each_removal_the_champion_can_be_loaded_and_the_next_run_goes_on(tmp_path: Path) -> None:
    """Each process is killed by SIGKILL right after one of the calls that remove or rename something."""
    settings = lived_in(tmp_path / "data")
    root = settings.paths.data_root
    litter = root / "tables" / ".split.parquet.abc.partial"
    litter.mkdir()
    whole = lived_in(tmp_path / "whole")
    with instance_in(whole.paths.data_root) as instance, planned(whole, instance) as plan:
        carry_out(whole, instance, plan, log=lambda _: None)
    connected, told = client(settings), list[str]()
    command = [sys.executable, "-m", "tests.pipeline.retention.dying", str(root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=PROJECT_ROOT) as dying:
        assert dying.stdin is not None
        assert dying.stdout is not None
        while not told or told[-1].startswith("killed"):
            dying.stdin.write("\n")
            dying.stdin.flush()
            told.append(dying.stdout.readline().strip())
            assert champions(connected) == ["3"]
            assert load_version(settings, "champion") == "3"
            assert len(told) < MOST
        dying.stdin.close()
    assert told[-1] == "ended"
    reached = {line.removeprefix("killed after ") for line in told[:-1]}
    assert reached == {
        "delete_model_version", "_hard_delete_logged_model", "_hard_delete_run", "rename", "rmtree", "unlink",
    }  # fmt: skip
    assert [load_version(settings, alias) for alias in ("challenger", "2")] == ["4", "2"]
    assert photographs(settings.paths) == {"p2", "p3", "p4"}
    assert everything_below(root) == everything_below(whole.paths.data_root)


def test_a_folder_that_was_being_removed_is_no_training_any_more(tmp_path: Path) -> None:
    settings = lived_in(tmp_path / "data")
    paths = settings.paths
    going = paths.model("baseline", training_of(1))
    half = going.with_name(f".{going.name}.pruned.partial")
    shutil.move(going, half)
    age(half)
    with instance_in(paths.data_root) as instance, planned(settings, instance) as plan:
        assert f"models/baseline/{half.name}" in {removal.name for removal in plan.removals}
        carry_out(settings, instance, plan, log=lambda _: None)
    assert not half.exists()
