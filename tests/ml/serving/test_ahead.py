"""Work ahead of who waits for it: order, bounds, errors, and an early end."""

import itertools
import threading
from collections.abc import Generator, Iterator

import pytest

from ml.serving.ahead import ahead, one_ahead


def test_results_come_in_the_order_of_the_items_although_later_ones_are_done_first() -> None:
    second = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert second.wait(20)
        elif item == 1:
            second.set()
        return item * item

    assert list(ahead(work, range(10), most=4, threads=2)) == [item * item for item in range(10)]


def test_no_more_are_held_than_is_said() -> None:
    taken = [0]

    def items() -> Iterator[int]:
        for item in itertools.count():
            taken[0] += 1
            yield item

    for used, _ in enumerate(itertools.islice(ahead(lambda item: item, items(), most=5), 100), start=1):
        assert taken[0] - used < 5
    assert list(ahead(lambda item: item, (), most=5)) == []


def test_an_error_is_raised_where_its_result_is_due() -> None:
    results = ahead(lambda item: 1 // item, [1, 0, 1], most=3)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_what_has_not_begun_when_the_caller_stops_is_dropped() -> None:
    begun, go_on = list[int](), threading.Event()

    def work(item: int) -> None:
        begun.append(item)
        if item:
            assert go_on.wait(20)

    results = ahead(work, range(50), most=50, threads=2)
    next(results)
    assert isinstance(results, Generator)
    results.close()
    go_on.set()
    assert len(begun) <= 4


def test_the_next_is_made_while_one_is_used_and_no_more() -> None:
    made = list[int]()
    second, third = threading.Event(), threading.Event()

    def items() -> Iterator[int]:
        for item, event in enumerate((threading.Event(), second, third)):
            made.append(item)
            event.set()
            yield item

    results = one_ahead(items())
    assert next(results) == 0
    assert second.wait(20), "the second is made while the first is used"
    assert not third.is_set()
    assert list(results) == [1, 2]
    assert made == [0, 1, 2]


def test_an_error_of_the_next_is_raised_after_what_came_before() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise KeyError("two")

    results = one_ahead(items())
    assert next(results) == 1
    with pytest.raises(KeyError):
        next(results)
