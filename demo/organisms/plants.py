"""How plants and fungi are drawn, by growth form. No animals, no photographs here."""

import math

from demo.organisms.pen import Look, Pen, at, leaf_points, shade


def kowhai(pen: Pen, look: Look) -> None:
    """A twig with small leaflets and hanging yellow bells; trait: length of the bells."""
    pen.line([(6, 22), (50, 26), (95, 18)], (94, 74, 52), width=2.2)
    for stem in range(4):
        base = (14 + stem * 22, 24)
        tip = at(base, (40, 0), angle=250 + stem * 14 + pen.random.uniform(-8, 8))
        for step in range(1, 8):
            joint = (base[0] + (tip[0] - base[0]) * step / 8, base[1] + (tip[1] - base[1]) * step / 8)
            for side in (-70, 70):
                angle = 265 + stem * 10 + side
                pen.polygon(leaf_points(joint, length=7, width=4.2, angle=angle), shade(look.second, 0.9))
    for x in (18, 32, 46, 60, 76):
        hang = x + pen.random.uniform(-4, 4)
        long = 24 + 20 * look.trait + pen.random.uniform(-3, 3)
        pen.line([(hang, 24), (hang, 36)], look.second, width=1.2)
        pen.oval((hang, 38), (5, 5), look.third)
        pen.polygon([(hang - 5, 39), (hang + 5, 39), (hang + 8, 36 + long), (hang - 6, 38 + long)], look.main)
        pen.polygon([(hang, 40), (hang + 4, 40), (hang + 7, 34 + long), (hang + 1, 37 + long)], shade(look.main, 0.82))
        pen.line([(hang + 1, 36 + long), (hang + 2, 43 + long)], shade(look.main, 0.6), width=1.0)


def brush(pen: Pen, look: Look) -> None:
    """Heads of many stamens over leathery leaves; trait: how dense the head is."""
    for step in range(14):
        angle = step * 26 + pen.random.uniform(-8, 8)
        green = shade(look.second, pen.random.uniform(0.8, 1.1))
        pen.polygon(leaf_points((50, 54), length=44, width=17 - 5 * look.trait, angle=angle), green)
        pen.line([(50, 54), at((50, 54), (40, 0), angle=angle)], shade(look.second, 1.3), width=0.7)
    for centre in ((38, 44), (62, 46), (50, 60)):
        for step in range(26 + int(22 * look.trait)):
            angle = pen.random.uniform(0, 360)
            tip = at(centre, (pen.random.uniform(15, 21), 0), angle=angle)
            pen.line([centre, tip], shade(look.main, 0.8 + 0.3 * (step % 3) / 2), width=0.9)
            pen.ball(tip, 0.9, look.third)
        pen.ball(centre, 4, shade(look.main, 0.6))


def flax(pen: Pen, look: Look) -> None:
    """A fan of sword leaves with a flower stalk; trait: how stiff the leaves are."""
    for step in range(13):
        angle = 210 + step * 10 + pen.random.uniform(-4, 4)
        droop = (1 - look.trait) * 18 * (1 if angle > 270 else -1)
        middle = at((50, 94), (40, 0), angle=angle)
        tip = at(middle, (38, 0), angle=angle + droop)
        side = at((0, 0), (2.6, 0), angle=angle + 90)
        tint = shade(look.second, pen.random.uniform(0.8, 1.15))
        pen.polygon(
            [
                (47, 95),
                (middle[0] - side[0], middle[1] - side[1]),
                tip,
                (middle[0] + side[0], middle[1] + side[1]),
                (53, 95),
            ],
            tint,
        )
        pen.line([(50, 94), middle, tip], look.third, width=0.8)
    pen.line([(50, 92), (54, 46), (56, 6)], shade(look.main, 0.55), width=2.2)
    for step in range(9):
        base = (54 + step * 0.2, 48 - step * 4.8)
        angle = -35 if step % 2 else 215
        pen.polygon(leaf_points(base, length=15, width=6, angle=angle), look.main)


