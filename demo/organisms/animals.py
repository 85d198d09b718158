"""How animals are drawn, by body plan. They face right. No plants, no photographs here."""

import itertools
import math

from demo.organisms.pen import Look, Pen, at, shade


def bird(pen: Pen, look: Look) -> None:
    """A perching bird; trait: length of bill and tail."""
    trait, lean = look.trait, pen.random.uniform(-6, 6)
    legs = shade(look.second, 0.55)
    for x in (45.0, 53.0):
        pen.line([(x, 66), (x + 1, 82), (x + 6, 83)], legs, width=1.6)
    tail = 20 + 22 * trait
    for spread in (-5.0, 0.0, 5.0):
        pen.polygon([(32, 54), (30, 62), at((30, 59), (-tail, 8 + spread), angle=lean)], shade(look.main, 0.62))
    pen.body((46, 55), (22, 15), look, angle=lean - 14)
    pen.oval((42, 54), (16, 8), shade(look.second, 0.85), angle=lean + 8)
    pen.line([(30, 59), (42, 60), (54, 55)], shade(look.second, 0.6), width=1.0)
    head = (66 + lean * 0.2, 36.0 - lean * 0.3)
    pen.oval((61, 44), (9, 12), look.main, angle=30)
    pen.ball(head, 10, look.main)
    pen.oval((head[0] - 1, head[1] - 4), (8, 5), shade(look.main, 1.18))
    bill = 8 + 14 * trait
    pen.polygon([(head[0] + 7, head[1] - 3), (head[0] + 8 + bill, head[1] + 2), (head[0] + 7, head[1] + 4)], look.third)
    pen.eye((head[0] + 3, head[1] - 2), 2.0)


def fantail(pen: Pen, look: Look) -> None:
    """A small bird with its tail spread."""
    for step in range(9):
        angle = 150 + step * 9 + pen.random.uniform(-2, 2)
        edge = look.third if step in (0, 1, 7, 8) else shade(look.main, 0.7)
        tip = at((40, 54), (40 + 4 * look.trait, 0), angle=angle)
        pen.line([(40, 54), tip], edge, width=4.4)
    for x in (50.0, 55.0):
        pen.line([(x, 62), (x + 2, 76)], (40, 34, 30), width=1.3)
    pen.body((52, 53), (16, 12), look, angle=-18)
    pen.oval((54, 58), (11, 7), look.second, angle=-18)
    pen.ball((67, 41), 8.5, look.main)
    pen.oval((70, 46), (5, 2), look.third, angle=10)
    pen.line([(64, 36), (72, 37)], look.third, width=1.5)
    pen.polygon([(74, 39), (82, 42), (74, 44)], (30, 26, 24))
    pen.eye((70, 40), 2.0)


def parrot(pen: Pen, look: Look) -> None:
    """A stout bird with a hooked bill; trait: how long the hook is."""
    pen.polygon([(30, 60), (22, 84), (32, 86), (40, 66)], shade(look.second, 0.6))
    for x in (47.0, 54.0):
        pen.line([(x, 74), (x + 2, 84), (x + 8, 85)], (70, 66, 62), width=2.6)
    pen.body((45, 57), (20, 21), look, angle=-30)
    pen.oval((38, 60), (11, 21), look.second, angle=18)
    for row in range(4):
        pen.line([(30 + row, 52 + row * 6), (44, 50 + row * 7)], shade(look.second, 0.7), width=1.0)
    pen.ball((60, 32), 13, look.main)
    pen.oval((57, 26), (10, 6), shade(look.third, 1.0))
    hook = 9 + 9 * look.trait
    pen.polygon([(70, 25), (78, 27), (82, 33), (79, 33 + hook), (74, 38), (69, 38)], shade(look.second, 0.45))
    pen.eye((64, 30), 2.3)


