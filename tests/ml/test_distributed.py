"""Two processes started by torchrun: the weights of one process, and an end together when one cannot go on."""

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file

from ml import recipes, train
from ml.devices import joined
from ml.pipes import Reporter
from ml.spec import RESULT_FILE, TrainResult, TrainSpec
from ml.weights import from_package
from tests.ml.world import STEADY, World

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = ["epoch", "step", "train_loss", "train_accuracy"]


def two_processes(spec: TrainSpec, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
         "-m", "tests.ml.distributed", "--spec", str(spec.write(spec.output.with_suffix(".json"))), *options],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )  # fmt: skip


def test_two_processes_give_the_weights_of_one(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # One photograph cannot be read: the processes' shares of its batch are unequal.
    broken = world.spoiled(tmp_path / "world", "003")
    one = broken.spec(tmp_path / "one", spec_hash="one", weights="package")
    two = broken.spec(tmp_path / "two", spec_hash="two", weights="package", accumulate=2)
    done = two_processes(two)
    assert done.returncode == 0, done.stderr
    monkeypatch.setitem(recipes.RECIPES["sample"], "baseline", STEADY)
    with joined() as device:
        train.run(one, device=device, reporter=Reporter(lambda _: None), stop=threading.Event())
    first, second = (load_file(spec.output / "weights.safetensors") for spec in (one, two))
    start = from_package("tf_efficientnet_lite0")
    moved = max((first[f"backbone.{name}"] - start[name]).abs().max().item() for name in start if "conv" in name)
    apart = max((first[name] - second[name]).abs().max().item() for name in first)
    assert apart < 1e-3 * moved
    rows, again = (
        pq.read_table(TrainResult.read(spec.output / RESULT_FILE).history, columns=COLUMNS).to_pylist()
        for spec in (one, two)
    )
    for row, other in zip(rows, again, strict=True):
        assert other == pytest.approx(row, rel=1e-3)


def test_all_processes_end_when_the_loss_of_one_is_not_finite(world: World, tmp_path: Path) -> None:
    failed = two_processes(world.spec(tmp_path / "bad", spec_hash="bad"), "--bad-rank=1", "--bad-step=3")
    assert failed.returncode == 1
    reasons = re.findall(r"error: the loss is inf at step 3 of 6; .* photographs: (.*)", failed.stderr)
    assert len(reasons) == 2, "both processes say so, and neither waits for the other"
    assert reasons[0] == reasons[1]
    assert len(reasons[0].split(", ")) == 3, "the share of the process that cannot go on"
