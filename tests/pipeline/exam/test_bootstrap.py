"""Intervals of changes hold the change, come from observations, and are the same each time."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies

from pipeline.exam.bootstrap import Change, Changes, Marks, changes, macro


def marks(right: list[int], *, species: list[str], observations: list[str], depth: list[int]) -> Marks:
    return Marks(
        observations=np.array(observations, dtype=object), species=np.array(species, dtype=object),
        groups=np.array([name[0] for name in species], dtype=object), top1=np.array(right, dtype=float),
        right=np.array(right, dtype=float), depth=np.array(depth, dtype=float),
    )  # fmt: skip


def every(found: Changes) -> list[Change]:
    return [found.top1, found.macro_top1, found.depth, found.promise, *found.groups.values()]


@given(
    photographs=strategies.lists(
        strategies.tuples(
            strategies.sampled_from(["a1", "a2", "b1"]), strategies.integers(0, 9), strategies.integers(0, 1),
            strategies.integers(0, 1), strategies.integers(0, 7), strategies.integers(0, 7),
        ),
        min_size=1, max_size=30,
    )
)  # fmt: skip
@settings(max_examples=15)
def test_the_interval_holds_the_change_whatever_was_answered(
    photographs: list[tuple[str, int, int, int, int, int]],
) -> None:
    species, numbers, mine, theirs, deep, shallow = (list(column) for column in zip(*photographs, strict=True))
    observations = [f"o{number}" for number in numbers]
    one = marks(mine, species=species, observations=observations, depth=deep)
    other = marks(theirs, species=species, observations=observations, depth=shallow)
    found = changes(one, other, seed=0)
    assert all(each.low <= each.value <= each.high for each in every(found))
    assert found.top1.value == pytest.approx(np.mean(mine) - np.mean(theirs))
    assert found.depth.value == pytest.approx(np.mean(deep) - np.mean(shallow))
    assert found.macro_top1.value == pytest.approx(macro(one.top1, one.species) - macro(other.top1, other.species))
    for group, change in found.groups.items():
        inside = [row for row, name in enumerate(species) if name[0] == group]
        assert change.value == pytest.approx(np.mean(one.top1[inside]) - np.mean(other.top1[inside]))
    assert every(changes(one, one, seed=0))[0] == Change(value=0, low=0, high=0)
    assert all((each.value, each.low, each.high) == (0, 0, 0) for each in every(changes(one, one, seed=0)))


def test_photographs_of_one_observation_count_as_one_draw() -> None:
    generator = np.random.default_rng(3)
    mine, theirs = generator.integers(2, size=100).tolist(), generator.integers(2, size=100).tolist()
    facts = {"species": ["a1"] * 1000, "depth": [7] * 1000}
    alike = [f"o{number // 10}" for number in range(1000)]
    each = [f"o{number}" for number in range(1000)]
    widths = []
    for observations in (alike, each):
        one, other = (
            marks([mark for mark in side for _ in range(10)], observations=observations, **facts)  # type: ignore[arg-type]
            for side in (mine, theirs)
        )
        found = changes(one, other, seed=0).top1
        widths.append(found.high - found.low)
    assert widths[0] == pytest.approx(widths[1] * np.sqrt(10), rel=0.15)


def test_the_interval_of_a_share_is_as_wide_as_theory_says() -> None:
    mine = [1] * 700 + [0] * 300
    theirs = [1] * 600 + [0] * 100 + [0] * 300
    facts = {"species": ["a1"] * 1000, "observations": [f"o{number}" for number in range(1000)], "depth": [7] * 1000}
    found = changes(marks(mine, **facts), marks(theirs, **facts), seed=0).top1  # type: ignore[arg-type]
    spread = 1.96 * np.sqrt(0.1 * 0.9 / 1000)
    assert [found.low, found.high] == pytest.approx([0.1 - spread, 0.1 + spread], abs=0.004)


def test_without_photographs_nothing_is_measured() -> None:
    nothing = marks([], species=[], observations=[], depth=[])
    assert np.isnan([each.value for each in every(changes(nothing, nothing, seed=0))]).all()
