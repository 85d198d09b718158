"""How much may be missing, when to try again, and the sentence that a run ends with where more is."""

import datetime as dt

import pytest

from pipeline.photos.incomplete import IncompleteFetch
from pipeline.photos.missing import RETRY_AFTER, Missing, allowed, incomplete

ENDED = dt.datetime(2026, 9, 21, 12, 0, 30, 5, tzinfo=dt.UTC)


def judged(
    missing: list[Missing], *, photos: int = 1000, most_failed: float = 0.01, optional_hosts: tuple[str, ...] = ()
) -> IncompleteFetch | None:
    return incomplete(missing, photos=photos, most_failed=most_failed, optional_hosts=optional_hosts, ended_at=ENDED)


@pytest.mark.parametrize(
    ("photos", "share", "most"),
    [(16, 0.01, 4), (60, 0.01, 5), (1000, 0.01, 10), (100_000, 0.01, 1000), (2, 0.01, 0), (60, 0.5, 30), (60, 0, 0)],
)
def test_a_share_may_be_missing_and_a_few_of_a_small_scope(photos: int, share: float, most: int) -> None:
    assert int(allowed(photos, most_failed=share)) == most


def test_exactly_what_is_allowed_may_be_missing() -> None:
    few = [Missing(host="a.test", photos=10, reason="away")]
    assert judged(few) is None
    assert judged(few, photos=999) is not None
    assert judged([], photos=0, most_failed=0) is None
    assert judged(few, photos=10, most_failed=1) is None


def test_a_scope_of_which_nothing_came_is_never_complete() -> None:
    for photos in range(1, 10):
        assert judged([Missing(host="a.test", photos=photos, reason="away")], photos=photos)


def test_a_host_that_was_left_alone_is_missing_whatever_the_share() -> None:
    one = [Missing(host="a.test", photos=1, reason="a.test asked for a pause of 600 s", closed=True)]
    found = judged(one, photos=100_000)
    assert found is not None
    assert found.reason.endswith("add a.test to photos.optional_hosts to go on without it")
    assert judged(one, photos=100_000, optional_hosts=("b.test",)) is not None
    assert judged(one, photos=100_000, optional_hosts=("A.test",)) is None, "a person let it go"
    assert judged(one, photos=100_000, most_failed=1) is None, "any number may be missing"


def test_the_sentence_names_hosts_numbers_reasons_and_when_to_come_back() -> None:
    missing = [
        Missing(host="b.test", photos=2, reason="answered 500"),
        Missing(host="a.test", photos=700, reason="a.test asked for a pause of 600 s", opens_at=1_790_000_000.0),
    ]
    found = judged(missing)
    assert found is not None
    assert found.reason == (
        "702 of 1,000 photographs could not be fetched: 700 of a.test (a.test asked for a pause of 600 s), "
        "2 of b.test (answered 500); what came is kept; run the same command again after 2026-09-21 14:14 UTC to fetch "
        "the rest, or raise photos.most_failed (now 0.01, here 0.702) to go on without them"
    )
    assert (found.missing, [(host.host, host.photos) for host in found.hosts]) == (
        702,
        [("a.test", 700), ("b.test", 2)],
    )
    assert found.hosts[0].opens_at == dt.datetime(2026, 9, 21, 14, 13, 20, tzinfo=dt.UTC)
    assert found.retry_at > found.hosts[0].opens_at


def test_without_a_moment_it_is_tried_again_after_some_hours() -> None:
    found = judged([Missing(host="a.test", photos=700, reason="answered 500")])
    assert found is not None
    assert abs(found.retry_at - ENDED - RETRY_AFTER) < dt.timedelta(minutes=1)


def test_a_moment_that_has_passed_meanwhile_is_not_waited_for() -> None:
    found = judged([Missing(host="a.test", photos=700, reason="pause", opens_at=1_700_000_000.0)])
    assert found is not None
    assert dt.timedelta(0) <= found.retry_at - ENDED <= dt.timedelta(minutes=1)


@pytest.mark.parametrize("opens_at", [float("inf"), 1e18, 253_402_300_000.0])
def test_a_host_may_name_any_moment(opens_at: float) -> None:
    found = judged([Missing(host="a.test", photos=7, reason="pause", opens_at=opens_at)], photos=8)
    assert found is not None
    assert "no moment" in found.reason
    assert abs(found.retry_at - ENDED - RETRY_AFTER) < dt.timedelta(minutes=1)
