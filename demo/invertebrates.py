"""Body plans of insects and spiders: each draws one organism, facing right, in the pen's square."""

import math
from collections.abc import Callable, Mapping
from typing import Final

from demo.drawing import Pen, Traits, ellipse, points, shade, smooth

BLACK: Final = (24, 22, 22)


def weta(pen: Pen, traits: Traits) -> None:
    """A weta from above: a banded body, spiny legs, long antennae; shape: head, spines, length."""
    dark = shade(traits.main, 0.7)
    for side in (-1, 1):
        pen.curve([(0.6, side * 0.06), (0.9, side * 0.4), (0.7, side * 0.85)], 0.018, dark)
        for x, reach in ((0.3, 0.5), (0.12, 0.36)):
            pen.line(points((x, side * 0.12), (x + reach * 0.5, side * 0.42), (x + reach, side * 0.52)), 0.05, dark)
        pen.line(points((-0.05, side * 0.14), (-0.35, side * 0.5)), 0.12, traits.second)
        pen.line(points((-0.35, side * 0.5), (-0.9, side * 0.38)), 0.05, traits.second)
        for step in range(4):
            x = -0.45 - step * 0.11
            pen.line(points((x, side * 0.48), (x - 0.04, side * (0.48 + 0.09 * traits.of("spines")))), 0.02, dark)
    body = smooth(
        [
            (-0.72 * traits.of("length"), 0.0),
            (-0.4, -0.2),
            (0.1, -0.22),
            (0.34, -0.17),
            (0.34, 0.17),
            (0.1, 0.22),
            (-0.4, 0.2),
        ]
    )
    pen.fill(body, traits.main)
    pen.pattern(body, traits.pattern, traits.accent, scale=traits.of("marks"))
    pen.ellipse(0.3, 0.0, 0.16, 0.2, shade(traits.second, 0.9))
    pen.ellipse(0.52, 0.0, 0.16 * traits.of("head"), 0.15 * traits.of("head"), dark)
    for side in (-1, 1):
        pen.ellipse(0.56, side * 0.1, 0.03, 0.03, BLACK)


def bee(pen: Pen, traits: Traits) -> None:
    """A bee: a furry, banded body and clear wings; shape: round, tip."""
    wide = 0.3 * traits.of("round")
    for side in (-1, 1):
        for x in (0.2, 0.0, -0.2):
            pen.line(
                points((x, side * wide * 0.6), (x - 0.1, side * (wide + 0.2)), (x - 0.26, side * (wide + 0.24))),
                0.035,
                BLACK,
            )
        pen.curve([(0.6, side * 0.08), (0.76, side * 0.2), (0.9, side * 0.16)], 0.03, BLACK)
    body = smooth(
        [
            (-0.75, 0.0),
            (-0.5, -wide * 0.9),
            (0.0, -wide),
            (0.35, -wide * 0.8),
            (0.5, 0.0),
            (0.35, wide * 0.8),
            (0.0, wide),
            (-0.5, wide * 0.9),
        ]
    )
    pen.fill(body, traits.main)
    bands = [(0.34, 0.16, traits.second), (-0.22, 0.15, traits.second), (-0.66, 0.16, traits.accent)]
    if traits.of("bands") > 1:
        bands = [(x, 0.06, traits.second) for x in (-0.05, -0.22, -0.39, -0.56)] + [(0.3, 0.2, traits.accent)]
    if traits.of("waist", 0):
        bands.append((0.06, 0.07, traits.second))
    pen.inside(
        body,
        [(points((x - half, -1), (x + half, -1), (x + half, 1), (x - half, 1)), colour) for x, half, colour in bands],
    )
    pen.ellipse(0.58, 0.0, 0.15, 0.17, shade(traits.main, 0.9))
    for side in (-1, 1):
        wing = smooth([(0.12, side * 0.1), (-0.1, side * 0.52), (-0.56, side * 0.66), (-0.6, side * 0.4)])
        pen.fill(wing, (196, 194, 188))
        pen.inside(wing, [(ellipse(-0.35, side * 0.5, 0.16, 0.05, side * 30), (168, 166, 160))])
        pen.ellipse(0.64, side * 0.1, 0.045, 0.06, BLACK)


def butterfly(pen: Pen, traits: Traits) -> None:
    """A butterfly with open wings; shape: point, hind, veins, eyes (spots), tips."""
    fold = float(pen.rng.uniform(0.7, 1.0))
    edge = shade(traits.accent, 1.0)
    for side in (-1, 1):
        hind = smooth(
            [
                (0.0, 0.06),
                (side * 0.5 * fold, 0.12),
                (side * 0.62 * fold, 0.5 * traits.of("hind")),
                (side * 0.25 * fold, 0.66 * traits.of("hind")),
                (side * 0.03, 0.34),
            ]
        )
        fore = smooth(
            [
                (0.0, -0.2),
                (side * 0.5 * fold, -0.62 * traits.of("point")),
                (side * 0.92 * fold, -0.6),
                (side * 0.84 * fold, -0.1),
                (side * 0.4 * fold, 0.14),
                (0.0, 0.12),
            ]
        )
        for wing, base in ((hind, (0.0, 0.1)), (fore, (0.0, -0.1))):
            pen.fill(wing, edge)
            centre = wing.mean(axis=0)
            inner = centre + (wing - centre) * (0.9 - 0.1 * traits.of("edge"))
            pen.fill(inner, traits.main)
            if traits.of("veins", 0):
                for corner in wing[::5]:
                    pen.line(points(base, (float(corner[0]), float(corner[1]))), 0.022, edge)
            pen.pattern(inner, traits.pattern, traits.accent, scale=traits.of("marks"))
        if traits.of("tips", 0):
            pen.inside(fore, [(ellipse(side * 0.86 * fold, -0.5, 0.3, 0.26), edge)])
            pen.ellipse(side * 0.74 * fold, -0.5, 0.05, 0.05, traits.second)
            pen.ellipse(side * 0.8 * fold, -0.36, 0.035, 0.035, traits.second)
        if traits.of("eyes", 0):
            for x, y in ((0.34, 0.42), (0.48, 0.34), (0.2, 0.5)):
                pen.ellipse(side * x * fold, y, 0.05, 0.05, BLACK)
                pen.ellipse(side * x * fold, y, 0.025, 0.025, traits.second)
        if traits.of("patch", 0):
            pen.ellipse(side * 0.5 * fold, -0.32, 0.16, 0.12, traits.second, side * -30)
        pen.curve([(0.0, -0.34), (side * 0.1, -0.6), (side * 0.2, -0.74)], 0.02, BLACK)
    pen.ellipse(0.0, 0.02, 0.055, 0.36, shade(traits.accent, 0.7))


