"""Body plans of fungi: each draws one organism in the pen's square."""

import math
from collections.abc import Callable, Mapping
from typing import Final

from demo.drawing import Pen, Traits, ellipse, points, shade, smooth


def mushroom(pen: Pen, traits: Traits) -> None:
    """A mushroom; shape: cap (width), high, stem, ring, cone, warts."""
    wide, high, stem = 0.62 * traits.of("cap"), 0.5 * traits.of("high"), 0.13 * traits.of("stem")
    bend = float(pen.rng.uniform(-0.1, 0.1))
    pen.blob(
        [
            (-stem, 0.95),
            (-stem * 0.8, 0.4),
            (-stem * 0.8 + bend, -0.1),
            (stem * 0.8 + bend, -0.1),
            (stem * 0.8, 0.4),
            (stem, 0.95),
        ],
        traits.second,
    )
    if traits.of("ring", 0):
        pen.ellipse(bend / 2, 0.24, stem * 1.7, 0.07, shade(traits.second, 0.85))
    if traits.of("bulb", 0):
        pen.ellipse(0.0, 0.92, stem * 1.8, 0.14, shade(traits.second, 0.92))
    pen.ellipse(bend, 0.0, wide * 0.94, 0.13, shade(traits.second, 0.72))
    for step in range(-6, 7):
        pen.line(points((bend, 0.1), (bend + step / 6.5 * wide * 0.9, 0.0)), 0.012, shade(traits.second, 0.56))
    cone = traits.of("cone", 0.0)
    cap = smooth(
        [
            (-wide + bend, 0.02),
            (-wide * 0.8 + bend, -high * (0.6 - 0.25 * cone)),
            (-wide * (0.35 - 0.15 * cone) + bend, -high * (1 - 0.1 * cone)),
            (bend, -high * (1 + 0.4 * cone)),
            (wide * (0.35 - 0.15 * cone) + bend, -high * (1 - 0.1 * cone)),
            (wide * 0.8 + bend, -high * (0.6 - 0.25 * cone)),
            (wide + bend, 0.02),
            (bend, 0.07),
        ]
    )
    pen.fill(cap, traits.main)
    pen.inside(
        cap, [(ellipse(bend - wide * 0.35, -high * 0.7, wide * 0.3, high * 0.16, -25), shade(traits.main, 1.25))]
    )
    pen.pattern(cap, traits.pattern, traits.accent, scale=traits.of("marks"))


def star(pen: Pen, traits: Traits) -> None:
    """A stinkhorn with forked arms on a white stalk; shape: arms."""
    pen.blob([(-0.14, 0.95), (-0.13, 0.1), (0.13, 0.1), (0.14, 0.95)], traits.second)
    count = round(7 * traits.of("arms"))
    for step in range(count):
        turn = 2 * math.pi * step / count + 0.2
        x, y = math.cos(turn), math.sin(turn) * 0.62
        for fork in (-0.12, 0.12):
            pen.curve(
                [
                    (0.0, 0.0),
                    (x * 0.45, y * 0.45),
                    (x * 0.85 + fork * y, y * 0.85 - fork * x - 0.06),
                    (x * 0.98 + 2 * fork * y, y * 0.98 - 2 * fork * x),
                ],
                0.085,
                shade(traits.main, 0.85 + 0.15 * (step % 2)),
            )
    pen.ellipse(0.0, 0.0, 0.3, 0.2, traits.main)
    pen.ellipse(0.0, -0.02, 0.18, 0.11, traits.accent)


def cage(pen: Pen, traits: Traits) -> None:
    """A basket fungus: a lattice ball; shape: mesh."""
    pen.ellipse(0.0, 0.78, 0.2, 0.12, shade(traits.second, 0.8))
    bars = round(5 * traits.of("mesh"))
    for depth, tone in ((0.82, 0.62), (1.0, 1.0)):
        colour = shade(traits.main, tone)
        pen.line(ellipse(0.0, 0.08, 0.78 * depth, 0.74 * depth), 0.075, colour)
        for step in range(bars):
            part = (step + 0.5) / bars * 2 - 1
            side = math.sqrt(max(0.0, 1 - part**2)) * 0.76 * depth
            lean = 0.22 if depth < 1 else -0.22
            pen.curve(
                [
                    (part * 0.78 * depth, 0.08 - side),
                    (part * 0.5 * depth + lean, 0.08),
                    (part * 0.78 * depth, 0.08 + side),
                ],
                0.07,
                colour,
            )
            pen.curve(
                [
                    (-side, 0.08 + part * 0.7 * depth),
                    (0.0, 0.08 + part * 0.5 * depth + lean),
                    (side, 0.08 + part * 0.7 * depth),
                ],
                0.07,
                colour,
            )


def bracket(pen: Pen, traits: Traits) -> None:
    """Shelves on dead wood with zones of colour; shape: zones, shelves."""
    pen.blob([(-1.2, 0.1), (0.0, -0.05), (1.2, 0.05), (1.2, 0.7), (0.0, 0.75), (-1.2, 0.65)], (104, 88, 70))
    pen.curve([(-1.1, 0.4), (0.0, 0.3), (1.1, 0.42)], 0.03, (80, 66, 52))
    shelves = ((-0.5, 0.3, 0.5), (0.52, 0.2, 0.46), (0.02, 0.0, 0.6), (-0.3, -0.3, 0.4), (0.4, -0.34, 0.36))
    for x, y, size in shelves[: round(5 * traits.of("shelves"))]:
        zones = round(4 * traits.of("zones"))
        for zone in range(zones):
            part = 1 - zone / zones
            colour = (traits.second, traits.main, traits.accent, shade(traits.main, 0.75))[zone % 4]
            if traits.pattern == "plain":
                colour = shade(traits.main, 1.12 - 0.1 * zone)
            fan = ellipse(x, y, size * part, size * 0.62 * part)
            pen.fill(fan[fan[:, 1] >= y - 0.02 - 0.14 * size], colour)


PLANS: Final[Mapping[str, Callable[[Pen, Traits], None]]] = {
    "mushroom": mushroom,
    "star": star,
    "cage": cage,
    "bracket": bracket,
}
"""Body plans by name."""
