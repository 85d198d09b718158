"""Body plans of plants: each draws one organism in the pen's square."""

import math
from collections.abc import Callable, Mapping
from typing import Final

from demo.drawing import Colour, Pen, Traits, ellipse, points, shade, smooth

STALK: Final = (104, 116, 62)
LEAF: Final = (70, 106, 52)


def _leaf(  # noqa: PLR0917 (geometry reads by position)
    pen: Pen, x: float, y: float, length: float, width: float, angle: float, colour: Colour
) -> None:
    """A leaf from its foot at (x, y); `angle` in degrees, 0 to the right, 90 down."""
    turn = math.radians(angle)
    cx, cy = x + math.cos(turn) * length / 2, y + math.sin(turn) * length / 2
    pen.ellipse(cx, cy, length / 2, width / 2, colour, angle)
    pen.line(points((x, y), (x + math.cos(turn) * length, y + math.sin(turn) * length)), 0.012, shade(colour, 0.75))


def kowhai(pen: Pen, traits: Traits) -> None:
    """Hanging tubular flowers under feathered leaves; shape: leaflets, flower, spread."""
    pen.curve([(-1.0, -0.5), (0.0, -0.62), (1.0, -0.4)], 0.05, (100, 84, 64))
    for x, tilt in ((-0.75, 100), (-0.2, 70), (0.45, 110), (0.8, 80)):
        turn = math.radians(tilt)
        count = round(6 * traits.of("leaflets"))
        for step in range(1, count + 1):
            px, py = x + math.cos(turn) * step * 0.1, -0.55 + math.sin(turn) * step * 0.1
            for side in (-60.0, 60.0):
                _leaf(
                    pen,
                    px,
                    py,
                    0.16 / traits.of("leaflets") ** 0.5,
                    0.07 / traits.of("leaflets") ** 0.5,
                    tilt + side,
                    LEAF,
                )
    for x, y, tilt in ((-0.5, -0.4, 98), (-0.14, -0.44, 82), (0.22, -0.42, 94), (0.56, -0.36, 80)):
        turn, reach = math.radians(tilt + float(pen.rng.uniform(-10, 10))), 0.62 * traits.of("flower")
        across, down = math.cos(turn), math.sin(turn)
        pen.ellipse(x, y, 0.1, 0.09, traits.accent)
        for half, start, colour in ((0.12, 0.0, traits.main), (0.08, 0.24, traits.second), (0.05, 0.44, traits.main)):
            pen.ellipse(
                x + across * (start + reach) / 2,
                y + down * (start + reach) / 2,
                (reach - start * 0.4) / 2,
                half,
                colour,
                math.degrees(turn),
            )
        for side in (-0.03, 0.03):
            pen.line(
                points(
                    (x + across * reach * 0.9, y + down * reach * 0.9),
                    (x + across * (reach + 0.12) + side, y + down * (reach + 0.12)),
                ),
                0.018,
                traits.accent,
            )


def brush(pen: Pen, traits: Traits) -> None:
    """Heads of long stamens over leathery leaves; shape: leaf (width), stamens, heads."""
    for angle in range(0, 360, 40):
        _leaf(pen, 0.0, 0.2, 0.95, 0.3 * traits.of("leaf"), angle + float(pen.rng.uniform(-10, 10)), traits.second)
    for x, y in ((0.0, -0.1), (-0.45, 0.1), (0.42, 0.16))[: round(traits.of("heads", 3))]:
        count = round(34 * traits.of("stamens"))
        for step in range(count):
            turn = math.radians(-200 + 220 * step / count + float(pen.rng.uniform(-4, 4)))
            long = (0.44 + float(pen.rng.uniform(-0.05, 0.05))) * traits.of("long")
            end = (x + math.cos(turn) * long, y + math.sin(turn) * long)
            pen.line(points((x, y + 0.1), end), 0.02, shade(traits.main, 0.8 + 0.4 * (step % 3) / 2))
            pen.ellipse(*end, 0.02, 0.02, traits.accent)
        pen.ellipse(x, y + 0.1, 0.12, 0.08, shade(traits.second, 0.8))