def spike(pen: Pen, look: Look) -> None:
    """A hebe: paired leaves and spikes of small flowers; trait: length of the leaves."""
    pen.line([(50, 98), (50, 30)], (108, 96, 60), width=2.4)
    for step in range(7):
        y = 92 - step * 9
        long = 20 + 22 * look.trait
        for angle in (-22 - step * 3, 202 + step * 3):
            green = shade(look.second, 0.85 + 0.05 * step)
            pen.polygon(leaf_points((50, y), length=long, width=8.5 - 3 * look.trait, angle=angle), green)
    for angle in (-128, -90, -52):
        tilt = angle + pen.random.uniform(-8, 8)
        for step in range(30):
            along = 10 + step * 1.25
            spot = at((50, 48), (along, pen.random.uniform(-1, 1) * (5.6 - step * 0.13)), angle=tilt)
            pen.ball(spot, 2.0, shade(look.main, pen.random.uniform(0.85, 1.15)))
            pen.ball(spot, 0.7, look.third)


def daisy(pen: Pen, look: Look) -> None:
    """A flower with rays; trait: number of rays."""
    pen.line([(50, 50), (47, 98)], shade(look.second, 0.8), width=2.6)
    for angle in (20.0, 160.0, 60.0, 120.0):
        pen.polygon(leaf_points((48, 82), length=36, width=11, angle=angle), look.second)
    rays = 10 + int(14 * look.trait)
    for step in range(rays):
        angle = 360 * step / rays + pen.random.uniform(-4, 4)
        tint = shade(look.main, 0.88 if step % 2 else 1.0)
        pen.polygon(leaf_points((50, 42), length=33, width=150 / rays, angle=angle), tint)
    pen.ball((50, 42), 9, look.third)
    for _ in range(24):
        pen.ball(
            at((50, 42), (pen.random.uniform(0, 8), 0), angle=pen.random.uniform(0, 360)), 0.8, shade(look.third, 0.7)
        )


def fern(pen: Pen, look: Look) -> None:
    """Fronds of a fern; trait: breadth of the frond."""
    for frond in (-126, -90, -54):
        lean = frond + pen.random.uniform(-8, 8)
        spine = [
            at((50, 97), (step * 5.4, 0), angle=lean + step * 1.1 * (1 if lean > -90 else -1)) for step in range(17)
        ]
        for step, joint in enumerate(spine[2:], start=2):
            long = (13 + 12 * look.trait) * math.sin(math.pi * min(1.0, step / 16 + 0.08)) + 1
            for side in (-1, 1):
                green = look.main if side > 0 else shade(look.main, 0.82)
                pen.polygon(leaf_points(joint, length=long, width=5.4, angle=lean + side * 68), green)
                if look.pattern == "spots":
                    pen.ball(at(joint, (long * 0.5, 0), angle=lean + side * 68), 0.9, look.third)
        pen.line(spine, look.second, width=1.4)


def crown(pen: Pen, look: Look) -> None:
    """A cabbage tree or palm: a trunk with tufts of narrow leaves; trait: number of tufts."""
    pen.line([(50, 98), (49, 58)], look.second, width=6.5)
    tufts = ((50, 32), (28, 44), (72, 42)) if look.trait > 0.5 else ((50, 36),)
    for centre in tufts:
        pen.line([(49, 62), centre], look.second, width=4.6)
    for centre in tufts:
        for step in range(26):
            angle = step * 13.8 + pen.random.uniform(-6, 6)
            long = 24 if look.trait > 0.5 else 38
            tint = shade(look.main, pen.random.uniform(0.72, 1.12))
            pen.polygon(leaf_points(centre, length=long, width=3.6, angle=angle), tint)
        pen.ball(centre, 3, look.third)


def berries(pen: Pen, look: Look) -> None:
    """A twig with broad leaves and fruit; trait: size of the fruit."""
    pen.line([(8, 84), (50, 52), (92, 16)], (104, 84, 62), width=2.6)
    for step in range(8):
        base = (16 + step * 10, 78 - step * 8.2)
        angle = -100 + 8 * step if step % 2 else 70 - 6 * step
        green = shade(look.second, pen.random.uniform(0.85, 1.1))
        pen.polygon(leaf_points(base, length=32, width=20, angle=angle + pen.random.uniform(-8, 8)), green)
        pen.line([base, at(base, (28, 0), angle=angle)], shade(look.second, 0.7), width=0.8)
    for centre in ((38, 62), (54, 50), (66, 42), (48, 40), (60, 60)):
        size = 3.6 + 3.2 * look.trait
        for offset in range(7):
            pen.ball(at(centre, (size * 0.6, 0), angle=offset * 52), size * 0.62, shade(look.main, 0.8 + 0.07 * offset))
        pen.ball((centre[0] - 1, centre[1] - 1.5), size * 0.25, look.third)


