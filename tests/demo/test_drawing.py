"""Drawn photographs: real JPEGs of a camera's size, the same for the same seed, different for another."""

import io

import pytest
from PIL import Image

from demo.drawing import PLANS, photograph
from demo.drawing_pen import Look
from demo.organisms import read_kinds


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
