"""Features of frozen layers: the network's own, computed once for all networks that begin alike, and again when not."""

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from ml.devices import Device
from ml.errors import InterruptedTrainingError
from ml.images import loader as data
from ml.images.augmentation import Augmentation, Draws
from ml.images.loader import Pack, Photos, read_split
from ml.networks.frozen import KEPT_SECONDS, FrozenLayers
from ml.networks.network import Network, NetworkSpec, build, count_frozen
from ml.networks.pretrained import initialise
from ml.training.loop import fit, freeze
from ml.training.recipes import Recipe
from ml.training.steps import Outcome, Steps
from tests.ml.training.test_loop import farthest, weights
from tests.ml.world import SMOOTH, STEADY, World

HALF = STEADY.model_copy(update={"trainable": 0.25, "reuse_frozen": True})
TWO_VIEWS = HALF.model_copy(update={"views": (1.0, 0.5), "branches": "pretrained", "fusion": "average"})
DEVICE = Device(device=torch.device("cpu"), rank=0, world=1)
GROUPS = [np.arange(4), np.array([17, 3])]


def begun(recipe: Recipe, *, seed: int = 1) -> Network:
    """A network whose frozen steps lie behind its inputs; the same seed gives the same backbone."""
    torch.manual_seed(seed)
    spec = NetworkSpec(backbone="resnet10t", classes=3, image_size=32, views=recipe.views, fusion=recipe.fusion)
    network = build(spec).eval()
    initialise(network, source="none", branches=recipe.branches)
    freeze(network, recipe=recipe)
    network.begun = count_frozen(network)
    return network


@pytest.fixture
def photos(world: World) -> Photos:
    return read_split(world.split, pack=Pack(world.index), side="train")


def layers(network: Network, world: World, folder: Path) -> FrozenLayers:
    return FrozenLayers(
        network, folder=folder, pack=Pack(world.index), device=DEVICE, workers=0, stop=threading.Event()
    )


def files(folder: Path) -> set[Path]:
    return set(folder.iterdir())


@pytest.mark.parametrize(("recipe", "steps"), [(HALF, 6), (TWO_VIEWS, 6)])
def test_features_and_the_rest_are_the_network(
    world: World, photos: Photos, tmp_path: Path, recipe: Recipe, steps: int
) -> None:
    network = begun(recipe)
    assert network.begun == steps
    found = list(layers(network, world, tmp_path).batches(photos, groups=GROUPS))
    pixels = data.batches(
        photos, pack=Pack(world.index), groups=GROUPS, box=lambda _: data.CENTRE, views=recipe.views, image_size=32,
        workers=0,
    )  # fmt: skip
    for batch, whole in zip(found, pixels, strict=True):
        assert np.array_equal(batch.positions, whole.positions)
        assert torch.equal(batch.labels, whole.labels)
        with torch.no_grad():
            network.begun = steps
            logits = network(batch.pixels)
            network.begun = 0
            inputs = data.standardise(DEVICE.pixels(whole.pixels), network.spec.mean, network.spec.std)
            assert torch.allclose(logits, network(inputs), atol=1e-4)


def test_views_whose_layers_differ_share_none_of_them() -> None:
    alike, apart = begun(TWO_VIEWS), begun(TWO_VIEWS.model_copy(update={"branches": "random"}))
    assert alike.plan is not None
    assert alike.begun == len(alike.plan.stem) + 1, "the first of the two steps before the views are joined"
    assert apart.begun == len(alike.plan.stem)
    assert begun(TWO_VIEWS.model_copy(update={"trainable": 1.0})).begun == 0


def test_networks_that_begin_alike_compute_a_view_once(world: World, photos: Photos, tmp_path: Path) -> None:
    first = list(layers(begun(HALF), world, tmp_path).batches(photos, groups=GROUPS))
    written = {path: path.read_bytes() for path in files(tmp_path)}
    assert len(written) == 1
    (tmp_path / next(iter(written)).name).touch()
    again = layers(begun(HALF), world, tmp_path)
    again._run = None  # type: ignore[assignment, method-assign]
    for one, other in zip(first, again.batches(photos, groups=GROUPS), strict=True):
        assert torch.equal(one.pixels, other.pixels)
    list(layers(begun(TWO_VIEWS), world, tmp_path).batches(photos, groups=GROUPS))
    assert len(files(tmp_path)) == 2, "the magnified view came to the whole one"
    assert all(path.read_bytes() == content for path, content in written.items())


