"""How hard a host is asked: its rate, its pauses, its slots, its timeouts, and hosts beside each other."""

import asyncio
import contextlib
import json
import math
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.config.settings import HostLimits, PhotoSettings, Settings, load_settings
from pipeline.fetching import budget, hosts
from pipeline.fetching.fetch import FetchSummary, fetch_photos
from pipeline.fetching.hosts import BURST_SECONDS, Host, Patience
from tests.pipeline.photo_index import attempts, ledger, write_index
from tests.pipeline.photo_server import HOST, MIRROR, PhotoServer, photo_server

CALM = Patience(first_wait=0.05, longest_wait=0.1)
NOTED = 4
"""Requests that a window may seem to hold too many of, where a busy machine notes one later than it was let go."""


class Clock:
    """A clock that moves when somebody sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(hosts, "time", SimpleNamespace(monotonic=lambda: self.now, time=lambda: self.now))
        monkeypatch.setattr(asyncio, "sleep", self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.now += max(seconds, 1e-6)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def server() -> Iterator[PhotoServer]:
    with photo_server() as running:
        yield running


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When each request of a fetch was let go."""
    moments: list[float] = []
    request = Host.request

    @contextlib.asynccontextmanager
    async def noted(self: Host) -> AsyncIterator[None]:
        async with request(self):
            moments.append(time.monotonic())
            yield

    monkeypatch.setattr(Host, "request", noted)
    return moments


def most_above(moments: Sequence[float], *, rate: float) -> float:
    """By how many requests the worst window exceeds the rate and its burst."""
    moments = sorted(moments)
    return max(
        (last - first + 1) - rate * (moments[last] - moments[first] + BURST_SECONDS) - 1
        for first in range(len(moments))
        for last in range(first, len(moments))
    )


async def turns(host: Host, clock: Clock, *, seconds: float) -> list[float]:
    """The moments of all turns within some seconds."""
    end = clock.now + seconds
    moments: list[float] = []
    while True:
        await host.turn()
        if clock.now > end:
            return moments
        moments.append(clock.now)


@pytest.mark.parametrize("rate", [0.5, 20.0, 400.0])
async def test_every_window_keeps_to_the_rate(clock: Clock, rate: float) -> None:
    host = Host("h", concurrency=16, rate=rate, patience=CALM)
    moments = await turns(host, clock, seconds=100 / rate)
    clock.now += 1000  # an idle host saves up no more than the burst
    moments += await turns(host, clock, seconds=100 / rate)
    assert most_above(moments, rate=rate) <= 1e-6
    assert len(moments) >= 199


async def test_requests_that_waited_for_the_same_pause_do_not_leave_at_once(clock: Clock) -> None:
    host = Host("h", concurrency=64, rate=20, patience=CALM)
    begun = clock.now
    host.slow_down(started=begun, pause=7, answered=True)
    moments: list[float] = []

    async def ask() -> None:
        await host.turn()
        moments.append(clock.now)

    await asyncio.gather(*(ask() for _ in range(50)))
    assert min(moments) >= begun + 7
    assert most_above(moments, rate=20) <= 1e-6


async def test_a_longer_pause_wins(clock: Clock) -> None:
    host = Host("h", concurrency=8, rate=20, patience=CALM)
    begun = clock.now
    host.slow_down(started=begun, pause=9, answered=True)
    host.slow_down(started=begun, pause=2, answered=True)
    await host.turn()
    assert clock.now >= begun + 9


async def test_complaints_lower_the_rate_and_answers_restore_it(clock: Clock) -> None:
    host = Host("h", concurrency=16, rate=40, patience=CALM)
    for expected in (20, 10, 5):
        clock.now += 1
        host.slow_down(started=clock.now, pause=None, answered=True)
        assert len(await turns(host, clock, seconds=10)) == pytest.approx(10 * expected, rel=0.1)
    for _ in range(40):
        host.answered()
    assert 5 * 10 < len(await turns(host, clock, seconds=10)) < 40 * 10, "little by little"
    for _ in range(1000):
        host.answered()
    assert len(await turns(host, clock, seconds=10)) == pytest.approx(400, rel=0.02), "and never above its own"
    assert host.limit == 16