def sword(pen: Pen, traits: Traits) -> None:
    """A fan of sword-shaped leaves with flower stalks; shape: droop, stalk, leaves."""
    count, droop = round(11 * traits.of("leaves")), traits.of("droop", 0.2)
    for x, lean in ((0.14, 0.12), (-0.1, -0.1)):
        top = -0.95 * traits.of("stalk")
        pen.line(points((x, 0.5), (x + lean, top)), 0.045, shade(traits.accent, 0.6))
        for step in range(5):
            y = top + 0.06 + step * 0.13
            side = 1 if step % 2 else -1
            pen.blob(
                [
                    (x + lean, y),
                    (x + lean + side * 0.1, y - 0.14),
                    (x + lean + side * 0.16, y - 0.18),
                    (x + lean + side * 0.12, y - 0.02),
                ],
                traits.accent,
            )
    for step in range(count):
        part = step / (count - 1) * 2 - 1
        tipx, tipy = part * 0.95, -0.75 + abs(part) * (0.5 + droop)
        sag = (tipx + part * 0.08 * droop, tipy + 0.3 * droop)
        green = shade(traits.main, 0.75 + 0.4 * (step % 3) / 2)
        pen.fill(
            smooth(
                [
                    (part * 0.12 - 0.05, 0.85),
                    (part * 0.5 - 0.05, 0.0),
                    sag,
                    (part * 0.5 + 0.05, 0.02),
                    (part * 0.12 + 0.05, 0.85),
                ]
            ),
            green,
        )
        pen.line(points((part * 0.12, 0.8), (part * 0.5, 0.0)), 0.015, traits.second)


def tuft(pen: Pen, traits: Traits) -> None:
    """A cabbage tree: a trunk with tufts of narrow leaves; shape: heads, wide."""
    pen.line(points((0.02, 1.05), (0.0, 0.0)), 0.13, (126, 112, 94))
    crowns = (
        ((0.0, -0.25, 1.0),) if traits.of("heads") < 2 else ((-0.42, -0.1, 0.7), (0.4, -0.16, 0.72), (0.0, -0.5, 0.7))
    )
    for x, y, _ in crowns:
        pen.line(points((0.0, 0.3), (x, y)), 0.09, (126, 112, 94))
    for x, y, size in crowns:
        for step in range(30):
            turn = math.radians(step * 12 + float(pen.rng.uniform(-6, 6)))
            long = 0.62 * size * float(pen.rng.uniform(0.8, 1.05))
            half = 0.03 * traits.of("wide")
            end = (x + math.cos(turn) * long, y + math.sin(turn) * long + 0.06)
            nx, ny = -math.sin(turn) * half, math.cos(turn) * half
            pen.fill(
                points(
                    (x, y),
                    ((x + end[0]) / 2 + nx, (y + end[1]) / 2 + ny),
                    end,
                    ((x + end[0]) / 2 - nx, (y + end[1]) / 2 - ny),
                ),
                shade(traits.main, 0.75 + 0.2 * (step % 3)),
            )
        pen.ellipse(x, y, 0.07, 0.07, traits.second)


def spike(pen: Pen, traits: Traits) -> None:
    """Opposite leaves and long flower spikes; shape: leaf (width), spike (length), stout."""
    pen.line(points((0.0, 1.0), (0.0, -0.2)), 0.05, STALK)
    for step in range(6):
        y = 0.85 - step * 0.2
        for side in (0, 180):
            _leaf(
                pen,
                0.0,
                y,
                0.62 - step * 0.05,
                0.15 * traits.of("leaf"),
                side + (-28 if side == 0 else 28),
                shade(traits.second, 0.85 + 0.1 * (step % 3)),
            )
    for x, lean in ((-0.06, -0.5), (0.06, 0.5), (0.0, 0.02)):
        long = 0.75 * traits.of("spike")
        for step in range(24):
            part = step / 23
            px, py = x + lean * part * long, -0.15 - part * long - 0.06 * part
            wide = 0.11 * traits.of("stout") * (1.05 - 0.95 * part)
            tone = traits.main if step % 3 else traits.accent
            for side in (-1, 1):
                pen.ellipse(
                    px + side * wide + float(pen.rng.uniform(-0.02, 0.02)),
                    py,
                    0.042,
                    0.038,
                    shade(tone, 0.9 + 0.2 * (step % 2)),
                )
            pen.ellipse(px, py, 0.045, 0.045, tone)


def petals(pen: Pen, traits: Traits) -> None:
    """An open flower seen from the front; shape: petals (count), petal (width), disc, leaves."""
    pen.curve([(0.0, 0.0), (0.06, 0.6), (0.0, 1.1)], 0.05, STALK)
    for angle in (30, 75, 120, 150):
        _leaf(pen, 0.03, 0.6, 0.6, 0.26 * traits.of("leaves"), angle, shade(LEAF, 0.8 + angle / 400))
    count = round(traits.of("petals", 6))
    wide = min(0.32, 1.5 / count) * traits.of("petal")
    for layer, reach in ((0, 0.74), (1, 0.62)) if traits.of("double", 0) else ((0, 0.72),):
        for step in range(count):
            turn = math.degrees(2 * math.pi * (step + layer / 2) / count) + float(pen.rng.uniform(-4, 4))
            _leaf(pen, 0.0, -0.1, reach, wide, turn, shade(traits.main, 0.93 + 0.07 * (step % 2)))
    disc = ellipse(0.0, -0.1, 0.16 * traits.of("disc"), 0.15 * traits.of("disc"))
    pen.fill(disc, traits.second)
    pen.pattern(disc, "spots", traits.accent, scale=0.6)


