"""The contestants of `bench.load`: each process runs one and prints what it delivered.

Every contestant reads the same JPEGs from the same mapped pack and makes batches of 32 with two views of 299 pixels;
`decode` only decodes. One thread computes; the loader's decoding threads add to the CPU time that is counted.
"""

import argparse
import io
import itertools
import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import simplejpeg
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import RandomResizedCrop, v2

from ml.devices import Device
from ml.images.augmentation import Augmentation, RandomChanges
from ml.images.loader import Batch, Loader, epoch_order
from ml.images.pack import Pack, Photos
from ml.networks.description import HALF, NetworkSpec

SIDE: Final = 299
BATCH: Final = 32
PAPER: Final = Augmentation()
CHANGES: Final = RandomChanges(PAPER, seed=1, stage="species", epoch=0)
SHOWN: Final = NetworkSpec(backbone="inception_resnet_v2", image_size=SIDE, views=(1.0, 0.5))


def decode(pack: Pack) -> Iterator[int]:
    """Bare libjpeg-turbo: the limit."""
    for row in range(len(pack.photo_ids)):
        simplejpeg.decode_jpeg(pack.jpeg(row))
        yield 1


def loader(pack: Pack) -> Iterator[int]:
    """What the loader delivers: decoded, cropped, mirrored bytes of both views."""
    _, batches = _loader(pack)
    for batch in batches:
        yield len(batch.positions)


def everything(pack: Pack) -> Iterator[int]:
    """The loader, and on the processor too what training does on its device: colours and standardising."""
    source, batches = _loader(pack)
    for batch in batches:
        yield len(source.inputs(batch.pixels, positions=batch.positions, changes=CHANGES))


def _loader(pack: Pack) -> tuple[Loader, Iterator[Batch]]:
    """The loader, and one epoch of its batches."""
    count = len(pack.photo_ids)
    rows = np.arange(count)
    photos = Photos(photo_ids=pack.photo_ids, labels=rows, halves=[None] * count, rows=rows)
    order = epoch_order(count, seed=1, stage="species", epoch=0)
    device = Device(device=torch.device("cpu"), rank=0, world=1)
    source = Loader(pack, SHOWN, device=device, workers=1)
    groups = [order[begin : begin + BATCH] for begin in range(0, count, BATCH)]
    return source, source.batches(photos, groups=groups, changes=CHANGES)


class _TwoViews(Dataset[tuple[Tensor, Tensor]]):
    """PIL and torchvision's v2 transforms, as their documentation has them; one draw of the jitter for both views."""

    def __init__(self, pack: Pack) -> None:
        self._pack = pack
        self._change = v2.Compose(
            [
                v2.RandomHorizontalFlip(PAPER.flip),
                v2.ColorJitter(PAPER.brightness, PAPER.contrast, PAPER.saturation, PAPER.hue),
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(HALF, HALF),
            ]
        )

    def __len__(self) -> int:
        return len(self._pack.photo_ids)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        image = Image.open(io.BytesIO(self._pack.jpeg(row))).convert("RGB")
        top, left, height, width = RandomResizedCrop.get_params(image, list(PAPER.area), list(PAPER.aspect))
        whole = v2.functional.resized_crop(image, top, left, height, width, [SIDE, SIDE])
        half = max(1, height // 2), max(1, width // 2)
        crop = v2.functional.resized_crop(image, top + height // 4, left + width // 4, *half, [SIDE, SIDE])
        first, second = self._change((whole, crop))
        return first, second


def torchvision(pack: Pack) -> Iterator[int]:
    """The usual pipeline, in this process."""
    torch.manual_seed(1)
    views: Iterable[tuple[Tensor, Tensor]] = DataLoader(_TwoViews(pack), batch_size=BATCH, shuffle=True)
    for first, second in views:
        yield len(torch.stack([first, second], dim=1))


CONTESTANTS: Final = {
    "decode": decode,
    "loader": loader,
    "everything": everything,
    "torchvision": torchvision,
}


def main() -> None:
    """Let one contestant deliver for some CPU-seconds, after a first pass that is not counted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contestant", choices=CONTESTANTS)
    parser.add_argument("--index", type=Path, required=True, help="the pack's index.parquet")
    parser.add_argument("--seconds", type=float, default=4, help="CPU-seconds to go on for, to whole passes")
    options = parser.parse_args()
    torch.set_num_threads(1)
    pack, contestant = Pack(options.index), CONTESTANTS[options.contestant]
    for _ in itertools.islice(contestant(pack), 2):
        pass
    delivered, started = 0, time.process_time()
    while time.process_time() - started < options.seconds:
        delivered += sum(contestant(pack))
    print(json.dumps({"photos_per_cpu_second": delivered / (time.process_time() - started)}))


if __name__ == "__main__":
    main()
