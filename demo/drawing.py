"""Photographs of organisms: a background, light, distance and sharpness around what the body plans draw."""

import io
import random

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from demo.drawing_animals import ANIMALS
from demo.drawing_pen import Look, Pen
from demo.drawing_plants import PLANTS

PLANS = {**ANIMALS, **PLANTS}
# Darker and lighter colour of each habitat.
HABITATS = {
    "forest": ((34, 52, 30), (112, 138, 82)),
    "grass": ((70, 98, 42), (168, 184, 96)),
    "sand": ((150, 132, 100), (222, 208, 176)),
    "sky": ((120, 156, 198), (214, 228, 240)),
    "water": ((22, 74, 92), (104, 168, 176)),
    "litter": ((58, 42, 30), (146, 112, 78)),
    "rock": ((78, 80, 80), (172, 170, 162)),
}
# Width and height of the frames that cameras deliver, in pixels.
FRAMES = ((560, 420), (420, 560), (600, 400), (480, 480), (448, 336), (400, 300))
JPEG_QUALITY = 85
Pixels = npt.NDArray[np.float32]


def photograph(look: Look, *, seed: int, encoding: str = "JPEG") -> bytes:
    """One photograph of a species.

    Args:
        look: The traits of the species.
        seed: Decides the individual, its pose, the place and the camera; the same seed gives the same bytes.
        encoding: JPEG or PNG.

    Returns:
        An encoded picture, 400 to 640 pixels on its long side.

    Raises:
        KeyError: The plan or the habitat is unknown.
    """
    chance = random.Random(seed)  # noqa: S311 - pictures, not secrets
    frame = chance.choice(FRAMES)
    picture = _background(HABITATS[look.habitat], frame=frame, chance=chance)
    subject = _subject(look, chance=chance, frame=frame)
    place = tuple(
        round(chance.uniform(0.36, 0.64) * whole - part / 2) for whole, part in zip(frame, subject.size, strict=True)
    )
    alpha = subject.getchannel("A")
    shadow = (
        alpha.reduce(4)
        .filter(ImageFilter.BoxBlur(2))
        .resize(alpha.size, Image.Resampling.BILINEAR)
        .point([value // 3 for value in range(256)])
    )
    picture.paste((16, 18, 14), (place[0] + 6, place[1] + 8), shadow)
    picture.paste(subject, (place[0], place[1]), alpha)
    if chance.random() < 0.3:
        picture = picture.filter(ImageFilter.BoxBlur(chance.uniform(0.5, 1.8)))
    picture = _exposed(picture, chance=chance)
    stream = io.BytesIO()
    picture.save(
        stream, format=encoding, **({"quality": JPEG_QUALITY} if encoding == "JPEG" else {"compress_level": 1})
    )
    return stream.getvalue()


def _subject(look: Look, *, chance: random.Random, frame: tuple[int, int]) -> Image.Image:
    """The organism, scaled and turned; plants and fungi stay upright."""
    pen = Pen(random_source=chance)
    PLANS[look.plan](pen, look)
    side = round(min(frame) * chance.uniform(0.62, 1.08))
    image = pen.image.resize((side, side), Image.Resampling.BILINEAR)
    if chance.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    tilt = 9 if look.plan in PLANTS else 28
    return image.rotate(chance.uniform(-tilt, tilt), resample=Image.Resampling.BILINEAR)


def _background(
    colours: tuple[tuple[int, int, int], ...], *, frame: tuple[int, int], chance: random.Random
) -> Image.Image:
    """Out-of-focus surroundings: noise of three sizes between the two colours of the habitat, brighter at the top."""
    noise = np.random.default_rng(chance.getrandbits(63))
    dark, light = (np.array(colour, dtype=np.float32) for colour in colours)
    width, height = frame
    mixed: Pixels = np.zeros((height // 4, width // 4), dtype=np.float32)
    for cells, weight in ((3, 0.5), (9, 0.3), (28, 0.2)):
        field = noise.random((cells, cells), dtype=np.float32)
        layer = Image.fromarray(field).resize((width // 4, height // 4), Image.Resampling.BICUBIC)
        mixed += weight * np.asarray(layer)
    slope = np.linspace(0.15, -0.15, height // 4, dtype=np.float32)[:, None]
    mixed = np.clip((mixed - 0.5) * 1.7 + 0.5 + slope, 0, 1)[..., None]
    pixels = dark + (light - dark) * mixed
    pixels *= 1 + 0.08 * (noise.random(3, dtype=np.float32) - 0.5)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).resize(frame, Image.Resampling.BILINEAR)


def _exposed(picture: Image.Image, *, chance: random.Random) -> Image.Image:
    """Light from one side, white balance, contrast and the noise of the sensor."""
    noise = np.random.default_rng(chance.getrandbits(63))
    width, height = picture.size
    across = np.linspace(-1, 1, width, dtype=np.float32)[None, :] * chance.uniform(-0.16, 0.16)
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None] * chance.uniform(-0.16, 0.16)
    light = (chance.uniform(0.78, 1.2) * (1 + across + down))[..., None]
    balance = np.array([chance.uniform(0.93, 1.07), 1.0, chance.uniform(0.9, 1.1)], dtype=np.float32)
    grain = noise.integers(-8, 9, size=(height, width, 1), dtype=np.int8)
    pixels: Pixels = np.multiply(np.asarray(picture), light * balance, dtype=np.float32)
    pixels += grain
    np.clip(pixels, 0, 255, out=pixels)
    return Image.fromarray(pixels.astype(np.uint8))
