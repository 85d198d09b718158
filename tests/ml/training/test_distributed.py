"""Two processes started by torchrun: the weights of one process, and an end together when one cannot go on."""

import itertools
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from ml.child.pipes import Reporter
from ml.devices import Device, joined
from ml.errors import TrainingError
from ml.networks import embeddings
from ml.spec import RESULT_FILE, TrainResult, TrainSpec
from ml.taxonomy import Taxonomy
from ml.training import head_fit, train
from ml.training.recipes import FROZEN, Probe, Recipe, Segment
from ml.training.start import first_network
from tests.ml.world import SMOOTH, STEADY, World

ROOT = Path(__file__).resolve().parents[3]
HIDDEN = {"CUDA_VISIBLE_DEVICES": ""}
"""Two processes need two GPUs, or none; and the digits compared here are those of full precision."""
HEADS: Mapping[str, str] = {"linear": "1000000000", "cosine": "0", "prototype": "0"}
"""Kinds of heads, and the largest problem of each that is solved exactly, in bytes."""
COLUMNS = ["epoch", "step", "train_loss", "train_accuracy"]


RECIPES: Mapping[str, Recipe] = {
    # The same weights however its batches are divided.
    "steady": STEADY,
    # Norms in training mode, which cannot normalise one photograph by itself; an average; patience; a validation.
    "uneven": STEADY.model_copy(
        update={"batch": 4, "batch_norm_frozen": False, "ema": 0.5, "patience": 5.0,
                "segments": (Segment(epochs=1, rate=0.1),)}
    ),
    **{
        head: FROZEN.model_copy(
            update={
                "head": head,
                "probe": Probe(views=2, weight_decay=(0.1, 1.0), iterations=100, passes=30, shrink=(0.0, 1.0)),
            }
        )
        for head in HEADS
    },
}  # fmt: skip


def two_processes(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", module, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default", "OMP_NUM_THREADS": "1"} | HIDDEN,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What two processes have trained."""

    folder: Path
    specs: Mapping[str, TrainSpec]
    """By recipe; of each a photograph cannot be read."""

    def alone(self, name: str) -> TrainSpec:
        """The same training, by one process."""
        changes = {"output": self.folder / f"{name} alone", "spec_hash": f"{name} alone", "accumulate": 1}
        spec = self.specs[name].model_copy(update=changes)
        processor = Device(device=torch.device("cpu"), rank=0, world=1)
        train.run(spec, device=processor, reporter=Reporter(lambda _: None), stop=threading.Event())
        return spec


@pytest.fixture(scope="module")
def trained(world: World, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """All trainings by the same two processes: what takes long is that they begin."""
    folder = tmp_path_factory.mktemp("two")
    # Of the first four photographs of `uneven` one cannot be read.
    job = world.job(folder / "job", recipe=RECIPES["uneven"])
    unreadable = {
        "steady": "003",
        "uneven": job.photos.photo_ids[job.groups(0)[0][0]],
        # Of 18 photographs in pieces of five, one process has ten and the other eight, one of which is unreadable.
        **dict.fromkeys(HEADS, "013"),
    }
    specs = {}
    for name, recipe in RECIPES.items():
        broken = world.spoiled(folder / name, unreadable[name])
        recipes = folder / f"{name}.recipes.json"
        recipes.write_text(json.dumps({"baseline": recipe.model_dump(mode="json")}))
        changes: dict[str, object] = {"backbone": SMOOTH} if name != "uneven" else {"tracking": None}
        if name == "steady":
            # The shares of a batch are unequal, and each is taken in two parts.
            changes["accumulate"] = 2
        specs[name] = broken.spec(folder / f"{name} out", spec_hash=name, recipe=str(recipes), **changes)
    files = [str(spec.write(folder / f"{name}.json")) for name, spec in specs.items()]
    exact = [HEADS.get(name, "-") for name in specs]
    done = two_processes("tests.ml.in_turn", *itertools.chain.from_iterable(zip(files, exact, strict=True)))
    assert done.returncode == 0, done.stderr
    return Trained(folder=folder, specs=specs)


def test_two_processes_give_the_weights_of_one(trained: Trained) -> None:
    one, two = trained.alone("steady"), trained.specs["steady"]
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


def test_shares_of_one_photograph_and_of_two_end_in_the_same_state(trained: Trained) -> None:
    output = trained.specs["uneven"].output
    (row,) = pq.read_table(TrainResult.read(output / RESULT_FILE).history).to_pylist()
    assert row["step"] == 4
    assert row["validation_loss"] > 0
    kept = load_file(output / "weights.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in kept.values())


@pytest.mark.parametrize("head", HEADS)
def test_two_processes_fit_the_head_of_one(trained: Trained, head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "PIECE", 5)
    monkeypatch.setattr(head_fit, "EXACT_BYTES", int(HEADS[head]))
    one, two = trained.alone(head), trained.specs[head]
    weights, again = (load_file(spec.output / "weights.safetensors") for spec in (one, two))
    answers = [
        pq.read_table(TrainResult.read(spec.output / RESULT_FILE).predictions, columns=["probability"])["probability"]
        for spec in (one, two)
    ]
    assert answers[1].to_pylist() == pytest.approx(answers[0].to_pylist(), abs=1e-2)
    for name in weights:
        torch.testing.assert_close(again[name], weights[name], rtol=1e-2, atol=1e-3)


def test_all_processes_end_when_the_loss_of_one_is_not_finite(world: World, tmp_path: Path) -> None:
    recipes = tmp_path / "recipes.json"
    recipes.write_text(json.dumps({"baseline": STEADY.model_dump(mode="json")}))
    spec = world.spec(tmp_path / "bad", spec_hash="a bad process", recipe=str(recipes))
    failed = two_processes("tests.ml.diverging", "train", "--spec", str(spec.write(tmp_path / "bad.json")))
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
