"""Which photographs get one answer, and in which order."""

from pathlib import Path

import pytest

from ml.identify.organisms import By, grouped
from ml.identify.photographs import Address, Photograph

PHOTOGRAPHS = [
    Photograph(name="a/1.jpg", source=Path("a/1.jpg"), organism="kea"),
    Photograph(name="b/1.jpg", source=Path("b/1.jpg"), organism="tui"),
    Photograph(name="-", source=b"bytes"),
    Photograph(name="a/2.jpg", source=Path("a/2.jpg"), organism="tui"),
    Photograph(name="https://example.org/1.jpg", source=Address("https://example.org/1.jpg"), organism="kea"),
]


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("photograph", {None: 5}),
        ("all", {"all photographs": ["a/1.jpg", "b/1.jpg", "-", "a/2.jpg", "https://example.org/1.jpg"]}),
        ("folder", {"a": ["a/1.jpg", "a/2.jpg"], "b": ["b/1.jpg"], "https:/example.org": [PHOTOGRAPHS[4].name]}),
        ("organism", {"kea": ["a/1.jpg", PHOTOGRAPHS[4].name], "tui": ["b/1.jpg", "a/2.jpg"]}),
    ],
)
def test_photographs_are_grouped_in_the_order_of_the_first(by: By, groups: dict[str | None, object]) -> None:
    found = list(grouped(PHOTOGRAPHS, by=by))
    if by == "photograph":
        assert [organism.photographs for organism in found] == [(photograph,) for photograph in PHOTOGRAPHS]
        assert {organism.name for organism in found} == {None}
        return
    named = {each.name: [photo.name for photo in each.photographs] for each in found if each.name is not None}
    assert named == groups
    assert list(named) == list(groups) or by == "folder"
    alone = [each.photographs for each in found if each.name is None]
    assert alone == ([] if by == "all" else [(PHOTOGRAPHS[2],)])