def kiwi(pen: Pen, look: Look) -> None:
    """A round bird without a tail, with a long bill; trait: roundness."""
    for x in (42.0, 52.0):
        pen.line([(x, 70), (x + 4, 78), (x, 87), (x + 7, 88)], look.third, width=2.8)
    pen.body((44, 55), (23 + 4 * look.trait, 19 + 3 * look.trait), look, angle=-8)
    for _ in range(46):
        start = (pen.random.uniform(26, 62), pen.random.uniform(40, 68))
        pen.line([start, at(start, (6, 0), angle=115)], shade(look.second, pen.random.uniform(0.8, 1.1)), width=0.8)
    pen.oval((66, 42), (9, 7), look.main, angle=-40)
    pen.ball((72, 38), 7, look.main)
    pen.line([(76, 39), (86, 49), (94, 61)], (214, 196, 164), width=2.0)
    pen.eye((74, 36), 1.4)


def seabird(pen: Pen, look: Look) -> None:
    """A bird in flight with long wings; trait: dark part of the wings."""
    lift = pen.random.uniform(-7, 7)
    for side in (-1, 1):
        wing = [(44, 50), (56, 50), (40, 50 + side * (34 + lift)), (26, 50 + side * (43 + lift))]
        pen.polygon(wing, shade(look.main, 0.9 if side > 0 else 1.0))
        cut = 0.75 - 0.5 * look.trait
        inner = (44 + (26 - 44) * cut, 50 + side * (43 + lift) * cut)
        outer = (56 + (40 - 56) * cut, 50 + side * (34 + lift) * cut)
        pen.polygon([inner, outer, wing[2], wing[3]], look.third)
    pen.polygon([(28, 46), (8, 44), (8, 56), (28, 54)], shade(look.main, 0.85))
    pen.body((48, 50), (25, 7.5), look)
    pen.oval((74, 49), (9, 5.5), look.second)
    pen.polygon([(81, 46), (96, 50), (81, 52)], (150, 164, 176))
    pen.eye((77, 47), 1.2)


def weta(pen: Pen, look: Look) -> None:
    """A large cricket; trait: size of the head, length of the feelers."""
    legs = shade(look.second, 0.9)
    for x, reach in ((48.0, 10.0), (58.0, 16.0)):
        pen.line([(x, 56), (x + reach, 70), (x + reach + 2, 84)], legs, width=2.0)
    pen.line([(38, 56), (20, 26), (8, 82)], legs, width=4.2)
    for step in range(4):
        pen.line([(14 - step, 50 + 8 * step), (10 - step, 52 + 8 * step)], legs, width=1.0)
    pen.body((40, 55), (25, 12), look)
    for step in range(7):
        x = 19 + step * 6.0
        half = 10.5 * math.sqrt(max(0.0, 1 - ((x - 40) / 25) ** 2))
        pen.line([(x, 55 - half), (x + 1, 55 + half)], look.third, width=1.5)
    pen.oval((64, 53), (10, 11), look.second)
    size = 9 + 5 * look.trait
    pen.oval((76, 55), (size, size * 0.95), shade(look.main, 0.85))
    pen.polygon([(80, 60), (82 + size, 66), (76, 66)], (40, 24, 16))
    pen.eye((79, 50), 1.7)
    for bend in (0.0, 9.0):
        pen.line([(82, 48), (92, 26 + bend), (74 - bend, 6 + bend)], legs, width=0.8)


def beetle(pen: Pen, look: Look) -> None:
    """A beetle from above; trait: how long the body is."""
    stretch = 20 + 12 * look.trait
    dark = shade(look.third, 0.6)
    for x, reach in ((38.0, -12.0), (50.0, 0.0), (62.0, 10.0)):
        for side in (-1, 1):
            pen.line([(x, 50), (x + reach, 50 + side * 24), (x + reach * 1.6, 50 + side * 33)], dark, width=1.7)
    pen.body((42, 50), (stretch, 18), look)
    pen.line([(42 - stretch, 50), (42 + stretch, 50)], shade(look.main, 0.45), width=1.2)
    pen.oval((42 + stretch, 50), (9, 13), look.second)
    pen.oval((51 + stretch, 50), (7, 8), shade(look.second, 0.7))
    for side in (-1, 1):
        pen.line([(56 + stretch, 50 + side * 4), (68 + stretch * 0.9, 50 + side * 18)], dark, width=1.0)


