"""Place and season in words and tables: of networks that know places, and nothing of those that do not."""

import dataclasses

import pytest

from pipeline.comparison.place_tables import gain_sentence, group_sentence, left_out, local_sentence
from tests.pipeline.place_results import accuracy_row, accuracy_rows


def rows(**changes: float) -> list[dict[str, object]]:
    return [dataclasses.asdict(one) for one in accuracy_rows(**changes)]


def test_the_gain_is_told_with_its_interval() -> None:
    assert gain_sentence(rows()) == (
        "Of 1,200 photographs that chose nothing, the most probable species is right for 50.0 % by the photograph "
        "alone, for 55.0 % with its place (+5.0 points, 95 % interval +3.0 to +7.0), and for 57.0 % with its place and "
        "date (+7.0 points, 95 % interval +5.0 to +9.0)."
    )
    assert group_sentence(rows()) == (
        "Among classes it adds most to Aves (+9.0 points, +7.0 to +11.0) and least to Magnoliopsida (+1.0 points, -1.0 "
        "to +3.0)."
    )
    few = [row | ({"photos": 29} if row["group"] == "Aves" else {}) for row in rows()]
    assert group_sentence(few) == ""


@pytest.mark.parametrize(
    ("far", "said"),
    [
        (0.065, "+6.5 points (+4.5 to +8.5) remain of +7.0: the gain comes from where and when species live"),
        (0.03, "+3.0 points (+1.0 to +5.0) remain of +7.0: part of the gain comes from records of the same spot"),
        (0.01, "+1.0 points (-1.0 to +3.0) remain of +7.0: the gain comes from records nearby"),
    ],
)
def test_one_sentence_says_how_local_the_gain_is(far: float, said: str) -> None:
    assert local_sentence(rows(far=far)).startswith(
        f"With all records within 50 km of each photograph left out, {said}"
    )


def test_a_gain_within_chance_is_called_so_and_no_curve_is_no_sentence() -> None:
    unsure = [dataclasses.asdict(accuracy_row("place", 0.01, grouping="left_out", km=km)) for km in (0, 50)]
    assert local_sentence(unsure).endswith("what it adds is within chance here.")
    assert (local_sentence([]), left_out([])) == ("", None)
