"""A pen for organisms, their backgrounds, and what a camera does to them; body plans have modules of their own.

Organisms are drawn in a square from -1 to 1 (x to the right, y down) on a layer of twice the final size, so that
edges are smooth and a pose is one affine map.
"""

import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

Colour = tuple[int, int, int]
Points = NDArray[np.float64]
"""(n, 2) coordinates in the organism's square."""
JPEG_QUALITY: Final = 85
HABITATS: Final[Mapping[str, tuple[Colour, Colour, Colour]]] = {
    "forest": ((38, 62, 36), (84, 112, 58), (128, 146, 88)),
    "litter": ((66, 48, 34), (110, 82, 56), (146, 118, 84)),
    "sky": ((138, 172, 206), (176, 200, 222), (212, 222, 230)),
    "water": ((28, 74, 92), (58, 116, 128), (110, 158, 158)),
    "shore": ((126, 118, 102), (168, 156, 132), (196, 190, 174)),
    "grass": ((72, 108, 42), (110, 146, 60), (158, 178, 92)),
    "bark": ((60, 50, 42), (96, 82, 68), (130, 116, 98)),
    "alpine": ((92, 100, 82), (128, 130, 108), (168, 166, 148)),
}
"""Dark, middle and light colour of each background."""


@dataclass(frozen=True, kw_only=True)
class Traits:
    """How a species looks."""

    plan: str
    """The body plan, a name in `scene.PLANS`."""
    main: Colour
    second: Colour
    accent: Colour
    pattern: str
    shape: Mapping[str, float]
    """Proportions by name; 1 is the plan's own."""
    habitat: str

    def of(self, name: str, default: float = 1.0) -> float:
        """A proportion."""
        return self.shape.get(name, default)


def shade(colour: Colour, factor: float) -> Colour:
    """A colour made darker (below 1) or lighter."""
    red, green, blue = (max(0, min(255, round(part * factor))) for part in colour)
    return red, green, blue


def points(*pairs: tuple[float, float]) -> Points:
    """Coordinates as an array."""
    return np.array(pairs, dtype=np.float64)


def ellipse(  # noqa: PLR0917 (geometry reads by position)
    x: float, y: float, rx: float, ry: float, angle: float = 0.0, count: int = 28
) -> Points:
    """The outline of an ellipse; `angle` in degrees, clockwise on the screen."""
    turn = np.linspace(0, 2 * math.pi, count, endpoint=False)
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    across, down = rx * np.cos(turn), ry * np.sin(turn)
    return np.stack([x + across * cos - down * sin, y + across * sin + down * cos], axis=1)


def smooth(controls: Sequence[tuple[float, float]], *, closed: bool = True, steps: int = 6) -> Points:
    """A Catmull-Rom curve through the controls."""
    knots = np.array(controls, dtype=np.float64)
    padded = (
        np.concatenate([knots[-1:], knots, knots[:2]]) if closed else np.concatenate([knots[:1], knots, knots[-1:]])
    )
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    a, b, c, d = (padded[index : len(padded) - 3 + index, None, :] for index in range(4))
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    flat: Points = curve.reshape(-1, 2)
    return flat if closed else np.concatenate([flat, knots[-1:]])


class Pen:
    """Draws in the organism's square.

    Args:
        size: Side of the layer in pixels.
        angle: Rotation in degrees.
        flip: Mirror left and right.
        stretch: Width against height: the camera's angle.
        rng: Chance for details.
    """

    def __init__(self, size: int, *, angle: float, flip: bool, stretch: float, rng: np.random.Generator) -> None:
        self.rng = rng
        self.image = Image.new("RGBA", (size, size))
        self._draw = ImageDraw.Draw(self.image)
        cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        turn = np.array([[cos, sin], [-sin, cos]])
        scale = np.diag([(-1.0 if flip else 1.0) * stretch, 1.0])
        self._map = scale @ turn * (size * 0.4)
        self._centre = size / 2
        self.unit = size * 0.4
        """Pixels per unit of the square."""

    def fill(self, outline: Points, colour: Colour) -> None:
        """Fill a polygon."""
        self._draw.polygon(self._pixels(outline), fill=colour)

    def ellipse(  # noqa: PLR0917 (as above)
        self, x: float, y: float, rx: float, ry: float, colour: Colour, angle: float = 0.0
    ) -> None:
        """Fill an ellipse."""
        self.fill(ellipse(x, y, rx, ry, angle), colour)

    def blob(self, controls: Sequence[tuple[float, float]], colour: Colour) -> None:
        """Fill a smooth closed shape through the controls."""
        self.fill(smooth(controls), colour)

    def line(self, path: Points, width: float, colour: Colour) -> None:
        """A line; `width` in units of the square."""
        self._draw.line(self._pixels(path), fill=colour, width=max(1, round(width * self.unit)), joint="curve")

    def curve(self, controls: Sequence[tuple[float, float]], width: float, colour: Colour) -> None:
        """A smooth open line."""
        self.line(smooth(controls, closed=False), width, colour)

    def inside(self, outline: Points, shapes: Iterable[tuple[Points, Colour]]) -> None:
        """Fill shapes, but only where they lie inside the outline."""
        mask = Image.new("L", self.image.size)
        ImageDraw.Draw(mask).polygon(self._pixels(outline), fill=255)
        box = mask.getbbox()
        if box is None:
            return
        overlay = self.image.crop(box)
        draw = ImageDraw.Draw(overlay)
        for shape, colour in shapes:
            draw.polygon([(x - box[0], y - box[1]) for x, y in self._pixels(shape)], fill=colour)
        self.image.paste(overlay, box, mask.crop(box))

    def pattern(self, outline: Points, kind: str, colour: Colour, *, scale: float = 1.0) -> None:
        """Draw a pattern inside an outline: spots, bars, stripes, mottle or streaks; `plain` draws nothing."""
        if kind == "plain":
            return
        low, high = outline.min(axis=0), outline.max(axis=0)
        self.inside(outline, [(shape, colour) for shape in self._marks(kind, low, high, scale)])

    def _marks(self, kind: str, low: Points, high: Points, scale: float) -> list[Points]:
        (left, top), (right, bottom) = low, high
        step = 0.13 * scale
        count = max(2, int((right - left) / step))
        across = np.linspace(left, right, count)
        if kind == "bars":
            return [_band(x, top, x - 0.04, bottom, 0.035 * scale) for x in across]
        if kind == "stripes":
            return [_band(left, y, right, y, 0.03 * scale) for y in np.linspace(top, bottom, 5)[1:-1]]
        rows = max(2, int((bottom - top) / step))
        jitter = self.rng.uniform(-0.3, 0.3, (rows, count, 3)) * step
        radius = {"spots": 0.035, "mottle": 0.06, "streaks": 0.016}[kind] * scale
        long = {"spots": 1.0, "mottle": 0.6, "streaks": 3.5}[kind]
        marks = []
        for row, y in enumerate(np.linspace(top, bottom, rows)):
            for column, x in enumerate(across):
                dx, dy, grow = jitter[row, column]
                shift = step / 2 if row % 2 else 0.0
                size = radius * (1 + 3 * grow / step * (0.3 if kind == "spots" else 0.6))
                marks.append(ellipse(x + dx + shift, y + dy, size, size * long, count=10))
        return marks

    def _pixels(self, outline: Points) -> list[tuple[float, float]]:
        return [(x, y) for x, y in (outline @ self._map.T + self._centre).tolist()]