def test_what_decides_the_features_names_them(world: World, photos: Photos, tmp_path: Path) -> None:
    kept = layers(begun(HALF), world, tmp_path)
    changed = Augmentation()

    def asked(source: FrozenLayers, draws: Draws | None = None, augmentation: Augmentation | None = None) -> int:
        list(source.batches(photos, groups=GROUPS, draws=draws, augmentation=augmentation))
        return len(files(tmp_path))

    assert asked(kept) == 1
    assert asked(layers(begun(HALF, seed=2), world, tmp_path)) == 2, "other weights"
    assert asked(kept, Draws(seed=1, epoch=0), changed) == 3, "random crops and colours"
    assert asked(kept, Draws(seed=1, epoch=1), changed) == 4, "those of another epoch"
    assert asked(kept, Draws(seed=1, epoch=1), Augmentation(hue=0.0)) == 5, "other changes"
    assert asked(kept, Draws(seed=1, epoch=1), changed) == 5


def test_unreadable_photographs_are_named_every_time(world: World, photos: Photos, tmp_path: Path) -> None:
    broken = world.spoiled(tmp_path / "world", "003")
    for _ in range(2):
        source = layers(begun(HALF), broken, tmp_path / "features")
        first, last = source.batches(photos, groups=GROUPS)
        assert [reason[:4] for reason in first.unreadable] == ["003:"]
        assert [reason[:4] for reason in last.unreadable] == ["003:"]
        assert first.positions.tolist() == [0, 1, 2]
        assert last.positions.tolist() == [17]
    assert not (tmp_path / "features").exists(), "what is incomplete is not kept"


def test_cut_off_files_are_written_again_and_old_ones_removed(world: World, photos: Photos, tmp_path: Path) -> None:
    wanted = [batch.pixels for batch in layers(begun(HALF), world, tmp_path).batches(photos, groups=GROUPS)]
    (file,) = files(tmp_path)
    content = file.read_bytes()
    file.write_bytes(content[:100])
    again = [batch.pixels for batch in layers(begun(HALF), world, tmp_path).batches(photos, groups=GROUPS)]
    assert all(torch.equal(one, other) for one, other in zip(wanted, again, strict=True))
    assert file.read_bytes() == content
    old = time.time() - KEPT_SECONDS - 60
    os.utime(file, (old, old))
    layers(begun(HALF), world, tmp_path)
    assert not files(tmp_path)


@pytest.mark.parametrize("recipe", [HALF, TWO_VIEWS])
def test_training_on_features_is_training_on_photographs(world: World, tmp_path: Path, recipe: Recipe) -> None:
    jobs = [world.job(tmp_path / name, backbone=SMOOTH, recipe=recipe) for name in ("pixels", "features")]
    for job in jobs:
        initialise(job.network, source="none", branches=recipe.branches)
    before = weights(jobs[0])
    freeze(jobs[1].network, recipe=recipe)
    jobs[1].network.begun = count_frozen(jobs[1].network)
    jobs[1].frozen = layers(jobs[1].network, world, tmp_path / "kept")
    rows, again = (fit(job) for job in jobs)
    moved = farthest(before, weights(jobs[0]))
    assert farthest(weights(jobs[0]), weights(jobs[1])) < 1e-3 * moved
    assert again[-1]["train_loss"] == pytest.approx(rows[-1]["train_loss"], rel=1e-3)


def test_training_on_features_stopped_and_resumed_ends_in_the_same_weights(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parts, rest = (
        world.job(tmp_path / name, backbone="resnet10t", recipe=HALF) for name in ("whole", "parts", "parts")
    )
    for job in (whole, parts, rest):
        freeze(job.network, recipe=HALF)
        job.network.begun = count_frozen(job.network)
        job.frozen = layers(job.network, world, job.folder.parent / "kept")
    original = Steps.take

    def take(self: Steps, *arguments: object, step: int, **keywords: object) -> Outcome:
        if step + 1 == 2 and self.job is parts:
            parts.stop.set()
        return original(self, *arguments, step=step, **keywords)  # type: ignore[arg-type]

    monkeypatch.setattr(Steps, "take", take)
    fit(whole)
    with pytest.raises(InterruptedTrainingError, match="after step 2 of 6"):
        fit(parts)
    fit(rest)
    assert farthest(weights(whole), weights(rest)) == 0


def test_a_stop_is_heard_between_two_pieces(world: World, photos: Photos, tmp_path: Path) -> None:
    stop = threading.Event()
    source = FrozenLayers(begun(HALF), folder=tmp_path, pack=Pack(world.index), device=DEVICE, workers=0, stop=stop)
    stop.set()
    with pytest.raises(InterruptedTrainingError, match="while computing features"):
        next(iter(source.batches(photos, groups=GROUPS)))
