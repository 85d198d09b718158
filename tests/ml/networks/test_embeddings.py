"""Embeddings are the network's own, computed once, shared by heads and ranks, and resumed piece by piece."""

import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from ml.child.pipes import Reporter
from ml.errors import InterruptedTrainingError
from ml.images.augmentation import Augmentation, RandomChanges
from ml.images.loader import Loader
from ml.images.pack import Pack, Photos, read_split
from ml.networks import embeddings
from ml.networks.description import NetworkSpec
from ml.networks.embeddings import Embeddings, Pass
from ml.networks.network import Network, build
from tests.ml.world import PROCESSOR, World

CROPS = RandomChanges(Augmentation(), seed=1, stage="species", epoch=0)


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "PIECE", 5)
    monkeypatch.setattr(embeddings, "BATCH", {"cpu": 2})


def network_of(*, classes: int = 3, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return build(NetworkSpec(backbone="test_convnext", classes=classes, image_size=32, views=(1.0,))).eval()


def embedded(
    network: Network, world: World, folder: Path, *, stop: threading.Event | None = None, said: list[str] | None = None
) -> Embeddings:
    loader = Loader(Pack(world.index), network.spec, device=PROCESSOR, workers=0)
    return Embeddings(
        network, loader=loader, folder=folder, stop=stop or threading.Event(),
        reporter=Reporter((said if said is not None else []).append),
    )  # fmt: skip


def photos_of(world: World, side: str = "train") -> Photos:
    return read_split(world.split, pack=Pack(world.index), side=side)


def all_of(source: Embeddings, photos: Photos, changes: RandomChanges | None = None) -> torch.Tensor:
    (batch,) = source.batches(photos, groups=[np.arange(len(photos))], changes=changes)
    return batch.pixels


@pytest.mark.parametrize("changes", [None, CROPS], ids=["centre", "random"])
def test_they_are_the_features_of_the_network(world: World, tmp_path: Path, changes: RandomChanges | None) -> None:
    network, photos = network_of(), photos_of(world)
    source = embedded(network, world, tmp_path)
    positions = np.arange(len(photos))
    (batch,) = source.loader.batches(photos, groups=[positions], changes=changes)
    with torch.no_grad():
        inputs = source.loader.inputs(batch.pixels, positions=positions, changes=changes)
        expected = network.features(inputs)
        logits = network(inputs)
    source.keep([Pass(photos, changes)], title="features")
    found = all_of(source, photos, changes)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(network(source.inputs(found, positions=positions)), logits, rtol=1e-4, atol=1e-4)


def test_heads_and_ranks_share_them_and_other_weights_do_not(world: World, tmp_path: Path) -> None:
    photos = photos_of(world)
    embedded(network_of(), world, tmp_path).keep([Pass(photos)], title="features")
    files = set(tmp_path.iterdir())
    assert len(files) == 4, "eighteen photographs in pieces of five"
    other_head = network_of()
    with torch.no_grad():
        other_head.head.weight.add_(1)
    genus = photos.relabelled(np.zeros(3, np.int32))
    embedded(other_head, world, tmp_path).keep([Pass(genus)], title="features")
    assert set(tmp_path.iterdir()) == files
    embedded(network_of(seed=1), world, tmp_path).keep([Pass(photos)], title="features")
    embedded(network_of(), world, tmp_path).keep([Pass(photos, CROPS)], title="features")
    assert len(set(tmp_path.iterdir())) == 12


def test_an_interrupted_pass_goes_on_at_the_piece(world: World, tmp_path: Path) -> None:
    photos, stop = photos_of(world), threading.Event()
    whole = all_of(embedded(network_of(), world, tmp_path / "whole"), photos)
    network, ran, end = network_of(), list[int](), [12]
    features = network.features

    def counted(pixels: torch.Tensor) -> torch.Tensor:
        ran.append(len(pixels))
        if sum(ran) in end:
            stop.set()
        return features(pixels)

    network.features = counted  # type: ignore[method-assign]
    with pytest.raises(InterruptedTrainingError):
        embedded(network, world, tmp_path / "cut", stop=stop).keep([Pass(photos)], title="features")
    assert len(list((tmp_path / "cut").iterdir())) == 2
    # A file that a crash has cut off is computed again, too.
    cut = next((tmp_path / "cut").iterdir())
    cut.write_bytes(cut.read_bytes()[:50])
    ran.clear()
    end.clear()
    stop.clear()
    source = embedded(network, world, tmp_path / "cut", stop=stop)
    source.keep([Pass(photos)], title="features")
    assert sum(ran) == 8, "two pieces of four were there"
    assert torch.equal(all_of(source, photos), whole)
    assert sum(ran) == 13


def test_a_sample_of_photographs_is_read_and_not_computed(world: World, tmp_path: Path) -> None:
    photos, network = photos_of(world), network_of()
    source = embedded(network, world, tmp_path)
    source.keep([Pass(photos)], title="features")
    whole = all_of(source, photos)
    network.features = None  # type: ignore[method-assign, assignment]
    chosen = np.array([1, 2, 7, 16])
    assert torch.equal(all_of(source, photos.take(chosen)), whole[chosen])


def test_unreadable_photographs_are_named_whenever_they_are_asked_for(world: World, tmp_path: Path) -> None:
    broken = world.spoiled(tmp_path / "world", "003")
    photos, said = photos_of(broken), list[str]()
    for _ in range(2):
        source = embedded(network_of(), broken, tmp_path / "features", said=said)
        source.keep([Pass(photos)], title="features")
        (batch,) = source.batches(photos, groups=[np.arange(len(photos))])
        assert len(batch.positions) == len(batch.pixels) == len(photos) - 1
        assert photos.photo_ids.index("003") not in batch.positions
        assert [reason.partition(":")[0] for reason in batch.unreadable] == ["003"]
        assert batch.labels.tolist() == photos.labels[batch.positions].tolist()
    assert len([line for line in said if line.startswith("skipped an unreadable photograph, 003")]) == 1
