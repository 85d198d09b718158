"""Features of frozen layers: the network's own, computed once for all networks that begin alike, and again when not."""

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ml.errors import InterruptedTrainingError
from ml.images.augmentation import Augmentation, RandomChanges
from ml.images.loader import Loader
from ml.images.pack import Pack, Photos, read_split
from ml.networks.cuts import run, step_of
from ml.networks.description import NetworkSpec
from ml.networks.frozen import KEPT_SECONDS, FrozenLayers
from ml.networks.network import Network, build
from ml.networks.pretrained import initialise
from ml.networks.trainable import count_frozen, freeze, steps_of_all_views
from ml.training.job import Job
from ml.training.loop import fit
from ml.training.recipes import Recipe
from tests.ml.training.test_loop import farthest, stop_after, weights
from tests.ml.world import PROCESSOR, SMOOTH, STEADY, World

HALF = STEADY.model_copy(update={"trainable": 0.25, "reuse_frozen": True})
TWO_VIEWS = HALF.model_copy(update={"views": (1.0, 0.5), "branches": "pretrained", "fusion": "average"})
THREE_VIEWS = TWO_VIEWS.model_copy(update={"views": (1.0, 0.5, 0.25)})
GROUPS = [np.arange(4), np.array([17, 3])]


def begun(recipe: Recipe, *, seed: int = 1) -> Network:
    """A network that takes features of its frozen steps; the same seed gives the same backbone."""
    torch.manual_seed(seed)
    spec = NetworkSpec(backbone="resnet10t", classes=3, image_size=32, views=recipe.views, fusion=recipe.fusion)
    network = build(spec).eval()
    initialise(network, source="none", branches=recipe.branches)
    return frozen(network, recipe)


def frozen(network: Network, recipe: Recipe) -> Network:
    """The network, taking features of its frozen steps."""
    freeze(network, trainable=recipe.trainable, branches=recipe.branches)
    network.begun = count_frozen(network)
    return network


@pytest.fixture
def photos(world: World) -> Photos:
    return read_split(world.split, pack=Pack(world.index), side="train")


def layers(network: Network, world: World, folder: Path, *, stop: threading.Event | None = None) -> FrozenLayers:
    loader = Loader(Pack(world.index), network.spec, device=PROCESSOR, workers=0)
    return FrozenLayers(network, loader=loader, folder=folder, stop=stop or threading.Event())


def on_features(job: Job, world: World, folder: Path) -> Job:
    """The job with the features of frozen layers in the place of photographs."""
    frozen(job.network, job.recipe)
    job.loader = layers(job.network, world, folder)
    return job


def files(folder: Path) -> set[Path]:
    return set(folder.iterdir())


@pytest.mark.parametrize(("recipe", "steps"), [(HALF, 6), (TWO_VIEWS, 6)])
def test_features_and_the_rest_are_the_network(
    world: World, photos: Photos, tmp_path: Path, recipe: Recipe, steps: int
) -> None:
    network = begun(recipe)
    assert network.begun == steps
    found = list(layers(network, world, tmp_path).batches(photos, groups=GROUPS))
    loader = Loader(Pack(world.index), network.spec, device=PROCESSOR, workers=0)
    pixels = loader.batches(photos, groups=GROUPS)
    for batch, whole in zip(found, pixels, strict=True):
        assert np.array_equal(batch.positions, whole.positions)
        assert torch.equal(batch.labels, whole.labels)
        with torch.no_grad():
            network.begun = steps
            logits = network(batch.pixels)
            network.begun = 0
            inputs = loader.inputs(whole.pixels, positions=whole.positions)
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


