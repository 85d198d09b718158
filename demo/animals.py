"""Body plans of animals: each draws one organism, facing right, in the pen's square."""

import math
from collections.abc import Callable, Mapping
from typing import Final

from demo.drawing import Pen, Traits, ellipse, points, shade, smooth

BLACK: Final = (24, 22, 22)
WHITE: Final = (236, 234, 226)
WOOD: Final = (92, 74, 58)


def bird(pen: Pen, traits: Traits) -> None:
    """A bird on a perch or on the ground; shape: plump, head, neck, beak, hook, droop, tail, fan, legs, and marks."""
    plump, legs, neck, tail = traits.of("plump"), traits.of("legs"), traits.of("neck", 0.0), traits.of("tail")
    foot = 0.42 + 0.22 * legs
    if traits.of("perch") > 0:
        pen.line(points((-1.2, foot + 0.08), (1.2, foot + 0.02)), 0.09, WOOD)
    leg = traits.accent if traits.of("bright_legs", 0) else (96, 84, 78)
    for x in (-0.08, 0.1):
        pen.line(points((x, 0.3), (x + 0.03, foot)), 0.035, leg)
        pen.line(points((x + 0.03, foot), (x + 0.14, foot + 0.02)), 0.03, leg)
    fan, end = 0.1 + 0.12 * traits.of("fan"), -0.45 - 0.45 * tail
    if tail > 0:
        rear = 0.28 - 0.25 * (traits.of("fan") > 2)
        pen.fill(
            points((-0.3, 0.0), (end, rear - fan), (end - 0.06, rear), (end, rear + fan), (-0.3, 0.2)),
            shade(traits.main, 0.7),
        )
        if traits.of("fan") > 2:
            for part in (-0.6, 0.0, 0.6):
                pen.line(points((-0.35, 0.1), (end, rear + fan * part)), 0.05, traits.accent)
    body = smooth(
        [
            (-0.52, 0.12),
            (-0.2, -0.2 * plump),
            (0.2, -0.24 * plump),
            (0.46, -0.02),
            (0.38, 0.3 * plump),
            (0.0, 0.4 * plump),
            (-0.34, 0.3 * plump),
        ]
    )
    pen.fill(body, traits.main)
    pen.inside(body, [(ellipse(0.26, 0.34 * plump, 0.52, 0.3, -20), traits.second)])
    pen.pattern(body, traits.pattern, shade(traits.main, 0.62), scale=traits.of("marks"))
    hx, hy, hr = 0.46 + 0.12 * neck, -0.32 - 0.34 * neck, 0.2 * traits.of("head")
    pen.fill(
        points((0.12, -0.2), (hx - hr, hy), (hx + hr * 0.8, hy + 0.08), (0.5, 0.1)),
        traits.accent if traits.of("hood", 0) else traits.main,
    )
    if traits.of("beak") > 0:
        _beak(pen, traits, hx, hy, hr)
    head = ellipse(hx, hy, hr * 1.08, hr)
    pen.fill(head, traits.accent if traits.of("hood", 0) else traits.main)
    if traits.of("crown", 0):
        pen.inside(head, [(ellipse(hx + 0.08, hy - hr * 0.8, hr * 0.9, hr * 0.62), traits.accent)])
    if traits.of("brow", 0):
        pen.ellipse(hx + 0.05, hy - 0.11, 0.11, 0.025, WHITE)
    if traits.of("throat", 0):
        pen.ellipse(hx - 0.02, hy + hr + 0.08, 0.07, 0.1, traits.accent)
    if traits.of("wing") > 0:
        wing = smooth([(0.16, -0.14), (0.22, 0.1), (-0.12, 0.24 * plump), (-0.62, 0.22), (-0.3, -0.1)])
        pen.fill(wing, shade(traits.main, 0.8))
        pen.pattern(wing, traits.pattern, shade(traits.main, 0.55), scale=traits.of("marks"))
        if traits.of("wing_bar", 0):
            pen.inside(wing, [(ellipse(-0.2, 0.18, 0.28, 0.06, -8), traits.accent)])
    if traits.of("ring", 0):
        pen.ellipse(hx + 0.05, hy - 0.03, 0.075, 0.075, WHITE)
    pen.ellipse(hx + 0.05, hy - 0.03, 0.042, 0.042, traits.accent if traits.of("red_eye", 0) else BLACK)
    pen.ellipse(hx + 0.062, hy - 0.045, 0.014, 0.014, WHITE)


