"""Drawn photographs: real JPEGs of a camera's size, the same for the same seed, different for another."""

import io
import itertools
import math
import random
import statistics

import pytest
from PIL import Image

from demo.organisms.drawing import PLANS, individual, photograph
from demo.organisms.pen import Look
from demo.organisms.source import read_kinds


@pytest.mark.parametrize("plan", sorted(PLANS))
def test_every_body_plan_is_drawn(plan: str) -> None:
    look = Look(
        plan=plan,
        main=(200, 40, 40),
        second=(40, 120, 40),
        third=(240, 230, 90),
        pattern="spots",
        trait=0.5,
        habitat="sand",
    )
    with Image.open(io.BytesIO(photograph(look, seed=1))) as picture:
        picture.load()
        assert picture.format == "JPEG"
        assert picture.mode == "RGB"
        assert 400 <= max(picture.size) <= 640


def test_a_seed_decides_the_bytes() -> None:
    look = read_kinds()[0].look
    assert photograph(look, seed=7) == photograph(look, seed=7)
    assert photograph(look, seed=7) != photograph(look, seed=8)


def test_relatives_look_alike_but_are_not_the_same() -> None:
    looks = {kind.taxon.lineage["species"].name: kind.look for kind in read_kinds()}
    assert looks["Sophora microphylla"].plan == looks["Sophora tetraptera"].plan
    assert len(set(looks.values())) == len(looks)


def test_individuals_stray_from_their_species_but_keep_its_plan_and_pattern() -> None:
    look = read_kinds()[0].look
    seen = [individual(look, chance=random.Random(seed)) for seed in range(200)]
    assert {(one.plan, one.pattern, one.habitat) for one in seen} == {(look.plan, look.pattern, look.habitat)}
    assert len({one.main for one in seen}) > 150
    assert all(0 <= one.trait <= 1 for one in seen)
    assert statistics.median(one.trait for one in seen) == pytest.approx(look.trait, abs=0.05)


def test_relatives_differ_about_as_much_as_individuals_do() -> None:
    kinds = [kind for kind in read_kinds() if kind.photos >= 5]
    genera: dict[tuple[str, str], list[Look]] = {}
    for kind in kinds:
        genera.setdefault((kind.taxon.lineage["genus"].key, kind.look.plan), []).append(kind.look)
    apart = [distance(one, other) for looks in genera.values() for one, other in itertools.combinations(looks, 2)]
    strayed = [
        distance(kind.look, individual(kind.look, chance=random.Random(seed))) for kind in kinds for seed in (1, 2)
    ]
    assert len(apart) > 15
    assert statistics.median(apart) < 2 * statistics.median(strayed)
    orders = [distance(one.look, other.look) for one, other in itertools.combinations(kinds, 2)]
    assert statistics.median(orders) > 2 * statistics.median(apart)


def distance(one: Look, other: Look) -> float:
    """How far the colours of most of the body are apart."""
    return math.dist(one.main, other.main)
