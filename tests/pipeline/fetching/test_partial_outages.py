"""Hosts that fail in part: what they withhold is asked for again, and what is withdrawn stays gone."""

import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml

from pipeline.config.settings import Settings
from pipeline.defs.ingest import photos
from pipeline.defs.scope_resource import Scope
from pipeline.fetching.fetch import FetchSummary, fetch_photos
from pipeline.fetching.hosts import Patience
from pipeline.photos.incomplete import IncompleteFetch
from tests.pipeline.photo_index import attempts, ledger, write_index
from tests.pipeline.photo_server import HOST, PhotoServer, photo_server

QUICK = Patience(connect=10, attempts=2, first_wait=0.01, longest_wait=0.02, give_up=30)


@pytest.fixture
def server() -> Iterator[PhotoServer]:
    with photo_server() as running:
        yield running


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings(photos={"concurrency": 4, "requests_per_second": 5000})


def fetch(settings: Settings, server: PhotoServer, *photo_ids: str) -> FetchSummary:
    write_index(settings, {photo_id: PhotoServer.url(photo_id) for photo_id in photo_ids})
    return fetch_photos(settings.paths, settings, hosts=server.hosts, log=lambda _: None, patience=QUICK)


def numbered(first: int, last: int, *, habit: str = "ok") -> list[str]:
    return [f"{habit}-{number:04d}" for number in range(first, last)]


def is_odd(photo_id: str) -> bool:
    return int(photo_id.rpartition("-")[2]) % 2 == 1


def reason(settings: Settings) -> str:
    record = IncompleteFetch.read(settings.paths)
    assert record is not None
    (host,) = record.hosts
    assert (host.host, host.closed) == (HOST, True)
    assert f"{HOST} (" in record.reason
    assert " UTC " in record.reason
    return host.reason


@pytest.mark.parametrize("outage", ["404", "png", "503"])
def test_an_outage_of_half_the_host_in_the_middle_of_a_refresh_is_no_loss(
    settings: Settings, server: PhotoServer, outage: str
) -> None:
    first, both = numbered(0, 40), numbered(0, 200)
    assert fetch(settings, server, *first).statuses == {"ok": 40}
    server.outage, server.outage_after, server.hit = outage, 60, is_odd
    summary = fetch(settings, server, *both)
    assert set(summary.statuses) == {"ok", "failed"}, "nothing counts as gone for good"
    assert reason(settings).startswith(f"{HOST} does not give most photographs, ") or reason(settings).startswith(
        f"{HOST} refuses every photograph: "
    )
    assert ledger(settings)["ok-0007"]["status"] == "ok", "what was there stays"


def test_in_a_week_that_brings_few_it_is_seen_as_well(settings: Settings, server: PhotoServer) -> None:
    first = numbered(0, 40)
    fetch(settings, server, *first)
    server.outage, server.outage_after, server.hit = "403", 0, is_odd
    summary = fetch(settings, server, *first, *numbered(40, 52))
    assert summary.statuses == {"ok": 46, "failed": 6}
    assert reason(settings).startswith(f"{HOST} does not give most photographs, 6 of the last 12, nor some")
    assert "403 Forbidden" in reason(settings)
    server.outage = None
    assert fetch(settings, server, *first, *numbered(40, 52)).statuses == {"ok": 52}


def test_few_that_are_withdrawn_in_a_week_that_brings_few_are_gone(settings: Settings, server: PhotoServer) -> None:
    first, new = numbered(0, 40), [*numbered(40, 46), *numbered(46, 52, habit="forbidden")]
    fetch(settings, server, *first)
    assert fetch(settings, server, *first, *new).statuses == {"ok": 46, "gone": 6}
    assert IncompleteFetch.read(settings.paths) is None


