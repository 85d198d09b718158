"""One rendered photograph: an organism in its place, in a pose, under a light. The same seed, the same bytes."""

import numpy as np

from demo import fungi, invertebrates, plants, vertebrates
from demo.drawing import Pen, Traits, background, lit, photograph

PLANS = {**vertebrates.PLANS, **invertebrates.PLANS, **plants.PLANS, **fungi.PLANS}
UPRIGHT = frozenset({*plants.PLANS, "mushroom", "star", "cage", "bird", "frog"})
"""Plans that stand: they lean a little; the others lie in any direction."""


def render(traits: Traits, *, seed: int) -> bytes:
    """Draw a photograph.

    Args:
        traits: How the species looks.
        seed: What makes this photograph differ from others of the species.

    Returns:
        A JPEG with a long side of 400 to 640 pixels.
    """
    rng = np.random.default_rng(seed)
    longest = int(rng.integers(400, 641))
    other = int(longest * (0.75 if rng.uniform() < 0.8 else 0.67))
    width, height = (longest, other) if rng.uniform() < 0.7 else (other, longest)
    habitat = traits.habitat if rng.uniform() < 0.7 else str(rng.choice(("forest", "grass", "litter", "bark", "shore")))
    scene = background(habitat, width=width, height=height, rng=rng)
    lean = 10 if traits.plan in UPRIGHT else 55 if traits.plan != "fish" else 18
    side = int(other * rng.uniform(0.85, 1.45)) // 2 * 2
    pen = Pen(
        side * 2,
        angle=float(rng.uniform(-lean, lean)),
        flip=bool(rng.uniform() < 0.5),
        stretch=float(rng.uniform(0.82, 1.05)),
        rng=rng,
    )
    PLANS[traits.plan](pen, _individual(traits, rng))
    x = int((width - side) / 2 + rng.uniform(-0.14, 0.14) * width)
    y = int((height - side) / 2 + rng.uniform(-0.1, 0.1) * height)
    left, top, right, bottom = pen.image.getbbox() or (0, 0, 2, 2)
    corner = (left // 2 * 2, top // 2 * 2)
    layer = lit(pen.image.crop((*corner, right, bottom)).reduce(2), rng)
    scene.paste(layer, (x + corner[0] // 2, y + corner[1] // 2), layer)
    return photograph(scene, rng)


def _individual(traits: Traits, rng: np.random.Generator) -> Traits:
    """An individual differs from its species: colours and proportions vary a little."""
    shift = rng.normal(0, 9, (3, 3))

    def varied(colour: tuple[int, int, int], row: int) -> tuple[int, int, int]:
        red, green, blue = (
            int(np.clip(part + change, 0, 255)) for part, change in zip(colour, shift[row], strict=True)
        )
        return red, green, blue

    return Traits(
        plan=traits.plan,
        main=varied(traits.main, 0),
        second=varied(traits.second, 1),
        accent=varied(traits.accent, 2),
        pattern=traits.pattern,
        shape={name: value * float(rng.uniform(0.92, 1.08)) for name, value in traits.shape.items()},
        habitat=traits.habitat,
    )