async def test_a_host_that_only_complains_is_still_asked_now_and_then(clock: Clock) -> None:
    host = Host("h", concurrency=16, rate=40, patience=Patience(give_up=math.inf))
    for _ in range(100):
        clock.now += 1
        host.slow_down(started=clock.now, pause=None, answered=True)
    assert host.limit == 1
    assert len(await turns(host, clock, seconds=100)) == pytest.approx(100 * hosts.SLOWEST, abs=1)


def test_every_complaint_about_a_request_that_was_sent_after_the_last_one_counts(
    make_settings: Callable[..., Settings], server: PhotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []
    slow_down = Host.slow_down

    def recorded(self: Host, *, started: float, pause: float | None, answered: bool) -> None:
        slow_down(self, started=started, pause=pause, answered=answered)
        rates.append(self._rate)

    monkeypatch.setattr(Host, "slow_down", recorded)
    # One at a time, while the others wait for the place: four ports of one host have a worker each.
    settings = make_settings(photos={"concurrency": 1, "requests_per_second": 800})
    addresses = {port: PhotoServer.url(f"busy-1{port}").replace(HOST, f"{HOST}:{port}") for port in range(80, 84)}
    write_index(settings, {str(port): address for port, address in addresses.items()})
    fetch(settings, server, patience=Patience(attempts=1))
    assert rates == [400, 200, 100, 50]


async def complain(host: Host, clock: Clock, *, seconds: float, pause: float | None = None) -> float:
    """Ask for so long, or until the host is closed, and be answered by complaints alone; the seconds that passed."""
    begun = clock.now
    while host.closed is None and clock.now - begun < seconds:
        await host.turn()
        host.slow_down(started=clock.now, pause=pause, answered=True)
    return clock.now - begun


async def test_a_host_that_only_complains_is_given_up_by_time(clock: Clock) -> None:
    host = Host("h", concurrency=16, rate=40, patience=Patience(give_up=60))
    assert 60 <= await complain(host, clock, seconds=3600) < 90
    assert host.closed is not None
    assert "nothing but complaints" in host.closed
    begun = clock.now
    await host.turn()
    assert clock.now == begun, "nobody waits for it"


async def test_an_answer_between_complaints_keeps_a_host(clock: Clock) -> None:
    host = Host("h", concurrency=16, rate=40, patience=Patience(give_up=60))
    for _ in range(20):
        await complain(host, clock, seconds=30)
        host.answered()
    assert host.closed is None


async def test_few_complaints_do_not_close_a_host_that_asked_for_pauses(clock: Clock) -> None:
    host = Host("h", concurrency=16, rate=40, patience=Patience(give_up=60))
    assert await complain(host, clock, seconds=3600, pause=120) == pytest.approx(
        120 * (hosts.COMPLAINTS_BEFORE_CLOSING - 1), abs=30
    )


def fetch(settings: Settings, server: PhotoServer, *, patience: Patience = CALM, **others: int) -> FetchSummary:
    """Fetch from the server, also under the names of other hosts (with their ports)."""
    reached = {**server.hosts, **{name.replace("_", "."): ("127.0.0.1", port) for name, port in others.items()}}
    return fetch_photos(settings.paths, settings, hosts=reached, log=lambda _: None, patience=patience)


def index(settings: Settings, *photo_ids: str, host: str = HOST) -> dict[str, str]:
    return {f"{host} {photo_id}": PhotoServer.url(photo_id).replace(HOST, host) for photo_id in photo_ids}


def test_a_fetch_keeps_to_the_rate_and_the_simultaneous_requests_that_were_configured(
    make_settings: Callable[..., Settings], server: PhotoServer, sent: list[float]
) -> None:
    settings = make_settings(photos={"concurrency": 6, "requests_per_second": 40})
    server.delay = 0.05
    write_index(settings, index(settings, *(f"ok-{number}" for number in range(50))))
    fetch(settings, server)
    assert len(sent) == 50
    assert most_above(sent, rate=40) <= NOTED
    assert server.most_running <= 6


def test_nobody_asks_during_a_pause_and_nobody_rushes_after_it(
    make_settings: Callable[..., Settings],
    server: PhotoServer,
    sent: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[float] = []
    slow_down = Host.slow_down

    def noted(self: Host, *, started: float, pause: float | None, answered: bool) -> None:
        begun.append(time.monotonic())
        slow_down(self, started=started, pause=pause, answered=answered)

    monkeypatch.setattr(Host, "slow_down", noted)
    settings = make_settings(photos={"concurrency": 32, "requests_per_second": 30})
    server.delay = 0.01
    names = [f"ok-{number}" for number in range(60)]
    write_index(settings, index(settings, *names[:20], "limited-1", *names[20:]))
    assert fetch(settings, server).statuses == {"ok": 61}
    (pause,) = begun
    after = [moment for moment in sent if moment > pause]
    assert after
    assert min(after) >= pause + 1, "Retry-After: 1"
    assert most_above(after, rate=30) <= NOTED


def test_a_busy_host_that_names_no_pause_is_asked_until_it_answers(
    make_settings: Callable[..., Settings], server: PhotoServer
) -> None:
    settings = make_settings(photos={"concurrency": 8, "requests_per_second": 1000})
    write_index(settings, index(settings, "busy-1", "busy-2", "busy-3", "ok-1"))
    assert fetch(settings, server).statuses == {"ok": 4}
    assert {photo_id: server.requests[photo_id] for photo_id in ("busy-1", "busy-2", "busy-3")} == {
        "busy-1": 2,
        "busy-2": 3,
        "busy-3": 4,
    }


def test_a_pause_that_a_redirects_target_asks_for_is_its_own(
    make_settings: Callable[..., Settings], server: PhotoServer
) -> None:
    settings = make_settings(photos={"concurrency": 2, "requests_per_second": 1000})
    with photo_server() as mirror:
        write_index(settings, index(settings, "mirrored-1", *(f"ok-{number}" for number in range(30)), "mirrored-2"))
        summary = fetch(settings, server, mirror_test=mirror.port)
        assert summary.statuses == {"ok": 30, "failed": 2}
        assert mirror.requests.total() == 1, "the second photograph finds it closed"
    errors = [row["error"] for row in ledger(settings).values() if row["status"] == "failed"]
    assert all(f"{MIRROR} asked for a pause of 86400 s" in error for error in errors)


def test_a_slow_host_does_not_hold_up_a_fast_one(make_settings: Callable[..., Settings], server: PhotoServer) -> None:
    settings = make_settings(photos={"requests_per_second": 1000, "hosts": {"slow.test": {"concurrency": 2}}})
    with photo_server() as slow:
        slow.opened = lambda: server.requests.total() == 100
        fast = index(settings, *(f"ok-{number}" for number in range(100)))
        write_index(settings, fast | index(settings, *(f"ok-{number}" for number in range(9)), host="slow.test"))
        assert fetch(settings, server, slow_test=slow.port).statuses == {"ok": 109}
        assert slow.most_running <= 2, "its own limit holds"


def test_a_host_with_a_small_budget_does_not_hold_up_others(
    make_settings: Callable[..., Settings], server: PhotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "HOUR", 3.0)
    settings = make_settings(
        photos={"requests_per_second": 1000, "hosts": {"small.test": {"bytes_per_hour": 10, "concurrency": 8}}}
    )
    with photo_server() as small:
        others = index(settings, *(f"ok-{number}" for number in range(20)))
        write_index(settings, others | index(settings, "ok-1", "ok-2", "ok-3", host="small.test"))
        assert fetch(settings, server, small_test=small.port).statuses == {"ok": 23}
        assert max(server.times, key=lambda at: at[1])[1] < max(small.times, key=lambda at: at[1])[1]


def test_ports_of_one_host_share_its_limits(make_settings: Callable[..., Settings], server: PhotoServer) -> None:
    settings = make_settings(
        photos={"requests_per_second": 1000, "concurrency": 1, "hosts": {}, "allow_private_hosts": True}
    )
    server.delay = 0.01
    write_index(
        settings,
        {
            str(number): PhotoServer.url(f"ok-{number}").replace(HOST, f"{HOST}:{port}")
            for number, port in enumerate((80, 81, 82, 83))
        },
    )
    assert fetch(settings, server).statuses == {"ok": 4}
    assert server.most_running == 1


def test_limits_of_single_hosts_are_configured_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scope = tmp_path / "scope.yaml"
    scope.write_text(
        "name: test\ndata_root: data\nphotos:\n  concurrency: 9\n  hosts:\n"
        "    one.test: {concurrency: 3, requests_per_second: 1.5, bytes_per_day: 1e9}\n"
    )
    photos = load_settings(scope).photos
    assert photos.limits_of("one.test") == HostLimits(concurrency=3, requests_per_second=1.5, bytes_per_day=1e9)
    assert photos.limits_of("two.test").concurrency == 9
    monkeypatch.setenv("NATUREWATCH__PHOTOS__HOSTS", json.dumps({"two.test": {"bytes_per_hour": 5}}))
    photos = load_settings(scope).photos
    assert photos.limits_of("two.test") == HostLimits(concurrency=9, bytes_per_hour=5), "the rest is general"


def test_inaturalists_media_limits_are_known() -> None:
    name = "static.inaturalist.org"
    known = PhotoSettings().limits_of(name)
    assert (known.bytes_per_hour, known.bytes_per_day) == (5e9, 24e9)
    smaller = PhotoSettings(bytes_per_hour=1e9).limits_of(name)
    assert (smaller.bytes_per_hour, smaller.bytes_per_day) == (1e9, 24e9)
    larger = PhotoSettings(bytes_per_hour=1e12, bytes_per_day=1e13).limits_of(name)
    assert (larger.bytes_per_hour, larger.bytes_per_day) == (5e9, 24e9)
    own = PhotoSettings(hosts={"Static.iNaturalist.org": HostLimits(concurrency=4, bytes_per_hour=None)}).limits_of(
        name
    )
    assert (own.concurrency, own.bytes_per_hour, own.bytes_per_day) == (4, None, 24e9), "what is given decides"
    assert PhotoSettings().limits_of("inaturalist-open-data.s3.amazonaws.com").bytes_per_hour is None


@pytest.mark.parametrize(
    ("habit", "patience", "reason"),
    [
        ("silent", Patience(first_byte=2, first_wait=0.05), "no first byte within 2 s"),
        ("stall", Patience(silence=2, first_wait=0.05), "nothing came for 2 s"),
        ("drip", Patience(whole=2, first_wait=0.05), "the body was not whole within 2 s"),
    ],
)
def test_a_slow_answer_is_given_up_and_asked_for_again(
    make_settings: Callable[..., Settings], server: PhotoServer, habit: str, patience: Patience, reason: str
) -> None:
    settings = make_settings()
    write_index(settings, index(settings, f"{habit}-1"))
    assert fetch(settings, server, patience=patience).statuses == {"ok": 1}
    (row,) = ledger(settings).values()
    assert row["attempts"] == 2
    assert [attempt["error"] for attempt in attempts(settings)] == [f"no answer in time: {reason}", None]


@contextlib.contextmanager
def full_port() -> Iterator[int]:
    """A port that lets nobody connect: its queue is full, and nobody accepts."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.settimeout(0)
            client.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]


@pytest.mark.parametrize("refuses", [True, False], ids=["refused", "no answer"])
def test_a_host_that_cannot_be_connected_to_fails(
    make_settings: Callable[..., Settings], server: PhotoServer, *, refuses: bool
) -> None:
    settings = make_settings()
    write_index(settings, index(settings, "ok-1") | index(settings, "ok-2", host="away.test"))
    patience = Patience(connect=2, attempts=2, first_wait=0.05, longest_wait=0.1)
    with full_port() as full:
        begun = time.monotonic()
        port = 1 if refuses else full
        assert fetch(settings, server, patience=patience, away_test=port).statuses == {"failed": 1, "ok": 1}
        assert time.monotonic() - begun < 60, "not after the system's own timeout"
    row = ledger(settings)["away.test ok-2"]
    assert (row["status"], row["attempts"], row["http_status"]) == ("failed", 2, None)
    assert ("no connection" if refuses else "no answer in time") in row["error"]