@pytest.mark.parametrize(
    "changes", [None, RandomChanges(Augmentation(), seed=1, stage="species", epoch=0)], ids=["centre", "random"]
)
@pytest.mark.parametrize("first", [HALF, TWO_VIEWS, THREE_VIEWS])
@pytest.mark.parametrize("recipe", [HALF, TWO_VIEWS, THREE_VIEWS])
def test_features_are_the_networks_own_whichever_network_ran_first(
    world: World, photos: Photos, tmp_path: Path, recipe: Recipe, first: Recipe, changes: RandomChanges | None
) -> None:
    network = begun(recipe)

    def features(source: FrozenLayers) -> list[Tensor]:
        return [batch.pixels for batch in source.batches(photos, groups=GROUPS, changes=changes)]

    alone = features(layers(network, world, tmp_path / "empty"))
    features(layers(begun(first), world, tmp_path / "filled"))
    after = features(layers(network, world, tmp_path / "filled"))
    assert len(files(tmp_path / "filled")) == len({*recipe.views, *first.views}), "each view is computed once"
    assert all(torch.equal(one, other) for one, other in zip(alone, after, strict=True))
    # Without any file: the steps on the pixels that the network sees when it runs on photographs.
    loader = Loader(Pack(world.index), network.spec, device=PROCESSOR, workers=0)
    (batch,) = loader.batches(photos, groups=[np.arange(len(photos))], changes=changes)
    pixels = loader.inputs(batch.pixels, positions=batch.positions, changes=changes)
    steps = [step_of(network.backbone, name) for name in steps_of_all_views(network)[: network.begun]]
    with torch.no_grad():
        own = torch.stack([run(steps, pixels[:, view]) for view in range(len(recipe.views))], dim=1)
    assert all(torch.equal(one, own[group]) for one, group in zip(after, GROUPS, strict=True))


def test_what_decides_the_features_names_them(world: World, photos: Photos, tmp_path: Path) -> None:
    kept = layers(begun(HALF), world, tmp_path)

    def asked(source: FrozenLayers, changes: RandomChanges | None = None) -> int:
        list(source.batches(photos, groups=GROUPS, changes=changes))
        return len(files(tmp_path))

    def changes(epoch: int, augmentation: Augmentation) -> RandomChanges:
        return RandomChanges(augmentation, seed=1, stage="species", epoch=epoch)

    assert asked(kept) == 1
    assert asked(layers(begun(HALF, seed=2), world, tmp_path)) == 2, "other weights"
    assert asked(kept, changes(0, Augmentation())) == 3, "random crops and colours"
    assert asked(kept, changes(1, Augmentation())) == 4, "those of another epoch"
    assert asked(kept, changes(1, Augmentation(hue=0.0))) == 5, "other changes"
    assert asked(kept, changes(1, Augmentation())) == 5
    shorter = begun(HALF)
    shorter.begun = 3
    assert asked(layers(shorter, world, tmp_path)) == 6, "fewer steps"
    shorter.begun = 4
    assert asked(layers(shorter, world, tmp_path)) == 7, "one more, which has no weights"
    nearly = begun(TWO_VIEWS.model_copy(update={"views": (1.0, 0.5 + 1e-9)}))
    assert asked(layers(begun(TWO_VIEWS), world, tmp_path)) == 8
    assert asked(layers(nearly, world, tmp_path)) == 9, "another view"


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
    on_features(jobs[1], world, tmp_path / "kept")
    rows, again = (fit(job) for job in jobs)
    moved = farthest(before, weights(jobs[0]))
    assert farthest(weights(jobs[0]), weights(jobs[1])) < 1e-3 * moved
    assert again[-1]["train_loss"] == pytest.approx(rows[-1]["train_loss"], rel=1e-3)


def test_training_on_features_stopped_and_resumed_ends_in_the_same_weights(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parts, rest = (
        on_features(world.job(tmp_path / name, backbone="resnet10t", recipe=HALF), world, tmp_path / f"{name} features")
        for name in ("whole", "parts", "parts")
    )
    stop_after(monkeypatch, 2, stop=parts.stop)
    fit(whole)
    with pytest.raises(InterruptedTrainingError, match="after step 2 of 6"):
        fit(parts)
    fit(rest)
    assert farthest(weights(whole), weights(rest)) == 0


def test_a_stop_is_heard_between_two_pieces(world: World, photos: Photos, tmp_path: Path) -> None:
    stop = threading.Event()
    source = layers(begun(HALF), world, tmp_path, stop=stop)
    stop.set()
    with pytest.raises(InterruptedTrainingError, match="while computing features"):
        next(iter(source.batches(photos, groups=GROUPS)))
