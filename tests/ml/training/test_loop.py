"""One step: in parts, in half precision, compiled, or recomputed, it is the step of the whole batch."""

import functools
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ml.devices import Device, Fetched
from ml.errors import InterruptedTrainingError
from ml.images.loader import Batch
from ml.training.checkpoints import FILE
from ml.training.loop import Job, Loop, fit
from tests.ml.world import SMOOTH, STEADY, World

HALF_STEP = STEADY.model_copy(update={"batch": 18})


def weights(job: Job) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in job.network.state_dict().items()}


def farthest(first: dict[str, Tensor], second: dict[str, Tensor]) -> float:
    """The largest difference between two networks' weights."""
    assert first.keys() == second.keys()
    return max((first[name].double() - second[name].double()).abs().max().item() for name in first)


def stop_after(monkeypatch: pytest.MonkeyPatch, steps: int, *, stop: threading.Event) -> None:
    """Let a training that listens to `stop` be asked to end while it takes this step."""
    original = Loop.take

    def take(self: Loop, batch: Batch, **keywords: Any) -> Fetched:  # noqa: ANN401
        if self.position.step + 1 == steps and self.job.stop is stop:
            stop.set()
        return original(self, batch, **keywords)

    monkeypatch.setattr(Loop, "take", take)


def in_precision(precision: str) -> Device:
    return Device(device=torch.device("cpu"), rank=0, world=1, precision=precision)  # type: ignore[arg-type]


def test_a_batch_in_parts_is_the_same_step(world: World, tmp_path: Path) -> None:
    broken = world.spoiled(tmp_path / "world", "003", "101")
    whole, parts = (
        broken.job(tmp_path / name, backbone=SMOOTH, accumulate=parts) for name, parts in (("whole", 1), ("parts", 4))
    )
    before = weights(whole)
    rows, again = fit(whole), fit(parts)
    moved = farthest(before, weights(whole))
    # Five or four readable photographs of six in four parts: an average over parts would be another step.
    assert farthest(weights(whole), weights(parts)) < 1e-4 * moved
    assert again[-1]["train_loss"] == pytest.approx(rows[-1]["train_loss"], rel=1e-5)
    assert again[-1]["train_accuracy"] == rows[-1]["train_accuracy"]


def test_bfloat16_trains_weights_of_full_precision(world: World, tmp_path: Path) -> None:
    full, half = (
        world.job(tmp_path / name, backbone="resnet10t", recipe=HALF_STEP, device=in_precision(name))
        for name in ("fp32", "bf16")
    )
    rows, again = fit(full), fit(half)
    assert rows[0]["train_loss"] != again[0]["train_loss"]
    assert again[0]["train_loss"] == pytest.approx(rows[0]["train_loss"], rel=0.03)
    assert all(weight.dtype == torch.float32 for weight in half.network.parameters())


def test_float16_skips_steps_that_overflow_and_keeps_the_scale(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Device, "scaler", lambda _: torch.amp.GradScaler("cpu", init_scale=2.0**60))
    job = world.job(tmp_path, backbone="resnet10t", recipe=HALF_STEP, device=in_precision("fp16"))
    before = weights(job)
    fit(job)
    assert farthest(before, weights(job)) == 0, "gradients that overflow change nothing"
    kept = torch.load(job.spec.output / FILE, weights_only=True)
    assert kept["scaler"]["scale"] == 2.0**58, "halved at each of two steps"


def test_a_compiled_network_takes_the_same_steps_under_its_own_names(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nn.Module, "compile", functools.partialmethod(nn.Module.compile, backend="aot_eager"))
    plain, compiled = (
        world.job(tmp_path / str(chosen), backbone="resnet10t", recipe=HALF_STEP, compile=chosen)
        for chosen in (False, True)
    )
    before = weights(plain)
    fit(plain)
    fit(compiled)
    assert farthest(weights(plain), weights(compiled)) < 1e-4 * farthest(before, weights(plain))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"compile": True, "recompute": True}, "compile and recompute exclude each other"),
        ({"sync_batch_norm": True, "accumulate": 2}, "sync_batch_norm and accumulate exclude each other"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    world: World, tmp_path: Path, changes: dict[str, object], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        world.spec(tmp_path, **changes)


@pytest.mark.parametrize("after", [1, 3, 4])
def test_two_views_in_parts_stopped_after_any_step_end_in_the_same_weights(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    lively = STEADY.model_copy(update={"views": (1.0, 0.5), "dropout": 0.2, "batch_norm_frozen": False})
    whole, parts, rest = (
        world.job(tmp_path / folder, recipe=lively, accumulate=2) for folder in ("whole", "parts", "parts")
    )
    stop_after(monkeypatch, after, stop=parts.stop)
    rows = fit(whole)
    with pytest.raises(InterruptedTrainingError, match=f"after step {after} of 6"):
        fit(parts)
    again = fit(rest)
    assert farthest(weights(whole), weights(rest)) == 0
    assert [row["train_loss"] for row in again] == [row["train_loss"] for row in rows]


def test_the_history_tells_what_limits_training(world: World, tmp_path: Path) -> None:
    rows = fit(world.job(tmp_path, recipe=HALF_STEP))
    assert [row["step"] for row in rows] == [1, 2]
    for row in rows:
        assert 0 <= row["data_wait"] <= 1
        assert row["memory_mib"] > 50
        assert row["photos_per_second"] > 0
