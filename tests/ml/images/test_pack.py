"""The pack and the split: photographs are read as they were written, and what is missing is named."""

import os
from pathlib import Path

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest

from ml.errors import DataError
from ml.images.pack import Pack, read_split
from tests.ml.world import World, photograph


def test_a_photograph_comes_out_of_the_pack_as_it_went_in(world: World) -> None:
    pack = Pack(world.index)
    assert bytes(pack.jpeg(pack.row_of["103"])) == photograph(1, 3)


def test_the_split_gives_each_side_in_a_fixed_order(world: World) -> None:
    pack = Pack(world.index)
    train, validation = (read_split(world.split, pack=pack, side=side) for side in ("train", "validation"))
    assert (len(train), len(validation)) == (18, 6)
    assert train.photo_ids == sorted(train.photo_ids)
    assert train.labels.tolist() == [0] * 6 + [1] * 6 + [2] * 6
    assert set(train.halves) == {None}
    assert validation.halves == ["calibration", "evaluation"] * 3


def test_what_is_missing_is_named(world: World, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.parquet"):
        Pack(tmp_path / "absent.parquet")
    table = pq.read_table(world.index)
    pq.write_table(table.slice(1), tmp_path / "index.parquet")
    with pytest.raises(DataError, match=r"1 photographs of .* not in the pack, 000 among them"):
        read_split(world.split, pack=Pack(tmp_path / "index.parquet"), side="train")
    with pytest.raises(DataError, match="cannot read the pack"):
        Pack(tmp_path / "index.parquet").jpeg(0)
    (tmp_path / "pack-00000.bin").write_bytes(b"short")
    with pytest.raises(DataError, match="ends before photograph"):
        Pack(tmp_path / "index.parquet").jpeg(0)
    with pytest.raises(DataError, match="no nobody photographs"):
        read_split(world.split, pack=Pack(world.index), side="nobody")


def test_a_pack_that_loses_bytes_while_it_is_read_is_an_error(world: World, tmp_path: Path) -> None:
    name = pq.read_table(world.index)["pack"][0].as_py()
    (tmp_path / name).write_bytes((world.index.parent / name).read_bytes())
    (tmp_path / "index.parquet").write_bytes(world.index.read_bytes())
    pack = Pack(tmp_path / "index.parquet")
    last = int(np.argmax(pack._offsets))
    whole = pack.jpeg(last)
    os.truncate(tmp_path / name, 100)
    with pytest.raises(DataError, match=r"pack-00000\.bin ends before photograph"):
        pack.jpeg(last)
    os.truncate(tmp_path / name, 0)
    with pytest.raises(DataError, match=r"pack-00000\.bin ends before photograph"):
        pack.jpeg(0)
    (tmp_path / name).write_bytes((world.index.parent / name).read_bytes())
    assert pack.jpeg(last) == whole


def test_a_pack_closes_its_files(world: World, tmp_path: Path) -> None:
    # Of the common pack, another test's reader may still wait for the garbage collector.
    index = world.spoiled(tmp_path / "own").index
    pack = Pack(index)
    pack.jpeg(0)

    def is_open() -> bool:
        # Not the index beside it: PyArrow's threads may hold that a moment longer.
        return any(Path(file.path).match(f"{index.parent}/pack-*.bin") for file in psutil.Process().open_files())

    assert is_open()
    del pack
    assert not is_open()