def mushroom(pen: Pen, look: Look) -> None:
    """Cap, gills and stem; trait: how high the cap is."""
    lean = pen.random.uniform(-6, 6)
    top = (50 + lean, 44)
    pen.polygon([(44, 94), (57, 94), (top[0] + 4, 46), (top[0] - 4, 46)], look.second)
    pen.polygon([(52, 94), (57, 94), (top[0] + 4, 46), (top[0] + 1, 46)], shade(look.second, 0.78))
    high = 16 + 22 * look.trait
    half = 30 - 7 * look.trait
    cap = [
        (top[0] - half * math.cos(math.pi * step / 16), 48 - high * math.sin(math.pi * step / 16)) for step in range(17)
    ]
    pen.oval((top[0], 48), (half, 5.5), shade(look.second, 0.62))
    for step in range(-6, 7):
        pen.line([(top[0], 46), (top[0] + step * half / 6.6, 50.5)], shade(look.second, 0.85), width=0.6)
    pen.polygon(cap, look.main)
    pen.oval((top[0] - half * 0.25, 48 - high * 0.62), (half * 0.4, high * 0.2), shade(look.main, 1.2), angle=-14)
    if look.pattern == "spots":
        for u, v in ((-0.6, 0.22), (-0.3, 0.55), (0.0, 0.25), (0.1, 0.75), (0.4, 0.5), (0.66, 0.2), (-0.1, 0.45)):
            pen.oval((top[0] + u * half, 47 - v * high), (2.6, 2.0), look.third)
    elif look.pattern != "plain":
        for u in (-0.6, -0.2, 0.2, 0.6):
            pen.line([(top[0] + u * half, 47), (top[0] + u * half * 0.3, 48 - high * 0.9)], look.third, width=1.0)
    pen.oval((50 + lean * 0.6, 60), (6.5, 2.2), shade(look.second, 0.95))


def star(pen: Pen, look: Look) -> None:
    """A stinkhorn with arms; trait: number of arms."""
    pen.polygon([(42, 96), (58, 96), (56, 50), (44, 50)], look.second)
    arms = 6 + int(6 * look.trait)
    for step in range(arms):
        angle = 360 * step / arms + pen.random.uniform(-9, 9)
        bend = pen.random.uniform(-20, 20)
        middle = at((50, 44), (22, 0), angle=angle)
        pen.line([(50, 44), middle, at(middle, (17, 0), angle=angle + bend)], look.main, width=4.6 - 0.2 * arms)
    pen.oval((50, 44), (14, 10), shade(look.main, 0.85))
    pen.oval((50, 43), (9, 6), look.third)


def bracket(pen: Pen, look: Look) -> None:
    """Shelves on a trunk; trait: number of rings."""
    pen.polygon([(4, 0), (38, 0), (34, 100), (8, 100)], (92, 76, 60))
    for step in range(9):
        pen.line([(8 + step * 3.2, 0), (10 + step * 3, 100)], (66, 54, 44), width=0.9)
    for y, size in ((26, 0.8), (52, 1.0), (78, 0.7)):
        centre = (36, y + pen.random.uniform(-4, 4))
        rings = 3 + int(4 * look.trait)
        pen.oval((centre[0] + 14 * size, centre[1] + 4), (34 * size, 12 * size), shade(look.third, 0.7))
        for ring in range(rings):
            left = 1 - ring / rings
            tint = look.main if ring % 2 else look.second
            pen.oval((centre[0] + 14 * size * left, centre[1]), (34 * size * left, 12 * size * left), tint)


PLANTS = {
    "kowhai": kowhai,
    "brush": brush,
    "flax": flax,
    "spike": spike,
    "daisy": daisy,
    "fern": fern,
    "crown": crown,
    "berries": berries,
    "mushroom": mushroom,
    "star": star,
    "bracket": bracket,
}
