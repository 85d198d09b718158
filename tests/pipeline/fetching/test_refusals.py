"""Refusals are held back until it is known whether they are about photographs or about their host."""

import itertools

import pytest

from pipeline.fetching.refusals import LAST, MOST_HELD, MOST_UNCHECKED, Refusals, failed, is_page
from pipeline.photos.journal import Attempt
from pipeline.photos.ledger import SAMPLES


def refusal(photo_id: str = "a") -> Attempt:
    return Attempt(photo_id=photo_id, url="u", attempt=1, status="gone", http_status=403, error="answered 403")


def hold(refusals: Refusals, times: int, *, absent: bool = False) -> None:
    for _ in range(times):
        refusals.hold(refusal(), sent_at=9.0, absent=absent)


def give(refusals: Refusals, times: int) -> list[Attempt]:
    return [verdict for number in range(times) for verdict in refusals.gave(f"http://h/{number}", sent_at=10.0)]


def test_a_photograph_settles_the_refusals_of_requests_before_it() -> None:
    refusals = Refusals()
    before, after = refusal("a"), refusal("b")
    refusals.hold(before, sent_at=1.0)
    refusals.hold(after, sent_at=3.0)
    assert refusals.gave("http://h/1", sent_at=2.0) == [before]
    assert refusals.taken() == ([after], [])
    assert refusals.taken() == ([], [])
    assert refusals.recalled() == [before, after]
    assert refusals.recalled() == []


def test_a_row_of_them_is_a_reason_to_ask() -> None:
    refusals = Refusals()
    give(refusals, LAST)
    asked = []
    for _ in range(MOST_HELD):
        hold(refusals, 1)
        asked.append(refusals.is_doubtful())
    assert asked == [False] * (MOST_HELD - 1) + [True]


def test_so_is_their_share_of_the_last_answers() -> None:
    refusals = Refusals()
    for _ in range(MOST_HELD - 1):
        hold(refusals, 1)
        assert len(give(refusals, 1)) == 1
    assert not refusals.is_doubtful()
    hold(refusals, 1)
    assert refusals.is_doubtful(), "every other one"
    assert give(refusals, 1) == [], "what a host gives no longer speaks for what it refuses"


def test_a_few_among_many_are_verdicts_without_a_question() -> None:
    refusals = Refusals()
    for _ in range(60):
        give(refusals, 5)
        hold(refusals, 1)
        assert not refusals.is_doubtful()
        assert len(give(refusals, 1)) == 1


@pytest.mark.parametrize(("given", "sound"), [(8, True), (7, True), (6, False), (1, False), (0, False)])
def test_a_sound_host_gives_nearly_all_that_it_gave_in_earlier_runs(given: int, *, sound: bool) -> None:
    refusals = Refusals()
    refusals.know(f"http://h/{number}" for number in range(SAMPLES))
    hold(refusals, MOST_HELD)
    assert (refusals.trouble(asked=SAMPLES, given=given) is None) == sound


def test_in_a_first_run_the_share_decides() -> None:
    refusals = Refusals()
    give(refusals, 40)
    hold(refusals, MOST_HELD)
    assert refusals.trouble(asked=SAMPLES, given=SAMPLES) is None, "20 of 60"
    hold(refusals, MOST_HELD)
    trouble = refusals.trouble(asked=SAMPLES, given=SAMPLES)
    assert trouble == "does not give most photographs, 40 of the last 80, nor some that it gave before"


def test_that_photographs_are_absent_is_believed_unless_earlier_ones_are_too() -> None:
    refusals = Refusals()
    hold(refusals, LAST, absent=True)
    assert refusals.trouble(asked=0, given=0) is None
    assert [len(part) for part in refusals.taken()] == [LAST, 0]
    refusals.know(["http://h/1", "http://h/2"])
    assert refusals.trouble(asked=2, given=0) == "refuses every photograph"


def test_without_any_photograph_a_row_is_trouble_and_a_few_are_unknown() -> None:
    refusals = Refusals()
    hold(refusals, 3)
    assert refusals.trouble(asked=0, given=0) is None
    assert [len(part) for part in refusals.taken()] == [0, 3]
    hold(refusals, MOST_HELD)
    assert refusals.trouble(asked=0, given=0) == "refuses every photograph"


def test_failures_count_only_beside_photographs_that_came() -> None:
    refusals = Refusals()
    for _ in range(2 * MOST_HELD):
        refusals.failed()
    assert not refusals.is_doubtful(), "silence is judged elsewhere"
    give(refusals, 1)
    assert refusals.is_doubtful()


def test_a_host_that_passes_is_asked_ever_more_rarely() -> None:
    refusals = Refusals()
    refusals.know(["http://h/1"])
    checks = []
    for number in range(1000):
        hold(refusals, 1)
        if refusals.is_doubtful():
            checks.append(number + 1)
            assert refusals.trouble(asked=1, given=1) is None
    assert checks[:4] == [20, 60, 140, 300]
    assert {after - before for before, after in itertools.pairwise(checks[3:])} == {MOST_UNCHECKED}


def test_the_last_photographs_are_remembered_the_newest_first() -> None:
    refusals = Refusals()
    give(refusals, SAMPLES + 2)
    assert refusals.samples == [f"http://h/{number}" for number in reversed(range(2, SAMPLES + 2))]
    refusals.know(["c", "b", "a"])
    assert refusals.samples == ["c", "b", "a"], "those of earlier runs say more"


def test_a_refusal_of_a_host_in_trouble_is_a_passing_failure() -> None:
    attempt = failed(refusal("a"), "h refuses every photograph")
    assert (attempt.status, attempt.http_status) == ("failed", 403)
    assert attempt.error == "answered 403; h refuses every photograph"
    assert len(failed(refusal("a"), "x" * 1000).error or "") == 500


@pytest.mark.parametrize(
    "body", [b"", b" \n", b"<!doctype html>", b"\xef\xbb\xbf\r\n<html>", b'{"error": 1}', b"<?xml"]
)
def test_pages_are_known(body: bytes) -> None:
    assert is_page(body)


@pytest.mark.parametrize("body", [b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"not found"])
def test_pictures_and_plain_words_are_no_pages(body: bytes) -> None:
    assert not is_page(body)