def cicada(pen: Pen, traits: Traits) -> None:
    """A cicada from above with clear wings; shape: wide."""
    wide = 0.2 * traits.of("wide")
    body = smooth(
        [
            (-0.6, 0.0),
            (-0.3, -wide),
            (0.2, -wide * 1.2),
            (0.5, -wide),
            (0.58, 0.0),
            (0.5, wide),
            (0.2, wide * 1.2),
            (-0.3, wide),
        ]
    )
    for side in (-1, 1):
        pen.line(points((0.3, side * wide), (0.5, side * 0.42), (0.66, side * 0.42)), 0.04, shade(traits.main, 0.7))
    pen.fill(body, traits.main)
    pen.pattern(body, traits.pattern, traits.accent, scale=traits.of("marks"))
    pen.curve([(0.5, 0.0), (0.0, 0.0)], 0.03, traits.second)
    for side in (-1, 1):
        wing = smooth(
            [
                (0.26, side * wide * 0.8),
                (0.1, side * 0.42),
                (-0.7, side * 0.5),
                (-0.94, side * 0.3),
                (-0.4, side * 0.06),
            ]
        )
        pen.fill(wing, (186, 190, 176))
        for end in ((-0.86, 0.34), (-0.7, 0.46), (-0.6, 0.2), (-0.3, 0.44)):
            pen.line(points((0.2, side * wide), (end[0], side * end[1])), 0.016, traits.second)
        pen.ellipse(0.54, side * wide * 0.95, 0.06, 0.06, shade(traits.second, 0.6))


def damselfly(pen: Pen, traits: Traits) -> None:
    """A damselfly on a stem; shape: length."""
    pen.line(points((-1.0, 0.5), (1.0, 0.32)), 0.04, (112, 128, 66))
    for side in (-0.12, 0.08):
        pen.blob(
            [(0.34, -0.06), (-0.1, -0.36 + side), (-0.62, -0.46 + side), (-0.5, -0.3 + side), (0.0, -0.12)],
            (202, 206, 204),
        )
        pen.line(points((0.34, -0.06), (-0.56, -0.42 + side)), 0.015, (120, 120, 118))
    pen.line(points((0.4, 0.02), (-0.9 * traits.of("length"), 0.16)), 0.075, traits.main)
    for step in range(6):
        x = 0.1 - step * 0.17
        pen.line(points((x, 0.075 - 0.01 * step + 0.02 * step), (x - 0.04, 0.08 + 0.01 * step)), 0.08, traits.accent)
    for x in (0.3, 0.4, 0.5):
        pen.line(points((x, 0.06), (x - 0.02, 0.26), (x + 0.06, 0.4)), 0.022, BLACK)
    pen.ellipse(0.42, 0.0, 0.16, 0.11, traits.second, -12)
    pen.ellipse(0.64, -0.04, 0.09, 0.09, traits.main)
    pen.ellipse(0.68, -0.06, 0.045, 0.045, BLACK)


def spider(pen: Pen, traits: Traits) -> None:
    """A spider from above; shape: legs, abdomen."""
    reach = traits.of("legs")
    for side in (-1, 1):
        for index, angle in enumerate((-60, -22, 22, 58)):
            turn = math.radians(angle)
            knee = (0.22 + 0.42 * reach * math.sin(-turn), side * (0.12 + 0.36 * reach * math.cos(turn)))
            foot = (
                0.22 + 0.86 * reach * math.sin(-turn),
                side * (0.14 + (0.5 + 0.06 * index) * reach * math.cos(turn)),
            )
            pen.line(points((0.22, side * 0.08), knee), 0.07, traits.main)
            pen.line(points(knee, foot), 0.04, shade(traits.main, 0.85))
    abdomen = ellipse(-0.36, 0.0, 0.34 * traits.of("abdomen"), 0.22 * traits.of("abdomen"))
    pen.fill(abdomen, traits.main)
    pen.pattern(abdomen, traits.pattern, traits.accent, scale=traits.of("marks"))
    pen.ellipse(0.16, 0.0, 0.22, 0.18, shade(traits.main, 0.85))
    for side in (-1, 1):
        pen.line(points((-0.05, side * 0.15), (0.32, side * 0.12)), 0.03, traits.second)
        pen.ellipse(0.32, side * 0.05, 0.025, 0.025, BLACK)


PLANS: Final[Mapping[str, Callable[[Pen, Traits], None]]] = {
    "weta": weta,
    "bee": bee,
    "butterfly": butterfly,
    "cicada": cicada,
    "damselfly": damselfly,
    "spider": spider,
}
"""Body plans by name."""
