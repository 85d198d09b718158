"""Refusals are held back until a photograph tells what they mean."""

import pytest

from pipeline.fetching.refusals import MOST_HELD, Refusals, failed, is_page
from pipeline.photos.journal import Attempt
from pipeline.photos.ledger import SAMPLES


def refusal(photo_id: str) -> Attempt:
    return Attempt(photo_id=photo_id, url="u", attempt=1, status="gone", http_status=403, error="answered 403")


def test_a_photograph_settles_the_refusals_of_requests_before_it() -> None:
    refusals = Refusals()
    before, after = refusal("a"), refusal("b")
    refusals.hold(before, sent_at=1.0)
    refusals.hold(after, sent_at=3.0)
    assert refusals.gave("http://h/1", sent_at=2.0) == [before]
    assert refusals.taken() == [after]
    assert refusals.taken() == []


def test_a_row_of_them_is_a_reason_to_ask() -> None:
    refusals = Refusals()
    asked = [refusals.hold(refusal(str(number)), sent_at=number) for number in range(MOST_HELD)]
    assert asked == [False] * (MOST_HELD - 1) + [True]


def test_the_last_photographs_are_remembered_the_newest_first() -> None:
    refusals = Refusals()
    refusals.know(["c", "b", "a"])
    assert refusals.samples == ["c", "b", "a"]
    refusals.gave("d", sent_at=0)
    assert refusals.samples == ["d", "c", "b"]
    assert len(refusals.samples) == SAMPLES


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
