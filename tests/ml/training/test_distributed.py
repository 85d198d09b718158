"""Two processes started by torchrun: the weights of one process, and an end together when one cannot go on."""

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from ml.child.pipes import Reporter
from ml.devices import Device, joined
from ml.errors import TrainingError
from ml.spec import RESULT_FILE, TrainResult, TrainSpec
from ml.taxonomy import Taxonomy
from ml.training import train
from ml.training.recipes import Segment
from ml.training.start import first_network
from tests.ml.world import SMOOTH, STEADY, World

ROOT = Path(__file__).resolve().parents[3]
HIDDEN = {"CUDA_VISIBLE_DEVICES": ""}
"""Two processes need two GPUs, or none; and the digits compared here are those of full precision."""
COLUMNS = ["epoch", "step", "train_loss", "train_accuracy"]


def two_processes(module: str, spec: TrainSpec) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
         "-m", module, "train", "--spec", str(spec.write(spec.output.with_suffix(".json")))],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default", "OMP_NUM_THREADS": "1"} | HIDDEN,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )  # fmt: skip


@pytest.fixture
def steady(tmp_path: Path) -> str:
    """A file with a recipe that gives the same weights however its batches are divided."""
    path = tmp_path / "recipes.json"
    path.write_text(json.dumps({"baseline": STEADY.model_dump(mode="json")}))
    return str(path)


def test_two_processes_give_the_weights_of_one(world: World, tmp_path: Path, steady: str) -> None:
    # One photograph cannot be read: the processes' shares of its batch are unequal.
    broken = world.spoiled(tmp_path / "world", "003")
    one = broken.spec(tmp_path / "one", spec_hash="one process", backbone=SMOOTH, recipe=steady)
    two = broken.spec(tmp_path / "two", spec_hash="two processes", backbone=SMOOTH, recipe=steady, accumulate=2)
    done = two_processes("ml", two)
    assert done.returncode == 0, done.stderr
    processor = Device(device=torch.device("cpu"), rank=0, world=1)
    train.run(one, device=processor, reporter=Reporter(lambda _: None), stop=threading.Event())
    first, second = (load_file(spec.output / "weights.safetensors") for spec in (one, two))
    start = first_network(one, recipe=STEADY, taxonomy=Taxonomy.read(one.taxonomy)).state_dict()
    moved, apart = (
        sum((first[name] - other[name]).square().sum().item() for name in first) for other in (start, second)
    )
    assert apart**0.5 < 1e-3 * moved**0.5
    rows, again = (
        pq.read_table(TrainResult.read(spec.output / RESULT_FILE).history, columns=COLUMNS).to_pylist()
        for spec in (one, two)
    )
    for row, other in zip(rows, again, strict=True):
        assert other == pytest.approx(row, rel=1e-3)


def test_shares_of_one_photograph_and_of_two_end_in_the_same_state(world: World, tmp_path: Path) -> None:
    # Norms in training mode, which cannot normalise one photograph by itself; an average; patience; a validation.
    uneven = STEADY.model_copy(
        update={"batch": 3, "batch_norm_frozen": False, "ema": 0.5, "patience": 5.0,
                "segments": (Segment(epochs=1, rate=0.1),)}
    )  # fmt: skip
    recipes = tmp_path / "recipes.json"
    recipes.write_text(json.dumps({"baseline": uneven.model_dump(mode="json")}))
    spec = world.spec(tmp_path / "out", spec_hash="three photographs", recipe=str(recipes), tracking=None)
    done = two_processes("ml", spec)
    assert done.returncode == 0, done.stderr
    (row,) = pq.read_table(TrainResult.read(spec.output / RESULT_FILE).history).to_pylist()
    assert row["step"] == 6
    assert row["validation_loss"] > 0
    kept = load_file(spec.output / "weights.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in kept.values())


def test_all_processes_end_when_the_loss_of_one_is_not_finite(world: World, tmp_path: Path, steady: str) -> None:
    failed = two_processes("tests.ml.diverging", world.spec(tmp_path / "bad", spec_hash="a bad process", recipe=steady))
    assert failed.returncode == 1
    reasons = re.findall(r"error: the loss is inf at step 3 of 6; .* photographs: (.*)", failed.stderr)
    assert len(reasons) == 2, "both processes say so, and neither waits for the other"
    assert reasons[0] == reasons[1]
    assert len(reasons[0].split(", ")) == 3, "the share of the process that cannot go on"


def test_more_processes_than_gpus_are_refused_in_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    for name, value in (("WORLD_SIZE", "2"), ("LOCAL_WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("LOCAL_RANK", rank)
        with pytest.raises(TrainingError, match="2 processes need a GPU each, and this machine shows 1"), joined():
            pass
