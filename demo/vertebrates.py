"""Body plans of vertebrates: each draws one organism, facing right, in the pen's square."""

from collections.abc import Callable, Mapping
from typing import Final

from demo.drawing import Pen, Traits, ellipse, points, shade, smooth

BLACK: Final = (24, 22, 22)
WHITE: Final = (236, 234, 226)
PALE: Final = (214, 196, 160)
WOOD: Final = (92, 74, 58)


def bird(pen: Pen, traits: Traits) -> None:
    """A bird on a perch or on the ground; shape: plump, head, neck, beak, hook, droop, tail, fan, legs, and marks."""
    plump, legs = traits.of("plump"), traits.of("legs")
    foot = 0.42 + 0.22 * legs
    if traits.of("perch") > 0:
        pen.line(points((-1.2, foot + 0.08), (1.2, foot + 0.02)), 0.09, WOOD)
    leg = traits.accent if traits.of("bright_legs", 0) else (96, 84, 78)
    for x in (-0.08, 0.1):
        pen.line(points((x, 0.3), (x + 0.03, foot)), 0.035, leg)
        pen.line(points((x + 0.03, foot), (x + 0.14, foot + 0.02)), 0.03, leg)
    _tail(pen, traits)
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
    if traits.of("wing") > 0:
        _wing(pen, traits, plump)
    _head(pen, traits)


def _tail(pen: Pen, traits: Traits) -> None:
    tail = traits.of("tail")
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


def _wing(pen: Pen, traits: Traits, plump: float) -> None:
    wing = smooth([(0.16, -0.14), (0.22, 0.1), (-0.12, 0.24 * plump), (-0.62, 0.22), (-0.3, -0.1)])
    pen.fill(wing, shade(traits.main, 0.8))
    pen.pattern(wing, traits.pattern, shade(traits.main, 0.55), scale=traits.of("marks"))
    if traits.of("wing_bar", 0):
        pen.inside(wing, [(ellipse(-0.2, 0.18, 0.28, 0.06, -8), traits.accent)])


def _head(pen: Pen, traits: Traits) -> None:
    neck = traits.of("neck", 0.0)
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
    if traits.of("ring", 0):
        pen.ellipse(hx + 0.05, hy - 0.03, 0.075, 0.075, WHITE)
    pen.ellipse(hx + 0.05, hy - 0.03, 0.042, 0.042, traits.accent if traits.of("red_eye", 0) else BLACK)
    pen.ellipse(hx + 0.062, hy - 0.045, 0.014, 0.014, WHITE)


def _beak(pen: Pen, traits: Traits, hx: float, hy: float, hr: float) -> None:
    length, hook, droop = 0.3 * traits.of("beak"), traits.of("hook", 0.0), traits.of("droop", 0.0)
    colour = traits.accent if traits.of("bright_beak", 0) else PALE if traits.of("pale_beak", 0) else (70, 66, 64)
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
    tip = -0.95 * traits.of("tail")
    pen.blob(
        [
            (-0.3, -wide * 0.8),
            (-0.62, bend * 0.45 - wide * 0.5),
            (tip, bend * 1.3),
            (-0.62, bend * 0.45 + wide * 0.5),
            (-0.3, wide * 0.8),
        ],
        traits.main,
    )
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


PLANS: Final[Mapping[str, Callable[[Pen, Traits], None]]] = {
    "bird": bird,
    "fish": fish,
    "lizard": lizard,
    "frog": frog,
}
"""Body plans by name."""