def _beak(pen: Pen, traits: Traits, hx: float, hy: float, hr: float) -> None:
    length, hook, droop = 0.3 * traits.of("beak"), traits.of("hook", 0.0), traits.of("droop", 0.0)
    colour = traits.accent if traits.of("bright_beak", 0) else (70, 66, 64)
    thick = 0.07 + 0.06 * hook + 0.05 * traits.of("stout", 0)
    x, tip = hx + hr * 0.85, hx + hr * 0.8 + length
    drop = 0.06 + 0.3 * droop + 0.2 * hook
    pen.fill(
        smooth(
            [
                (x - 0.04, hy - thick),
                (x + length * 0.6, hy - thick * 0.5 + drop * 0.2),
                (tip, hy + drop),
                (x + length * 0.4, hy + thick * 0.6 + drop * 0.3),
                (x - 0.04, hy + thick),
            ]
        ),
        colour,
    )


def fish(pen: Pen, traits: Traits) -> None:
    """A fish from the side; shape: deep (height), long, fin, tail, band."""
    deep, fin = 0.34 * traits.of("deep"), traits.of("fin")
    body = smooth(
        [
            (0.82, 0.02),
            (0.5, -deep * 0.8),
            (0.05, -deep),
            (-0.5, -deep * 0.35),
            (-0.62, 0.0),
            (-0.5, deep * 0.35),
            (0.05, deep),
            (0.5, deep * 0.8),
        ]
    )
    pen.fill(
        smooth([(0.4, -deep * 0.8), (0.1, -deep - 0.2 * fin), (-0.4, -deep * 0.5 - 0.12 * fin), (-0.3, 0.0)]),
        shade(traits.second, 0.85),
    )
    pen.fill(
        smooth([(0.0, deep * 0.8), (-0.1, deep + 0.16 * fin), (-0.4, deep * 0.6 + 0.08 * fin), (-0.3, 0.0)]),
        shade(traits.second, 0.85),
    )
    spread = 0.28 * traits.of("tail")
    pen.fill(points((-0.55, 0.0), (-0.95, -spread), (-0.86, 0.0), (-0.95, spread)), traits.second)
    pen.fill(body, traits.main)
    pen.inside(body, [(ellipse(0.1, deep * 0.9, 0.8, deep * 0.7), shade(traits.main, 1.35))])
    pen.pattern(body, traits.pattern, traits.accent, scale=traits.of("marks"))
    pen.fill(smooth([(0.3, 0.06), (0.06, 0.02), (0.02, 0.2), (0.2, 0.2)]), shade(traits.second, 0.9))
    pen.curve([(0.46, -deep * 0.6), (0.4, 0.0), (0.46, deep * 0.6)], 0.02, shade(traits.main, 0.6))
    pen.curve([(0.8, 0.06), (0.7, 0.1)], 0.02, BLACK)
    pen.ellipse(0.6, -deep * 0.28, 0.07, 0.07, (226, 214, 150))
    pen.ellipse(0.61, -deep * 0.28, 0.042, 0.042, BLACK)


