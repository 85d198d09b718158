"""The sound picture of the malformed files, and what damages bytes."""

import io
import random
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from PIL import Image

from tests.malformed import Case, Pixels

SEED = 18
SIZE = (96, 64)


def picture(mode: str = "RGB", *, size: tuple[int, int] = SIZE) -> Image.Image:
    """Colours in no symmetry whatever, so that a turned picture is another one."""
    across, down = np.meshgrid(np.linspace(0, 255, size[0]), np.linspace(0, 200, size[1]))
    return Image.fromarray(np.stack([across, down, 255 - (across + down) / 2], axis=-1).astype(np.uint8)).convert(mode)


PIXELS: Pixels = np.asarray(picture())
GREY: Pixels = np.asarray(picture("L").convert("RGB"))


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """The file of a picture."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def turned(orientation: int) -> Pixels:
    """What is seen of the sound picture that is stored as it is and is to be turned as EXIF's `orientation` says."""
    moves: dict[int, Callable[[Pixels], Pixels]] = {
        2: np.fliplr, 3: lambda pixels: np.rot90(pixels, 2), 4: np.flipud,
        5: lambda pixels: pixels.swapaxes(0, 1), 6: lambda pixels: np.rot90(pixels, -1),
        7: lambda pixels: np.rot90(pixels, 2).swapaxes(0, 1), 8: np.rot90,
    }  # fmt: skip
    return moves[orientation](PIXELS) if orientation in moves else PIXELS


def exif(orientation: int) -> bytes:
    """An EXIF block that says how to turn a photograph."""
    entry = b"\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00" + bytes([orientation, 0, 0, 0])
    return b"Exif\x00\x00II*\x00\x08\x00\x00\x00" + entry + bytes(4)


def cut(name: str, content: bytes, shares: Sequence[float] = (0.1, 0.25, 0.5, 0.75, 0.9)) -> Iterator[Case]:
    """The file that ends early, at several places."""
    stem, _, ending = name.rpartition(".")
    for share in shares:
        end = int(len(content) * share)
        yield Case(name=f"{stem}_cut_at_{round(100 * share)}.{ending}", content=content[:end], right="error")


def flipped(name: str, content: bytes, *, begin: int, times: int = 4) -> Iterator[Case]:
    """The file with a few bytes that are wrong, beyond its signature."""
    stem, _, ending = name.rpartition(".")
    generator = random.Random(f"{SEED} {name}")
    for number in range(times):
        damaged = bytearray(content)
        for _ in range(5):
            damaged[generator.randrange(begin, len(damaged))] ^= generator.randrange(1, 256)
        yield Case(name=f"{stem}_flipped_{number}.{ending}", content=bytes(damaged), right="either")