def test_it_ends_the_run_before_the_dataset_and_the_next_one_goes_on(
    make_settings: Callable[..., Settings], server: PhotoServer, tmp_path: Path
) -> None:
    """The asset itself, in runs of Dagster's: half the host refuses in the middle of a refresh."""
    settings = make_settings(
        source={"mode": "archive", "archive": str(tmp_path / "unused.zip")},
        photos={"concurrency": 4, "requests_per_second": 5000.0, "allow_private_hosts": True},
    )
    scope = tmp_path / "scope.yaml"
    scope.write_text(yaml.safe_dump(settings.model_dump(mode="json", exclude_unset=True)))
    built: list[int] = []

    @dg.asset(deps=[photos])
    def dataset() -> None:
        built.append(len(ledger(settings)))

    def run(*photo_ids: str) -> dg.ExecuteInProcessResult:
        local = f"http://127.0.0.1:{server.port}"
        write_index(settings, {one: PhotoServer.url(one).replace(f"http://{HOST}", local) for one in photo_ids})
        assets: list[dg.AssetsDefinition | dg.AssetSpec] = [photos, dataset, dg.AssetSpec("photo_index")]
        return dg.materialize(assets, resources={"scope": Scope(config_file=str(scope))}, raise_on_error=False)

    assert run(*numbered(0, 40)).success
    server.outage, server.outage_after, server.hit = "403", 60, is_odd
    assert not run(*numbered(0, 160)).success
    assert built == [40], "nothing is made of an incomplete world"
    record = IncompleteFetch.read(settings.paths)
    assert record is not None
    assert record.hosts[0].closed
    assert re.fullmatch(
        r"\d+ of 160 photographs could not be fetched: \d+ of 127\.0\.0\.1 \(127\.0\.0\.1 .* 403 Forbidden\); "
        r"what came is kept; run the same command again after [-\d]+ \d\d:\d\d UTC to fetch the rest, or add .*",
        record.reason,
    )
    server.outage = None
    assert run(*numbered(0, 160)).success
    assert built == [40, 160]
    assert IncompleteFetch.read(settings.paths) is None


def test_in_a_first_run_too_and_verdicts_of_the_run_are_taken_back(settings: Settings, server: PhotoServer) -> None:
    wanted = numbered(0, 200)
    dice = random.Random(3)
    refused = {photo_id for photo_id in wanted if dice.random() < 0.6}
    server.outage, server.hit = "403", refused.__contains__
    summary = fetch(settings, server, *wanted)
    assert set(summary.statuses) == {"ok", "failed"}
    assert "of the last" in reason(settings)
    written = {row["photo_id"] for row in attempts(settings) if row["status"] == "gone"}
    assert written, "before the host was doubted, they were verdicts"
    assert {ledger(settings)[photo_id]["status"] for photo_id in written} == {"failed"}
    server.outage = None
    assert fetch(settings, server, *wanted).statuses == {"ok": 200}
    assert IncompleteFetch.read(settings.paths) is None


def test_a_photograph_that_is_withdrawn_among_good_ones_is_gone(settings: Settings, server: PhotoServer) -> None:
    withdrawn = numbered(0, 6, habit="forbidden")
    summary = fetch(settings, server, *numbered(0, 150), *withdrawn)
    assert summary.statuses == {"ok": 150, "gone": 6}
    assert IncompleteFetch.read(settings.paths) is None


def test_many_that_are_withdrawn_are_gone_where_all_others_are_given_again(
    settings: Settings, server: PhotoServer
) -> None:
    fetch(settings, server, *numbered(0, 30))
    withdrawn = numbered(0, 70, habit="forbidden")
    summary = fetch(settings, server, *numbered(0, 40), *withdrawn)
    assert summary.statuses == {"ok": 40, "gone": 70}


def test_a_few_refusals_of_a_host_that_gave_nothing_yet_are_asked_for_again(
    settings: Settings, server: PhotoServer
) -> None:
    """Neither are they verdicts, nor is the host left alone: a small site does not hold up a large scope."""
    away = {f"away-{number}": f"http://few.test/photos/forbidden-{number}/large.jpg" for number in range(2)}
    write_index(settings, {photo_id: PhotoServer.url(photo_id) for photo_id in numbered(0, 30)} | away)
    hosts = {**server.hosts, "few.test": ("127.0.0.1", server.port)}
    summary = fetch_photos(settings.paths, settings, hosts=hosts, log=lambda _: None, patience=QUICK)
    assert summary.statuses == {"ok": 30, "failed": 2}
    assert IncompleteFetch.read(settings.paths) is None
    assert "few.test has not given any photograph" in ledger(settings)["away-0"]["error"]