def lizard(pen: Pen, traits: Traits) -> None:
    """A lizard from above; shape: slim, head, tail, toes (geckos)."""
    wide, bend = 0.15 * traits.of("slim"), float(pen.rng.uniform(-0.25, 0.25))
    tail = [(-0.35, 0.0), (-0.65, bend * 0.5), (-0.9 * traits.of("tail"), bend * 1.4)]
    for width in (1.7, 1.2, 0.7):
        reach = 2 if width > 1.3 else 3
        pen.curve(tail[:reach] if reach == 3 else [*tail[:1], (-0.55, bend * 0.3)], wide * width, traits.main)
    for x, side in ((0.3, -1), (0.3, 1), (-0.28, -1), (-0.28, 1)):
        elbow, hand = (x + 0.14, side * (wide + 0.14)), (x + 0.26 * (1 if x > 0 else -0.4), side * (wide + 0.26))
        pen.line(points((x, side * wide * 0.6), elbow, hand), 0.065, shade(traits.main, 0.85))
        for toe in (-0.07, 0.0, 0.07):
            end = (hand[0] + 0.08, hand[1] + toe)
            pen.line(points(hand, end), 0.022, shade(traits.main, 0.85))
            if traits.of("toes", 0):
                pen.ellipse(*end, 0.028, 0.028, shade(traits.main, 0.85))
    body = smooth(
        [
            (-0.42, 0.0),
            (-0.2, -wide),
            (0.25, -wide * 1.05),
            (0.45, -wide * 0.72),
            (0.45, wide * 0.72),
            (0.25, wide * 1.05),
            (-0.2, wide),
        ]
    )
    pen.fill(body, traits.main)
    if traits.of("lines", 0):
        pen.inside(
            body,
            [
                (points((-0.5, y - 0.022), (0.6, y - 0.022), (0.6, y + 0.022), (-0.5, y + 0.022)), traits.second)
                for y in (-wide * 0.6, wide * 0.6)
            ],
        )
    pen.pattern(body, traits.pattern, traits.accent, scale=traits.of("marks"))
    grow = traits.of("head")
    pen.blob(
        [
            (0.4, -wide * 0.75),
            (0.58, -0.13 * grow),
            (0.76, -0.05),
            (0.78, 0.0),
            (0.76, 0.05),
            (0.58, 0.13 * grow),
            (0.4, wide * 0.75),
        ],
        shade(traits.main, 1.08),
    )
    for side in (-1, 1):
        pen.ellipse(0.61, side * 0.1 * grow, 0.03, 0.03, BLACK)


def frog(pen: Pen, traits: Traits) -> None:
    """A frog from the side; shape: legs, warts, ear, lines."""
    legs = traits.of("legs")
    for x, y in ((-0.3, 0.3), (0.3, 0.3)):
        pen.curve(
            [(x, 0.1), (x - 0.26 * legs, y - 0.1), (x - 0.05, y + 0.12), (x + 0.2, y + 0.14)],
            0.12,
            shade(traits.main, 0.8),
        )
    body = smooth(
        [(-0.6, 0.22), (-0.4, -0.12), (0.1, -0.34), (0.45, -0.38), (0.72, -0.16), (0.6, 0.08), (0.3, 0.3), (-0.2, 0.36)]
    )
    pen.fill(body, traits.main)
    pen.inside(body, [(ellipse(0.2, 0.4, 0.7, 0.26), traits.second)])
    pen.pattern(body, traits.pattern, traits.accent, scale=traits.of("marks"))
    if traits.of("lines", 0):
        pen.curve([(0.5, -0.25), (0.1, -0.16), (-0.5, 0.08)], 0.05, (206, 170, 84))
    pen.blob([(-0.56, 0.3), (-0.44, -0.04), (-0.1, 0.08), (0.02, 0.34), (-0.3, 0.42)], shade(traits.main, 0.9))
    if traits.of("ear", 0):
        pen.ellipse(0.36, -0.1, 0.07, 0.07, shade(traits.main, 0.65))
    pen.curve([(0.7, -0.06), (0.5, 0.02), (0.34, 0.0)], 0.02, shade(traits.main, 0.5))
    pen.ellipse(0.48, -0.36, 0.11, 0.1, traits.main)
    pen.ellipse(0.5, -0.36, 0.075, 0.07, (204, 168, 70))
    pen.ellipse(0.51, -0.36, 0.05, 0.03, BLACK)


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
    "bird": bird,
    "fish": fish,
    "lizard": lizard,
    "frog": frog,
    "weta": weta,
    "bee": bee,
    "butterfly": butterfly,
    "cicada": cicada,
    "damselfly": damselfly,
    "spider": spider,
}
"""Body plans by name."""
