"""One step: in parts, in half precision, compiled, or recomputed, it is the step of the whole batch."""

import functools
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from ml.devices import Device, Fetched
from ml.errors import InterruptedTrainingError, TrainingError
from ml.images.loader import Batch, Loader
from ml.images.pack import Pack, Photos, read_split
from ml.training.checkpoints import FILE
from ml.training.job import Job
from ml.training.loop import Loop, fit
from ml.training.recipes import Segment
from ml.training.validation import Quality, Validation
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


def test_the_stages_of_a_transfer_draw_dropout_of_their_own(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: dict[str, list[int]] = {"genus": [], "species": []}
    for rank, drawn in seeds.items():
        with monkeypatch.context() as patched:
            job = world.job(tmp_path / rank, recipe=HALF_STEP.model_copy(update={"rank": rank}))
            patched.setattr(torch, "manual_seed", drawn.append)
            fit(job)
    assert len(seeds["genus"]) == len(seeds["species"]) == 2
    assert len({*seeds["genus"], *seeds["species"]}) == 4


def test_the_history_tells_what_limits_training(world: World, tmp_path: Path) -> None:
    rows = fit(world.job(tmp_path, recipe=HALF_STEP))
    assert [row["step"] for row in rows] == [1, 2]
    for row in rows:
        assert 0 <= row["data_wait"] <= 1
        assert row["memory_mib"] > 50
        assert row["photos_per_second"] > 0


LIVELY = STEADY.model_copy(update={"dropout": 0.2, "batch_norm_frozen": False, "ema": 0.5})
"""Draws dropout, moves statistics, and averages weights."""


def looked_at(world: World) -> Validation:
    photos = read_split(world.split, pack=Pack(world.index), side="validation")
    return Validation(photos, train_photos=18, seed=0)


def test_the_average_of_weights_follows_its_formula_after_every_step(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = world.job(tmp_path, recipe=LIVELY)
    seen: list[dict[str, Tensor]] = []
    averages: list[dict[str, Tensor]] = []
    original = Loop.take

    def take(self: Loop, batch: Batch, **keywords: Any) -> Fetched:  # noqa: ANN401
        numbers = original(self, batch, **keywords)
        assert self.average is not None
        seen.append(weights(self.job))
        averages.append({name: tensor.clone() for name, tensor in self.average.module.state_dict().items()})
        return numbers

    monkeypatch.setattr(Loop, "take", take)
    # Weights and running statistics; whole numbers are counts.
    expected = {name: tensor.double() for name, tensor in weights(job).items() if tensor.is_floating_point()}
    fit(job)
    assert len(seen) == 6
    for done, (now, average) in enumerate(zip(seen, averages, strict=True)):
        decay = min(0.5, (1 + done) / (10 + done))
        expected = {name: decay * expected[name] + (1 - decay) * now[name].double() for name in expected}
        for name, wanted in expected.items():
            assert torch.allclose(average[name].double(), wanted, rtol=1e-4, atol=1e-5), name
    kept = dict(job.network.named_parameters())
    assert all(torch.equal(parameter, averages[-1][name]) for name, parameter in kept.items()), "the average is kept"
    assert any(not torch.equal(parameter, seen[-1][name]) for name, parameter in kept.items())


def test_an_average_follows_recorded_steps_as_it_does_eager_ones(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    eager, recorded = (world.job(tmp_path / name, recipe=LIVELY) for name in ("eager", "recorded"))
    fit(eager)
    monkeypatch.setattr("ml.training.loop.recordable", lambda *_, **__: True)
    fit(recorded)
    assert farthest(weights(eager), weights(recorded)) == 0


@pytest.mark.parametrize("after", [1, 3, 5])
def test_an_average_and_the_best_epoch_survive_an_interruption(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    patient = LIVELY.model_copy(update={"patience": 5.0})
    whole, parts, rest = (
        world.job(tmp_path / folder, recipe=patient, validation=looked_at(world))
        for folder in ("whole", "parts", "parts")
    )
    stop_after(monkeypatch, after, stop=parts.stop)
    rows = fit(whole)
    with pytest.raises(InterruptedTrainingError, match=f"after step {after} of 6"):
        fit(parts)
    again = fit(rest)
    assert farthest(weights(whole), weights(rest)) == 0
    columns = ("train_loss", "validation_loss", "validation_accuracy")
    assert [[row[name] for name in columns] for row in again] == [[row[name] for name in columns] for row in rows]


def test_training_ends_when_nothing_improves_and_keeps_the_best_epoch(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([1.0, 0.5, 0.7, 0.6, 0.1])
    after_epoch: list[dict[str, Tensor]] = []
    patient = STEADY.model_copy(update={"patience": 2.0, "segments": (Segment(epochs=5, rate=1.0),)})
    job, again = (world.job(tmp_path, recipe=patient, validation=looked_at(world)) for _ in range(2))

    def measure(*_: object, **__: object) -> Quality:
        after_epoch.append(weights(job))
        return Quality(loss=next(losses), accuracy=0.5)

    monkeypatch.setattr(Validation, "measure", measure)
    rows = fit(job)
    assert [row["validation_loss"] for row in rows] == [1.0, 0.5, 0.7, 0.6], "two epochs without a better loss"
    assert farthest(weights(job), after_epoch[1]) == 0
    assert fit(again) == rows, "a training that ended stays ended"
    assert farthest(weights(again), after_epoch[1]) == 0


def test_patience_without_photographs_to_look_at_is_refused(world: World, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="has patience, but no validation photograph is in the half calibration"):
        fit(world.job(tmp_path, recipe=STEADY.model_copy(update={"patience": 2.0})))


def test_only_the_calibration_half_is_looked_at(world: World, tmp_path: Path) -> None:
    # Of six validation photographs the odd ones are of the half that judges: here they cannot even be read.
    broken = world.spoiled(tmp_path / "world", "007", "107", "207")
    job = world.job(tmp_path / "whole")
    network, photos = job.network.eval(), looked_at(world).photos
    positions = np.array([at for at, half in enumerate(photos.halves) if half == "calibration"])
    (batch,) = job.loader.batches(photos, groups=[positions])
    with torch.no_grad():
        logits = network(job.loader.inputs(batch.pixels, positions=batch.positions))
    right = float((logits.argmax(1).numpy() == photos.labels[positions]).mean())
    loss = nn.functional.cross_entropy(logits, torch.from_numpy(photos.labels[positions])).item()
    for where in (world, broken):
        validation = looked_at(where)
        loader = Loader(Pack(where.index), network.spec, device=job.device, workers=0)
        quality = validation.measure(network, loader=loader, device=job.device, stop=job.stop)
        assert len(validation.positions) == 3
        assert quality == pytest.approx((loss, right), rel=1e-5)


@given(photos=st.integers(1, 30_000), train=st.integers(1, 2_000_000))
def test_looking_costs_a_tenth_of_the_photographs_of_an_epoch(photos: int, train: int) -> None:
    side = Photos(
        photo_ids=[""] * photos, labels=np.zeros(photos, np.int64), halves=["calibration"] * photos,
        rows=np.zeros(photos, np.int64),
    )  # fmt: skip
    chosen = Validation(side, train_photos=train, seed=1).positions
    assert len(chosen) == min(photos, 20_000, max(500, round(train / 10)))
    assert len(set(chosen.tolist())) == len(chosen)


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({"batch": 1, "segments": (Segment(epochs=4 / 18, rate=0.1),)}, {}),
        ({"batch": 3}, {"accumulate": 5}),
        ({"batch": 5}, {"accumulate": 4}),
    ],
    ids=["batch of one", "more parts than photographs", "parts of one and two"],
)
def test_a_share_or_part_of_one_photograph_ends_no_training(
    world: World, tmp_path: Path, changes: dict[str, object], options: dict[str, Any]
) -> None:
    single = STEADY.model_copy(update={"batch_norm_frozen": False, **changes})
    job = world.job(tmp_path, recipe=single, **options)
    before = weights(job)
    rows = fit(job)
    assert all(np.isfinite(row["train_loss"]) for row in rows)
    assert farthest(before, weights(job)) > 0


def test_a_single_photograph_trains_the_auxiliary_head_too(world: World, tmp_path: Path) -> None:
    # At 75 pixels its maps have one value per channel, which have no variance over one photograph.
    single = STEADY.model_copy(
        update={"batch": 1, "batch_norm_frozen": False, "segments": (Segment(epochs=1 / 18, rate=0.1),),
                "auxiliary_weight": 0.4}
    )  # fmt: skip
    job = world.job(tmp_path, backbone="inception_resnet_v2", recipe=single, image_size=75, auxiliary=True)
    assert job.network.auxiliary is not None
    before = job.network.auxiliary.head.weight.clone()
    assert np.isfinite(fit(job)[0]["train_loss"])
    assert not torch.equal(before, job.network.auxiliary.head.weight)
