"""Decoding processes: batches in order over many passes, clear errors, and nothing left behind."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from ml.errors import DataError, LoaderError
from ml.images import workers
from ml.images.augmentation import Augmentation, RandomChanges
from ml.images.loader import Loader, default_workers
from ml.images.pack import Pack, read_split
from tests.ml.world import PROCESSOR, SHOWN_SMALL, World

ROOT = Path(__file__).resolve().parents[3]
GROUPS = [np.arange(begin, begin + 2) for begin in range(0, 18, 2)]


@pytest.fixture
def loader(world: World) -> Iterator[Loader]:
    made = Loader(Pack(world.index), SHOWN_SMALL, device=PROCESSOR, workers=2, processes=True)
    yield made
    del made


def decoding() -> list[psutil.Process]:
    """Processes that decode for this one: children of the server that forks them."""
    return [
        process
        for process in psutil.Process().children(recursive=True)
        if "forkserver" in " ".join(process.cmdline()) and process.ppid() != os.getpid()
    ]


def test_passes_follow_one_another_in_the_same_processes(world: World, loader: Loader) -> None:
    photos = read_split(world.split, pack=loader.pack, side="train")
    alone = Loader(loader.pack, SHOWN_SMALL, device=PROCESSOR, workers=0)
    seen = set()
    for epoch in range(3):
        changes = RandomChanges(Augmentation(), seed=1, stage="species", epoch=epoch)
        ours = loader.batches(photos, groups=GROUPS, changes=changes)
        theirs = alone.batches(photos, groups=GROUPS, changes=changes)
        for one, two in zip(ours, theirs, strict=True):
            assert torch.equal(one.pixels, two.pixels)
            assert one.positions.tolist() == two.positions.tolist()
            if epoch == 1 and one.positions[0] == 4:
                break  # a pass that is given up leaves nothing to the next one
        seen.add(tuple(sorted(process.pid for process in decoding())))
    assert len(seen) == 1
    assert len(seen.pop()) == 2
    assert list(loader.batches(photos, groups=[])) == []


def test_two_passes_at_a_time_are_refused(world: World, loader: Loader) -> None:
    photos = read_split(world.split, pack=loader.pack, side="train")
    first = loader.batches(photos, groups=GROUPS)
    next(first)
    list(loader.batches(photos, groups=GROUPS[:2]))
    with pytest.raises(LoaderError, match="another pass over photographs began"):
        next(first)


def test_a_killed_worker_is_an_error(world: World, loader: Loader) -> None:
    photos = read_split(world.split, pack=loader.pack, side="train")
    batches = loader.batches(photos, groups=GROUPS * 20)
    next(batches)
    for process in decoding():
        process.kill()
    with pytest.raises(LoaderError, match=r"was killed .*lower training\.workers"):
        list(batches)


def test_a_pack_that_cannot_be_read_is_the_error_of_one_process(world: World, tmp_path: Path) -> None:
    shutil.copytree(world.folder / "pack", tmp_path / "pack")
    pack = Pack(tmp_path / "pack" / "index.parquet")
    photos = read_split(world.split, pack=pack, side="train")
    os.truncate(tmp_path / "pack" / "pack-00000.bin", 5_000)
    loader = Loader(pack, SHOWN_SMALL, device=PROCESSOR, workers=1, processes=True)
    with pytest.raises(DataError, match=r"ends before photograph .* does; materialise training_photos again$"):
        list(loader.batches(photos, groups=GROUPS))


def test_too_little_shared_memory_is_found_before_a_worker_dies_of_it(
    world: World, loader: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = read_split(world.split, pack=loader.pack, side="train")
    usage = shutil.disk_usage(workers.SHARED)._replace(free=3 * 2 * 2 * 32 * 32 * 3)
    monkeypatch.setattr("ml.images.workers.shutil.disk_usage", lambda _: usage)
    with pytest.raises(LoaderError, match=r"0 MiB left, and 2 processes .* need 1: .*--shm-size"):
        next(loader.batches(photos, groups=GROUPS))


@pytest.mark.parametrize(("cores", "processes", "workers"), [(16, 1, 15), (16, 8, 1), (16, 3, 4), (2, 1, 1), (1, 1, 1)])
def test_by_default_one_core_of_each_training_process_is_left_to_it(
    monkeypatch: pytest.MonkeyPatch, cores: int, processes: int, workers: int
) -> None:
    monkeypatch.setattr("ml.images.loader.os.sched_getaffinity", lambda _: set(range(cores)), raising=False)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
    assert default_workers() == workers


SCRIPT = """
import signal, sys, time
from pathlib import Path
from types import SimpleNamespace
import numpy as np
import torch
from ml.devices import Device
from ml.images.loader import Loader
from ml.images.pack import Pack, read_split

if __name__ == "__main__":
    pack = Pack(Path(sys.argv[1]))
    photos = read_split(Path(sys.argv[2]), pack=pack, side="train")
    shown = SimpleNamespace(views=(1.0, 0.5), image_size=32)
    processor = Device(device=torch.device("cpu"), rank=0, world=1)
    loader = Loader(pack, shown, device=processor, workers=2, processes=True)
    asked = []
    signal.signal(signal.SIGINT, lambda *_: asked.append(1))  # as a training does: the running step is finished
    last = 0
    for batch in loader.batches(photos, groups=[np.arange(2)] * 1_000_000):
        if not last:
            print("begun", flush=True)
        # Workers have not heard of it: photographs go on coming.
        last += 1 if not asked else 1_000
        if last > 20_000:
            break
        time.sleep(0.01)
    print("ended", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_workers_leave_interrupts_to_the_training_and_end_with_it(
    world: World, tmp_path: Path, number: signal.Signals
) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    with (
        subprocess.Popen(
            [sys.executable, str(script), str(world.index), str(world.split)],
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as child,
        ending(child),
    ):
        assert child.stdout is not None
        assert child.stdout.readline() == "begun\n"
        family = psutil.Process(child.pid).children(recursive=True)
        assert len(family) >= 3, "the server, and two workers"
        if number == signal.SIGKILL:
            child.kill()
        else:
            # A terminal sends it to the whole group.
            os.killpg(child.pid, signal.SIGINT)
            said, problem = child.communicate(timeout=60)
            assert said == "ended\n", problem
            assert child.returncode == 0
    deadline = time.monotonic() + 30
    while any(alive(process) for process in family) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [process for process in family if alive(process)]


@contextlib.contextmanager
def ending(child: subprocess.Popen[str]) -> Iterator[None]:
    """A test that fails leaves nothing that it would wait for."""
    try:
        yield
    except BaseException:
        child.kill()
        raise


def alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