def bell(pen: Pen, traits: Traits) -> None:
    """Hanging bells with spread sepals, as fuchsias have; shape: flower."""
    pen.curve([(-1.0, -0.6), (0.0, -0.5), (1.0, -0.7)], 0.07, (150, 104, 72))
    for x, angle in ((-0.8, 60), (-0.35, 120), (0.3, 50), (0.75, 110)):
        _leaf(pen, x, -0.56, 0.62, 0.26, angle, LEAF)
    for x, y in ((-0.36, -0.3), (0.1, -0.2), (0.5, -0.34)):
        size = 0.9 * traits.of("flower")
        pen.line(points((x, -0.55), (x, y)), 0.02, traits.main)
        pen.blob(
            [(x - 0.06, y), (x + 0.06, y), (x + 0.12 * size, y + 0.34 * size), (x - 0.12 * size, y + 0.34 * size)],
            traits.main,
        )
        for side in (-1, -0.35, 0.35, 1):
            pen.fill(
                points(
                    (x + side * 0.05, y + 0.28 * size),
                    (x + side * 0.3 * size, y + 0.56 * size),
                    (x + side * 0.14 * size, y + 0.3 * size),
                ),
                traits.second,
            )
        for side in (-0.07, 0.0, 0.07):
            pen.line(points((x, y + 0.32 * size), (x + side, y + 0.7 * size)), 0.018, traits.accent)


def fern(pen: Pen, traits: Traits) -> None:
    """Arching fronds; shape: fronds, leaflets, wide (leaflet width), droop."""
    droop = traits.of("droop", 0.3)
    count = round(5 * traits.of("fronds"))
    for frond in range(count):
        part = frond / max(count - 1, 1) * 2 - 1
        path = smooth(
            [
                (0.0, 0.9),
                (part * 0.35, 0.1),
                (part * 0.75, -0.45 + abs(part) * droop),
                (part * 1.05, -0.55 + abs(part) * 1.2 * droop),
            ],
            closed=False,
            steps=round(8 * traits.of("leaflets")),
        )
        green = shade(traits.main, 0.75 + 0.12 * (frond % 4))
        pen.line(path, 0.03, shade(traits.second, 0.8))
        for index in range(2, len(path) - 1):
            dx, dy = path[index] - path[index - 1]
            turn, taper = math.degrees(math.atan2(dy, dx)), 1 - 0.75 * index / len(path)
            for side in (-68, 68):
                _leaf(
                    pen,
                    float(path[index][0]),
                    float(path[index][1]),
                    0.34 * taper * traits.of("long") + 0.05,
                    0.07 * traits.of("wide"),
                    turn + side,
                    green,
                )
    if traits.pattern == "spots":
        for x, y in pen.rng.uniform(-0.5, 0.5, (14, 2)):
            pen.ellipse(float(x), float(y), 0.03, 0.03, traits.accent)


def berry(pen: Pen, traits: Traits) -> None:
    """Broad toothed leaves and clustered fruit, as mulberries have."""
    pen.curve([(-1.0, -0.3), (0.0, -0.2), (1.0, -0.45)], 0.06, (112, 96, 76))
    for x, y, tilt in ((-0.6, -0.25, 80), (0.0, -0.2, 60), (0.5, -0.3, 100), (0.2, -0.25, -70), (-0.4, -0.25, -110)):
        turn = math.radians(tilt)
        base = [
            (0.0, 0.0),
            (0.1, -0.3),
            (0.35, -0.33),
            (0.6, -0.16),
            (0.82, 0.0),
            (0.6, 0.16),
            (0.35, 0.33),
            (0.1, 0.3),
        ]
        pen.blob(
            [
                (x + a * math.cos(turn) - b * math.sin(turn), y + a * math.sin(turn) + b * math.cos(turn))
                for a, b in base
            ],
            shade(traits.second, 0.85 + 0.1 * (abs(tilt) % 3)),
        )
        pen.line(
            points((x, y), (x + 0.75 * math.cos(turn), y + 0.75 * math.sin(turn))), 0.02, shade(traits.second, 1.3)
        )
    for x, y in ((-0.3, 0.1), (0.3, 0.0), (0.02, 0.3)):
        for dx, dy in ((0, 0), (0.08, 0.02), (-0.07, 0.04), (0.03, 0.11), (-0.03, 0.13), (0.0, 0.2), (0.06, 0.17)):
            pen.ellipse(x + dx, y + dy, 0.06, 0.06, traits.main if dx >= 0 else traits.accent)


PLANS: Final[Mapping[str, Callable[[Pen, Traits], None]]] = {
    "kowhai": kowhai,
    "brush": brush,
    "sword": sword,
    "tuft": tuft,
    "spike": spike,
    "petals": petals,
    "bell": bell,
    "fern": fern,
    "berry": berry,
}
"""Body plans by name."""
