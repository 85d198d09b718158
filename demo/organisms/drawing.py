"""Photographs of organisms: a background, light, distance and sharpness around what the body plans draw."""

import colorsys
import io
import random
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from demo.organisms.animals import ANIMALS
from demo.organisms.pen import Colour, Look, Pen, leaf_points, shade
from demo.organisms.plants import PLANTS

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
# How far individuals of a species stray from its row: standard deviations of hue (of the circle), of saturation and
# brightness (relative), and of the proportion. Relatives differ by about as much, so that some cannot be told apart.
HUE, SATURATION, BRIGHTNESS, TRAIT = 0.02, 0.16, 0.13, 0.2
# Side of the square that the organism is drawn on, as a share of the frame's short side: as in the field, it fills a
# part of the picture.
SIZES = (0.34, 0.86)
# Shares of the photographs outside the usual habitat, with something before the organism, and out of focus.
STRAYED, COVERED, BLURRED = 0.25, 0.45, 0.5
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
    usual = HABITATS[look.habitat]
    colours = chance.choice(tuple(HABITATS.values())) if chance.random() < STRAYED else usual
    picture = _background(colours, frame=frame, chance=chance)
    subject = _subject(individual(look, chance=chance), chance=chance, frame=frame)
    place = tuple(
        round(chance.uniform(0.4, 0.6) * whole - part / 2) for whole, part in zip(frame, subject.size, strict=True)
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
    if chance.random() < COVERED:
        cover = _foliage(colours, frame=frame, chance=chance, blades=chance.randint(2, 6))
        picture.paste(cover, (0, 0), cover.getchannel("A"))
    if chance.random() < BLURRED:
        picture = picture.filter(ImageFilter.BoxBlur(chance.uniform(0.5, 2.2)))
    picture = _exposed(picture, chance=chance)
    stream = io.BytesIO()
    picture.save(
        stream, format=encoding, **({"quality": JPEG_QUALITY} if encoding == "JPEG" else {"compress_level": 1})
    )
    return stream.getvalue()


def individual(look: Look, *, chance: random.Random) -> Look:
    """One individual of a species: its colours and its proportion stray from the species' own."""
    return replace(
        look,
        main=_strayed(look.main, chance=chance),
        second=_strayed(look.second, chance=chance),
        third=_strayed(look.third, chance=chance),
        trait=min(1.0, max(0.0, chance.gauss(look.trait, TRAIT))),
    )


def _strayed(colour: Colour, *, chance: random.Random) -> Colour:
    hue, saturation, value = colorsys.rgb_to_hsv(*(part / 255 for part in colour))
    hue = (hue + chance.gauss(0, HUE)) % 1
    saturation = min(1.0, max(0.0, saturation * (1 + chance.gauss(0, SATURATION))))
    value = min(1.0, max(0.0, value * (1 + chance.gauss(0, BRIGHTNESS))))
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, saturation, value))
    return red, green, blue


def _foliage(colours: tuple[Colour, ...], *, frame: tuple[int, int], chance: random.Random, blades: int) -> Image.Image:
    """Blades and leaves out of focus before the organism, grown from the edges of the picture."""
    width, height = (side // 4 for side in frame)
    small = Image.new("RGBA", (width, height), (*colours[0], 0))
    draw = ImageDraw.Draw(small)
    for _ in range(blades):
        base = (chance.uniform(-0.1, 1.1) * width, height * 1.05)
        length, broad = chance.uniform(0.4, 1.1) * height, chance.uniform(0.04, 0.14) * height
        points = leaf_points(base, length=length, width=broad, angle=chance.uniform(-125, -55))
        draw.polygon(points, fill=(*shade(chance.choice(colours), chance.uniform(0.6, 1.1)), 235))
    return small.filter(ImageFilter.BoxBlur(1)).resize(frame, Image.Resampling.BILINEAR)


def _subject(look: Look, *, chance: random.Random, frame: tuple[int, int]) -> Image.Image:
    """The organism, scaled and turned; plants and fungi stay upright."""
    pen = Pen(random_source=chance)
    PLANS[look.plan](pen, look)
    side = round(min(frame) * chance.uniform(*SIZES))
    image = pen.image.resize((side, side), Image.Resampling.BILINEAR)
    if chance.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    tilt = 9 if look.plan in PLANTS else 28
    return image.rotate(chance.uniform(-tilt, tilt), resample=Image.Resampling.BILINEAR)


def _background(colours: tuple[Colour, ...], *, frame: tuple[int, int], chance: random.Random) -> Image.Image:
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
