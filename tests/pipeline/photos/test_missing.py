"""How many photographs may be missing, and the sentence that a run ends with where more are."""

import pytest

from pipeline.photos.missing import Missing, allowed, shortfall


@pytest.mark.parametrize(
    ("photos", "share", "most"),
    [(16, 0.01, 4), (60, 0.01, 5), (1000, 0.01, 10), (100_000, 0.01, 1000), (2, 0.01, 0), (60, 0.5, 30), (60, 0, 0)],
)
def test_a_share_may_be_missing_and_a_few_of_a_small_scope(photos: int, share: float, most: int) -> None:
    assert int(allowed(photos, most_failed=share)) == most


def test_exactly_what_is_allowed_may_be_missing() -> None:
    few = [Missing(host="a.test", photos=10, reason="away")]
    assert shortfall(few, photos=1000, most_failed=0.01) is None
    assert shortfall(few, photos=999, most_failed=0.01) is not None
    assert shortfall([], photos=0, most_failed=0) is None
    assert shortfall(few, photos=10, most_failed=1) is None


def test_a_scope_of_which_nothing_came_is_never_complete() -> None:
    for photos in range(1, 10):
        assert shortfall([Missing(host="a.test", photos=photos, reason="away")], photos=photos, most_failed=0.01)


def test_the_sentence_names_hosts_numbers_reasons_and_when_to_come_back() -> None:
    missing = [
        Missing(host="b.test", photos=2, reason="answered 500"),
        Missing(host="a.test", photos=700, reason="a.test asked for a pause of 600 s", opens_at=1_790_000_000.0),
    ]
    assert shortfall(missing, photos=1000, most_failed=0.01) == (
        "702 of 1,000 photographs could not be fetched: 700 of a.test (a.test asked for a pause of 600 s), "
        "2 of b.test (answered 500); what came is kept; run the same command again after 2026-09-21 14:13 UTC to fetch "
        "the rest, or raise photos.most_failed (now 0.01, here 0.702) to go on without them"
    )


@pytest.mark.parametrize("opens_at", [float("inf"), 1e18])
def test_a_host_may_name_any_moment(opens_at: float) -> None:
    said = shortfall([Missing(host="a.test", photos=7, reason="pause", opens_at=opens_at)], photos=8, most_failed=0.01)
    assert said is not None
    assert "no moment" in said