def _band(x0: float, y0: float, x1: float, y1: float, half: float) -> Points:
    length = math.hypot(x1 - x0, y1 - y0) or 1.0
    nx, ny = -(y1 - y0) / length * half, (x1 - x0) / length * half
    return points((x0 + nx, y0 + ny), (x1 + nx, y1 + ny), (x1 - nx, y1 - ny), (x0 - nx, y0 - ny))


def background(habitat: str, *, width: int, height: int, rng: np.random.Generator) -> Image.Image:
    """A place out of focus: cloudy colours with vague leaves, stones or waves."""
    dark, middle, light = (np.array(colour, dtype=np.float64) for colour in HABITATS[habitat])
    clouds = rng.uniform(-1, 1, (5, 7, 1)) * 0.8 + rng.uniform(-0.12, 0.12, (5, 7, 3))
    colours = np.where(clouds < 0, middle + (middle - dark) * clouds, middle + (light - middle) * clouds)
    small = Image.fromarray(np.clip(colours, 0, 255).astype(np.uint8)).resize(
        (width // 5, height // 5), Image.Resampling.BICUBIC
    )
    draw = ImageDraw.Draw(small)
    for _ in range(int(rng.integers(10, 26))):
        x, y = rng.uniform(0, small.width), rng.uniform(0, small.height)
        long, thin = {
            "water": (22, 1.5),
            "sky": (26, 5),
            "grass": (16, 1.2),
            "shore": (5, 3.5),
            "litter": (7, 3),
            "bark": (3, 12),
        }.get(habitat, (9, 3.5))
        turn = rng.uniform(-15, 15) if habitat in {"water", "sky", "bark", "shore"} else rng.uniform(0, 180)
        if habitat == "grass":
            turn = rng.uniform(60, 120)
        mix = rng.uniform(0, 1)
        tone = (dark * (1 - mix) + light * mix) * rng.uniform(0.85, 1.1)
        scale = rng.uniform(0.6, 1.5)
        red, green, blue = (int(part) for part in np.clip(tone, 0, 255))
        outline = ellipse(x, y, long * scale, thin * scale, turn, count=14)
        draw.polygon([(a, b) for a, b in outline.tolist()], fill=(red, green, blue))
    blurred = small.filter(ImageFilter.BoxBlur(float(rng.uniform(0.6, 2.2))))
    return blurred.resize((width, height), Image.Resampling.BILINEAR)


def lit(layer: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Light from above and from one side: organisms are not flat."""
    side = rng.uniform(-0.14, 0.14)
    ramp = 0.84 + side * np.array([-1, 1])[None, :] + np.array([0.16, -0.16])[:, None]
    light = Image.fromarray(np.clip(ramp * 255, 0, 255).astype(np.uint8))
    light = light.resize(layer.size, Image.Resampling.BILINEAR)
    return ImageChops.multiply(layer, Image.merge("RGBA", (light, light, light, Image.new("L", layer.size, 255))))


def photograph(picture: Image.Image, rng: np.random.Generator) -> bytes:
    """What the camera makes of a scene: exposure, white balance, grain, sometimes a soft focus; a JPEG."""
    if rng.uniform() < 0.25:
        picture = picture.filter(ImageFilter.BoxBlur(float(rng.uniform(0.4, 1.4))))
    balance = rng.uniform(0.8, 1.3) * (1 + rng.uniform(-0.07, 0.07, 3))
    curve = (np.arange(256) - 110) * rng.uniform(0.8, 1.12) + 110
    levels = np.clip(curve[None, :] * balance[:, None], 0, 255).astype(int)
    picture = picture.point(levels.ravel().tolist())
    small = 128 + rng.standard_normal((picture.height // 4 + 1, picture.width // 4 + 1)) * rng.uniform(2, 9)
    grain = Image.fromarray(np.tile(np.clip(small, 0, 255).astype(np.uint8), (4, 4)))
    grain = grain.crop((0, 0, *picture.size))
    picture = ImageChops.add(picture, Image.merge("RGB", (grain, grain, grain)), offset=-128)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()
