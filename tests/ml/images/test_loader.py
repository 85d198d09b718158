"""Batches: the same photographs in the same order for a resumed run, whatever the number of threads."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ml.images.augmentation import Augmentation, RandomChanges, change_colours
from ml.images.loader import Batch, Loader, epoch_order
from ml.images.pack import Pack, Photos, read_split
from ml.networks.description import NetworkSpec
from tests.ml.world import PROCESSOR, World, photograph

ONE_VIEW = NetworkSpec(backbone="none", image_size=32, mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.5))
TWO_VIEWS = ONE_VIEW.model_copy(update={"views": (1.0, 0.5)})


@given(count=st.integers(1, 500), seed=st.integers(0, 2**31), epoch=st.integers(0, 50))
def test_each_epoch_visits_every_photograph_once_in_its_own_order(count: int, seed: int, epoch: int) -> None:
    order = epoch_order(count, seed=seed, stage="species", epoch=epoch)
    assert sorted(order) == list(range(count))
    assert np.array_equal(order, epoch_order(count, seed=seed, stage="species", epoch=epoch))


def test_each_stage_visits_photographs_in_its_own_order() -> None:
    first, second = (epoch_order(500, seed=1, stage=stage, epoch=0) for stage in ("genus", "species"))
    assert np.mean(first == second) < 0.02


def test_batches_are_the_same_whatever_the_number_of_workers(world: World) -> None:
    pack = Pack(world.index)
    photos = read_split(world.split, pack=pack, side="train")
    changes = RandomChanges(Augmentation(resize="tf_slim"), seed=3, stage="species", epoch=1)
    groups = np.array_split(epoch_order(len(photos), seed=3, stage="species", epoch=1), 4)

    def stream(workers: int, *, ahead: int = 3, processes: bool = False) -> list[Batch]:
        loader = Loader(pack, TWO_VIEWS, device=PROCESSOR, workers=workers, processes=processes)
        return list(loader.batches(photos, groups=groups, changes=changes, ahead=ahead))

    alone = stream(0)
    for batch, group in zip(alone, groups, strict=True):
        assert batch.positions.tolist() == group.tolist()
        assert batch.labels.tolist() == photos.labels[group].tolist()
        assert batch.pixels.shape == (len(group), 2, 32, 32, 3)
        assert batch.pixels.transpose(0, 1).is_contiguous(), "all first views first, as networks run them"
    threads = torch.get_num_threads()
    for other in (stream(1, ahead=1), stream(3, ahead=2), stream(3, ahead=9), stream(2, processes=True)):
        for one, two in zip(alone, other, strict=True):
            assert torch.equal(one.pixels, two.pixels)
            assert np.array_equal(one.positions, two.positions)
            assert two.pixels.transpose(0, 1).is_contiguous()
    assert torch.get_num_threads() == threads, "decoding threads compute with one thread, the training with its own"


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_an_unreadable_photograph_leaves_its_batch_and_is_named(world: World, tmp_path: Path, workers: int) -> None:
    good = photograph(0, 1)
    (tmp_path / "pack-00000.bin").write_bytes(good + b"x" * 50 + good)
    rows = [("a", 0, len(good)), ("broken", len(good), 50), ("c", len(good) + 50, len(good))]
    index = [{"photo_id": name, "pack": "pack-00000.bin", "offset": offset, "length": length}
             for name, offset, length in rows]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(index), tmp_path / "index.parquet")
    photos = Photos(photo_ids=["a", "broken", "c"], labels=np.array([0, 1, 2]), halves=[None] * 3, rows=np.arange(3))
    loader = Loader(Pack(tmp_path / "index.parquet"), ONE_VIEW, device=PROCESSOR, workers=workers)
    found = list(loader.batches(photos, groups=[np.array([2, 1]), np.array([1]), np.array([0])]))
    assert [batch.positions.tolist() for batch in found] == [[2], [], [0]]
    assert [batch.labels.tolist() for batch in found] == [[2], [], [0]]
    assert found[0].unreadable[0].startswith("broken: not a readable JPEG")
    assert [batch.pixels.shape[0] for batch in found] == [1, 0, 1]
    assert all(batch.pixels.transpose(0, 1).is_contiguous() for batch in found)
    assert torch.equal(found[0].pixels, found[2].pixels), "the same photograph, before and after the broken one"


def test_inputs_are_the_batch_changed_and_standardised(world: World) -> None:
    pack = Pack(world.index)
    photos = read_split(world.split, pack=pack, side="train")
    loader = Loader(pack, TWO_VIEWS, device=PROCESSOR, workers=0)
    changes = RandomChanges(Augmentation(resize="tf_slim"), seed=3, stage="species", epoch=1)
    (batch,) = loader.batches(photos, groups=[np.array([4, 9])], changes=changes)
    scaled = batch.pixels.permute(0, 1, 4, 2, 3).float() / 255
    mean, std = (torch.tensor(numbers).view(3, 1, 1) for numbers in (TWO_VIEWS.mean, TWO_VIEWS.std))
    plain = loader.inputs(batch.pixels, positions=batch.positions)
    torch.testing.assert_close(plain, (scaled - mean) / std)
    changed = loader.inputs(batch.pixels, positions=batch.positions, changes=changes)
    draws = np.stack([changes.draws(4), changes.draws(9)])[:, :10]
    wanted = change_colours(scaled, draws=draws, augmentation=changes.augmentation)
    torch.testing.assert_close(changed, (wanted - mean) / std)
    part = loader.inputs(batch.pixels[1:], positions=batch.positions[1:], changes=changes)
    assert torch.equal(part, changed[1:]), "a photograph is changed the same in any part of a batch"
