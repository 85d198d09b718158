"""The pen with which organisms are drawn, and the traits that it draws. No organism here."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from PIL import Image, ImageColor, ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]
# Side of the square on which an organism is drawn before it is scaled down into its photograph, in pixels.
SIDE = 480


@dataclass(frozen=True, kw_only=True)
class Look:
    """The traits of a species, as its row in the list of species says.

    Attributes:
        plan: Body plan: the name of a drawing function.
        main: Colour of most of the body, as are `second` and `third` of its parts.
        pattern: plain, spots, bands or stripes.
        trait: Proportion in [0, 1] that tells relatives apart; what it means depends on the plan.
        habitat: Background: forest, grass, sand, sky, water, litter or rock.
    """

    plan: str
    main: Colour
    second: Colour
    third: Colour
    pattern: str
    trait: float
    habitat: str


def colour_of(text: str) -> Colour:
    """The colour of a name or a `#rrggbb`."""
    red, green, blue = ImageColor.getrgb(text)[:3]
    return red, green, blue


def shade(colour: Colour, factor: float) -> Colour:
    """A darker (factor below 1) or lighter colour."""
    red, green, blue = (max(0, min(255, round(part * factor))) for part in colour)
    return red, green, blue


class Pen:
    """Draws on a transparent square; coordinates run from 0 to 100, y downwards, angles are degrees clockwise."""

    def __init__(self, *, random_source: random.Random) -> None:
        """Start an empty square; `random_source` decides what varies between individuals."""
        self.random = random_source
        self.image = Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 0))

    @cached_property
    def _draw(self) -> ImageDraw.ImageDraw:
        return ImageDraw.Draw(self.image)

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """A filled polygon."""
        scale = SIDE / 100
        self._draw.polygon([(x * scale, y * scale) for x, y in points], fill=colour)

    def line(self, points: Sequence[Point], colour: Colour, *, width: float) -> None:
        """A line with round joints."""
        scale = SIDE / 100
        self._draw.line(
            [(x * scale, y * scale) for x, y in points], fill=colour, width=max(1, round(width * scale)), joint="curve"
        )

    def oval(self, centre: Point, radii: Point, colour: Colour, *, angle: float = 0.0) -> None:
        """A filled ellipse, turned by `angle`."""
        self.polygon(oval_points(centre, radii, angle=angle), colour)

    def ball(self, centre: Point, radius: float, colour: Colour) -> None:
        """A disc."""
        scale = SIDE / 100
        (x, y), r = centre, radius
        self._draw.ellipse(((x - r) * scale, (y - r) * scale, (x + r) * scale, (y + r) * scale), fill=colour)

    def body(
        self, centre: Point, radii: Point, look: Look, *, angle: float = 0.0, colour: Colour | None = None
    ) -> None:
        """An ellipse with shading from above and the pattern of the species."""
        base = look.main if colour is None else colour
        self.oval(centre, radii, shade(base, 0.72), angle=angle)
        lifted = at(centre, (0.0, -0.07 * radii[1]), angle=angle)
        self.oval(lifted, (radii[0] * 0.96, radii[1] * 0.9), base, angle=angle)
        self.oval(
            at(centre, (0.0, -0.45 * radii[1]), angle=angle),
            (radii[0] * 0.6, radii[1] * 0.28),
            shade(base, 1.22),
            angle=angle,
        )
        self.pattern(centre, radii, look, angle=angle)

    def pattern(self, centre: Point, radii: Point, look: Look, *, angle: float = 0.0) -> None:
        """Spots, bands (across) or stripes (along) inside an ellipse, in the third colour."""
        rx, ry = radii
        if look.pattern == "spots":
            for u in (-0.7, -0.42, -0.14, 0.14, 0.42, 0.7):
                for v in (-0.5, 0.0, 0.5):
                    if u * u + v * v < 0.66:
                        wobble = self.random.uniform(-0.07, 0.07)
                        spot = at(centre, (rx * (u + wobble + 0.07 * v), ry * (v + wobble)), angle=angle)
                        self.ball(spot, 0.085 * (rx + ry) / 2 * (1 + self.random.uniform(-0.25, 0.25)), look.third)
        elif look.pattern == "bands":
            for u in (-0.66, -0.33, 0.0, 0.33, 0.66):
                half = 0.86 * math.sqrt(1 - u * u)
                ends = [at(centre, (rx * u, ry * v), angle=angle) for v in (-half, half)]
                self.line(ends, look.third, width=0.13 * rx)
        elif look.pattern == "stripes":
            for v in (-0.45, 0.0, 0.45):
                half = 0.88 * math.sqrt(1 - v * v)
                ends = [at(centre, (rx * u, ry * v), angle=angle) for u in (-half, half)]
                self.line(ends, look.third, width=0.14 * ry)

    def eye(self, centre: Point, radius: float) -> None:
        """A dark eye with a light in it."""
        self.ball(centre, radius, (18, 16, 14))
        self.ball((centre[0] + radius * 0.3, centre[1] - radius * 0.35), radius * 0.32, (240, 240, 235))


def at(centre: Point, offset: Point, *, angle: float) -> Point:
    """The centre moved by an offset that is turned by `angle` degrees clockwise."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return centre[0] + offset[0] * cos - offset[1] * sin, centre[1] + offset[0] * sin + offset[1] * cos


def oval_points(centre: Point, radii: Point, *, angle: float = 0.0) -> list[Point]:
    """The outline of an ellipse as 28 points."""
    steps = (2 * math.pi * step / 28 for step in range(28))
    return [at(centre, (radii[0] * math.cos(step), radii[1] * math.sin(step)), angle=angle) for step in steps]


def leaf_points(base: Point, *, length: float, width: float, angle: float) -> list[Point]:
    """The outline of a pointed leaf that leaves `base` in the direction of `angle`."""
    profile = ((0.0, 0.0), (0.2, 0.36), (0.45, 0.5), (0.7, 0.38), (1.0, 0.0))
    upper = [at(base, (length * u, width * v), angle=angle) for u, v in profile]
    lower = [at(base, (length * u, -width * v), angle=angle) for u, v in reversed(profile[1:-1])]
    return upper + lower