def bee(pen: Pen, look: Look) -> None:
    """A bee from the side; trait: length of the abdomen."""
    for x in (50.0, 56.0, 62.0):
        pen.line([(x, 58), (x + 3, 70), (x + 1, 78)], (34, 28, 24), width=1.6)
    length = 20 + 8 * look.trait
    pen.body((40, 56), (length, 15), look, angle=-6)
    pen.oval((40 - length * 0.85, 57), (5, 8), look.second)
    pen.ball((62, 48), 14, look.second)
    for _ in range(40):
        start = at((62, 48), (pen.random.uniform(4, 14), 0), angle=pen.random.uniform(0, 360))
        pen.line([start, (start[0] + 1.5, start[1] - 2.5)], shade(look.main, pen.random.uniform(0.8, 1.2)), width=0.8)
    pen.ball((78, 51), 8, shade(look.third, 0.8))
    pen.eye((81, 49), 2.6)
    pen.line([(82, 45), (92, 38)], (30, 26, 24), width=1.0)
    for angle in (215, 240):
        pen.oval(at((56, 38), (16, 0), angle=angle), (17, 6), (206, 212, 214), angle=angle)
        pen.line([(56, 38), at((56, 38), (30, 0), angle=angle)], (128, 126, 120), width=0.7)


def butterfly(pen: Pen, look: Look) -> None:
    """A butterfly from above, wings open; trait: width of the dark edge."""
    openness = pen.random.uniform(0.78, 1.05)
    for side in (-1, 1):
        fore = [(0, 0), (10, 34), (24, 42), (30, 34), (16, 8)]
        hind = [(0, 0), (-6, 26), (-20, 32), (-28, 20), (-16, 2)]
        for wing, tint in ((hind, 0.92), (fore, 1.0)):
            outline = [(54 + u, 50 + side * v * openness) for u, v in wing]
            edge = 0.93 - 0.24 * look.trait
            pen.polygon(outline, look.third)
            inner = [(54 + u * edge, 50 + side * (v * edge) * openness) for u, v in wing]
            pen.polygon(inner, shade(look.main, tint))
        for u, v in ((25, 34), (20, 38), (-20, 27), (-23, 20)):
            pen.ball((54 + u, 50 + side * v * openness), 1.7, look.second)
        if look.pattern == "stripes":
            for u, v in ((22, 36), (12, 32), (-18, 26), (-24, 18)):
                pen.line([(54, 50), (54 + u, 50 + side * v * openness)], look.third, width=1.1)
        if look.pattern == "spots":
            for u, v in ((11, 22), (-12, 16)):
                pen.ball((54 + u, 50 + side * v * openness), 3.8, look.third)
                pen.ball((54 + u, 50 + side * v * openness), 1.8, look.second)
        pen.line([(74, 50), (88, 50 + side * 9)], (30, 24, 22), width=0.8)
    pen.oval((54, 50), (21, 2.8), (44, 34, 30))


def dragonfly(pen: Pen, look: Look) -> None:
    """A damselfly or dragonfly; trait: thickness of the body."""
    for angle in (-112, -78, 78, 112):
        centre = at((64, 50), (22, 0), angle=angle)
        pen.oval(centre, (22, 5), (198, 208, 210), angle=angle)
        pen.line([(64, 50), at((64, 50), (43, 0), angle=angle)], (112, 110, 104), width=0.7)
    half = 2.0 + 2.4 * look.trait
    for step in range(9):
        pen.oval((12 + step * 5.6, 50), (3.4, half), look.main if step % 2 else look.third)
    pen.body((66, 50), (10, half + 3.5), look, colour=look.second)
    for side in (-1, 1):
        pen.ball((79, 50 + side * 3.6), 4.6, shade(look.main, 0.7))


