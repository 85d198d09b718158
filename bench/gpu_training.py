"""Training the paper's networks on a GPU from JPEGs on disk: the loader alone, then both together, as in a real run.

Two 299-pixel views from JPEGs of 912 x 684 (93 kB), InceptionResNetV2 with 19,027 classes, the paper's recipes.
"""

import statistics
import threading
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import torch

from bench.gpu import BACKBONE, CLASSES, SIDE, paper_network
from bench.harness import Goal, Report, UnavailableError
from bench.load_paths import make_pack, measure
from bench.step import job_of
from ml.child.pipes import Reporter
from ml.devices import Device
from ml.images.augmentation import Augmentation
from ml.images.loader import Loader, default_workers
from ml.images.pack import Pack, Photos
from ml.training.loop import fit
from ml.training.recipes import PAPER, PAPER_VIEWS, Recipe, Segment

PHOTOS: Final = 3_072
"""In the pack; 64 different ones."""
EPOCHS: Final = 2.0
"""The first has the start of the workers and the recording of the step in it; the second is what counts."""
LOADED: Final = 2_500
"""Photographs a second on 16 cores, at least."""
WAITED: Final = 0.03
"""Share of the time that steps wait for photographs, at most."""
MEMORY: Final = {"one view": 4.5, "two views": 4.7}
"""GiB at most: what the eager step took."""


def run(*, folder: Path, runs: int) -> Report:
    """Measure the loader by threads and by processes, then train; `runs` times."""
    if not torch.cuda.is_available():
        raise UnavailableError("there is no GPU")
    folder.mkdir(parents=True, exist_ok=True)
    index, workers = make_pack(folder, photos=PHOTOS), default_workers()
    loaded = {
        f"{path}, {augmentation.resize}": [
            measure(index, path=path, workers=workers, batch=16, augmentation=augmentation) for _ in range(runs)
        ]
        for path, augmentation in (
            ("threads", Augmentation()),
            ("processes", Augmentation()),
            ("processes", PAPER.augmentation),
        )
    }
    rates = {
        name: statistics.median(float(str(each["photos_per_second"])) for each in own) for name, own in loaded.items()
    }
    rows: list[dict[str, object]] = [
        {"what": f"loader, {workers} {name}", "photographs a second": rate} for name, rate in rates.items()
    ]
    fast = rates["processes, antialias"]
    goals = [Goal(name="loader, processes: photographs a second", value=fast, bound=LOADED, kind="at least")]
    for name, recipe in (("two views", PAPER_VIEWS),):
        last = trained(recipe, index=index, folder=folder / name.replace(" ", "_"))
        gibibytes = last["memory_mib"] / 1024
        rows.append(
            {
                "what": f"training, {name}, batch {recipe.batch}",
                "photographs a second": round(last["photos_per_second"]),
                "waiting": f"{last['data_wait']:.1%}", "GiB": round(gibibytes, 2),
            }
        )  # fmt: skip
        goals += [
            Goal(name=f"{name}: share of the time waiting", value=last["data_wait"], bound=WAITED, kind="at most"),
            Goal(name=f"{name}: GiB", value=gibibytes, bound=MEMORY[name], kind="at most"),
        ]
    return Report(
        part="gpu_training",
        title=f"{BACKBONE} at {SIDE} pixels, {CLASSES:,} classes, from JPEGs, on one {torch.cuda.get_device_name()}, "
        f"torch {torch.__version__}.",
        rows=rows,
        goals=goals,
        notes=["Training: the second epoch of the paper's recipe, all of it: decoding, augmentation, steps, logging."],
    )


def trained(recipe: Recipe, *, index: Path, folder: Path) -> dict[str, float]:
    """The last row of the history of a short training."""
    folder.mkdir(parents=True, exist_ok=True)
    device = Device(device=torch.device("cuda"), rank=0, world=1)
    device.tune(deterministic=False)
    short = recipe.model_copy(update={"segments": (Segment(epochs=EPOCHS, rate=0.01),)})
    network, pack = paper_network(short, device=device), Pack(index)
    rows = np.arange(len(pack.photo_ids))
    photos = Photos(photo_ids=pack.photo_ids, labels=rows % CLASSES, halves=[None] * len(rows), rows=rows)
    labels = torch.from_numpy(photos.labels)
    job = replace(
        job_of(folder, recipe=short, built=network, labels=labels, device=device),
        recipe=short, photos=photos, loader=Loader(pack, network.spec, device=device, workers=None),
        reporter=Reporter(lambda line: print(line, flush=True)), stop=threading.Event(),
    )  # fmt: skip
    row = fit(job)[-1]
    return {name: float(row[name]) for name in ("photos_per_second", "data_wait", "memory_mib")}
