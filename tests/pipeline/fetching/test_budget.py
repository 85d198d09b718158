"""Budgets of bytes: no window ever holds more than its limit, and small budgets still make progress."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipeline.config.settings import Settings
from pipeline.fetching import budget as budget_module
from pipeline.fetching.budget import DAY, HOUR, Budget
from pipeline.fetching.fetch import fetch_photos
from pipeline.fetching.hosts import Host, Patience
from tests.pipeline.photo_index import write_index
from tests.pipeline.photo_server import PhotoServer, jpeg, photo_server

BEGIN = 1_790_000_000.0

limits = st.none() | st.integers(min_value=100, max_value=2000)
bodies = st.lists(
    st.tuples(st.floats(min_value=0, max_value=4000), st.integers(min_value=1, max_value=100)), min_size=1, max_size=60
)
"""(seconds of other things before it, bytes); every body fits into the smallest limit."""


@pytest.fixture
def server() -> Iterator[PhotoServer]:
    with photo_server() as running:
        yield running


def most_in(seconds: float, received: Sequence[tuple[float, int]]) -> int:
    """The most bytes in any window of so many seconds."""
    return max(sum(size for moment, size in received if last - seconds < moment <= last) for last, _ in received)


def waited(budget: Budget, size: int, *, now: float) -> float:
    """The moment at which a body may come, waiting as told."""
    for _ in range(100):
        wait = budget.wait(size, now=now)
        if wait <= 0:
            return now
        now = max(now + wait, math.nextafter(now, math.inf))
    raise AssertionError("waiting as told never ends")


@given(per_hour=limits, per_day=limits, sequence=bodies)
@hypothesis_settings(max_examples=200, deadline=None)
def test_no_hour_and_no_day_holds_more_than_its_limit(
    per_hour: int | None, per_day: int | None, sequence: list[tuple[float, int]]
) -> None:
    budget = Budget(per_hour=per_hour, per_day=per_day)
    now = BEGIN
    received: list[tuple[float, int]] = []
    for gap, size in sequence:
        now = waited(budget, size, now=now + gap)
        budget.add(size, at=now)
        received.append((now, size))
    assert most_in(HOUR, received) <= (per_hour or math.inf)
    assert most_in(DAY, received) <= (per_day or math.inf)


@given(limit=st.integers(min_value=1, max_value=1000), earlier=bodies, size=st.integers(min_value=1, max_value=1000))
@hypothesis_settings(max_examples=200, deadline=None)
def test_bytes_of_earlier_runs_count(limit: int, earlier: list[tuple[float, int]], size: int) -> None:
    now = BEGIN
    spent = []
    for gap, count in earlier:
        now += gap
        spent.append((now, count))
    at = waited(Budget(per_hour=limit, per_day=None, spent=reversed(spent)), size, now=now)
    held = sum(count for moment, count in spent if at - HOUR < moment)
    assert held + size <= limit or (size > limit and held == 0)


@given(limit=st.integers(min_value=100, max_value=1000), sequence=bodies)
@hypothesis_settings(max_examples=100, deadline=None)
def test_nobody_waits_much_longer_than_needed(limit: int, sequence: list[tuple[float, int]]) -> None:
    budget = Budget(per_hour=limit, per_day=None)
    now = BEGIN
    received: list[tuple[float, int]] = []
    for gap, size in sequence:
        asked = now + gap
        now = waited(budget, size, now=asked)
        # One step of the window before, it would have been too much.
        earlier = now - 2 * HOUR / budget_module._BINS
        if earlier > asked:
            assert sum(count for moment, count in received if earlier - HOUR < moment) + size > limit
        budget.add(size, at=now)
        received.append((now, size))


def test_without_limits_nothing_waits() -> None:
    budget = Budget(per_hour=None, per_day=None)
    budget.add(10**15, at=BEGIN)
    assert (budget.limited, budget.smallest) == (False, math.inf)
    assert budget.wait(10**15, now=BEGIN) == 0


def test_a_photograph_larger_than_the_budget_comes_into_an_empty_window() -> None:
    budget = Budget(per_hour=10, per_day=20)
    now = BEGIN
    moments = []
    for _ in range(3):
        now = waited(budget, 1000, now=now)
        budget.add(1000, at=now)
        moments.append(now)
    assert moments[0] == BEGIN
    assert moments[1] - moments[0] >= DAY
    assert moments[2] - moments[0] >= 2 * DAY


@pytest.mark.parametrize(("limit", "simultaneous"), [(100, 1), (400_000, 1), (2_000_000, 4), (1e9, 8)])
async def test_no_more_requests_run_than_fit_into_the_budget(limit: float, simultaneous: int) -> None:
    host = Host("h", concurrency=16, rate=1000, patience=Patience(), budget=Budget(per_hour=limit, per_day=None))
    assert host.limit == simultaneous, "a photograph is taken for 500,000 bytes before the first one came"
    host.received(100_000)
    assert host.limit == min(8, max(1, limit // 100_000))


@pytest.fixture
def short_hours(monkeypatch: pytest.MonkeyPatch) -> float:
    """Hours of 1.2 seconds."""
    monkeypatch.setattr(budget_module, "HOUR", 1.2)
    return 1.2


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, int]]:
    """The moment and size of every body, as its host's budget is told of it."""
    bodies: list[tuple[float, int]] = []
    add = Budget.add

    def recorded(self: Budget, count: int, *, at: float) -> None:
        bodies.append((at, count))
        add(self, count, at=at)

    monkeypatch.setattr(Budget, "add", recorded)
    return bodies


def fetch(settings: Settings, server: PhotoServer, *photo_ids: str) -> int:
    write_index(settings, {photo_id: PhotoServer.url(photo_id) for photo_id in photo_ids})
    return fetch_photos(settings.paths, settings, hosts=server.hosts, log=lambda _: None).requests


def test_a_fetch_stays_within_its_budget(
    make_settings: Callable[..., Settings], server: PhotoServer, short_hours: float, added: list[tuple[float, int]]
) -> None:
    limit = 3.5 * len(jpeg(1))
    settings = make_settings(photos={"bytes_per_hour": limit, "requests_per_second": 5000})
    assert fetch(settings, server, *(f"ok-{number}" for number in range(8))) == 8
    assert len(added) == 8
    assert most_in(short_hours, added) <= limit


def test_a_budget_smaller_than_one_photograph_lets_one_through_at_a_time(
    make_settings: Callable[..., Settings], server: PhotoServer, short_hours: float, added: list[tuple[float, int]]
) -> None:
    settings = make_settings(photos={"bytes_per_hour": 10, "requests_per_second": 5000, "concurrency": 8})
    assert fetch(settings, server, *(f"ok-{number}" for number in range(3))) == 3
    assert len(added) == 3
    assert all(later - earlier >= short_hours for (earlier, _), (later, _) in itertools.pairwise(added))


def test_a_second_run_knows_what_the_first_received(
    make_settings: Callable[..., Settings], server: PhotoServer, short_hours: float, added: list[tuple[float, int]]
) -> None:
    limit = 1.5 * len(jpeg(1))
    settings = make_settings(photos={"bytes_per_hour": limit, "requests_per_second": 5000})
    fetch(settings, server, "ok-1")
    fetch(settings, server, "ok-1", "ok-2")
    (first, _), (remembered, _), (second, _) = added
    # The journal's moment is that of the verdict, a little later than the body's.
    assert second - remembered >= short_hours
    assert remembered >= first