def fish(pen: Pen, look: Look) -> None:
    """A fish; trait: how high the body is."""
    high = 10 + 9 * look.trait
    fin = shade(look.second, 0.9)
    sway = pen.random.uniform(-5, 5)
    pen.polygon([(24, 50), (6, 34 + sway), (12, 50 + sway / 2), (6, 66 + sway)], fin)
    pen.polygon([(34, 52 - high), (44, 40 - high), (66, 44 - high), (68, 54 - high)], fin)
    pen.polygon([(44, 48 + high), (46, 58 + high), (60, 48 + high)], fin)
    pen.body((52, 50), (32, high), look)
    pen.oval((52, 50 + high * 0.55), (24, high * 0.34), look.second)
    pen.line([(70, 50 - high * 0.6), (67, 50), (70, 50 + high * 0.6)], shade(look.main, 0.6), width=1.2)
    pen.polygon([(62, 54), (50, 60), (53, 52)], fin)
    pen.eye((76, 47), 2.6)
    pen.line([(83, 53), (78, 54)], shade(look.main, 0.4), width=1.2)


def lizard(pen: Pen, look: Look) -> None:
    """A skink or gecko from above; trait: thickness."""
    thick = 6 + 4 * look.trait
    bend = pen.random.uniform(8, 22)
    tail = [(36 - step * 3.4, 50 + bend * math.sin(step / 10 * math.pi)) for step in range(11)]
    for step, (start, end) in enumerate(itertools.pairwise(tail)):
        pen.line([start, end], look.main if step % 2 else shade(look.main, 0.92), width=thick * 1.5 * (1 - step / 11))
    for x, reach in ((40.0, -9.0), (64.0, 9.0)):
        for side in (-1, 1):
            foot = (x + reach, 50 + side * (thick + 13))
            pen.line([(x, 50), (x + reach * 0.2, 50 + side * (thick + 7)), foot], shade(look.main, 0.75), width=3.0)
            for toe in (-3, 0, 3):
                pen.line([foot, (foot[0] + toe, foot[1] + side * 4)], shade(look.main, 0.7), width=0.9)
    pen.body((52, 50), (20, thick), look)
    pen.oval((78, 50), (11, thick * 0.9), look.main)
    pen.oval((84, 50), (5, thick * 0.55), look.second)
    for side in (-1, 1):
        pen.eye((79, 50 + side * thick * 0.7), 1.6)


def frog(pen: Pen, look: Look) -> None:
    """A sitting frog; trait: breadth."""
    wide = 22 + 5 * look.trait
    pen.oval((34, 68), (19, 9), shade(look.main, 0.8), angle=-24)
    pen.line([(28, 74), (52, 78), (60, 82)], shade(look.main, 0.75), width=4.0)
    pen.line([(62, 62), (66, 74), (74, 80)], shade(look.main, 0.8), width=4.0)
    pen.body((47, 56), (wide, 15), look, angle=-24)
    pen.oval((60, 60), (9, 8), look.second, angle=-24)
    pen.oval((68, 44), (14, 10), look.main, angle=-8)
    pen.line([(68, 49), (82, 46)], shade(look.main, 0.45), width=1.1)
    pen.ball((66, 35), 4.6, look.main)
    pen.eye((67, 35), 3.0)


ANIMALS = {
    "bird": bird,
    "fantail": fantail,
    "parrot": parrot,
    "kiwi": kiwi,
    "seabird": seabird,
    "weta": weta,
    "beetle": beetle,
    "bee": bee,
    "butterfly": butterfly,
    "dragonfly": dragonfly,
    "fish": fish,
    "lizard": lizard,
    "frog": frog,
}
