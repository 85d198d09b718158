"""Hosts that fail as a whole: their photographs wait for a retry, and the run says so before a dataset is made."""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from pipeline.config.settings import Settings
from pipeline.defs.ingest import photos
from pipeline.defs.scope_resource import Scope
from pipeline.errors import IncompleteFetchError
from pipeline.fetching.fetch import FetchSummary, fetch_photos
from pipeline.fetching.hosts import Patience
from pipeline.fetching.refusals import MOST_HELD
from pipeline.photos.incomplete import IncompleteFetch
from pipeline.photos.ledger import SAMPLES, received_lately
from tests.pipeline import tiny
from tests.pipeline.photo_index import ledger, write_index
from tests.pipeline.photo_server import HOST, MIRROR, PhotoServer, jpeg, photo_server

QUICK = Patience(connect=10, attempts=3, first_wait=0.01, longest_wait=0.02, give_up=0.1)
AT_ONCE = 4
"""Simultaneous requests: so many more may be under way when a host is left alone."""


@pytest.fixture
def server() -> Iterator[PhotoServer]:
    with photo_server() as running:
        yield running


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings(photos={"concurrency": AT_ONCE, "requests_per_second": 5000})


def fetch(settings: Settings, server: PhotoServer, **others: int) -> FetchSummary:
    reached = {**server.hosts, **{name.replace("_", "."): ("127.0.0.1", port) for name, port in others.items()}}
    return fetch_photos(settings.paths, settings, hosts=reached, log=lambda _: None, patience=QUICK)


def index(settings: Settings, *photo_ids: str, **urls: str) -> None:
    write_index(settings, {photo_id: PhotoServer.url(photo_id) for photo_id in photo_ids} | urls)


def at(host: str, photo_id: str) -> str:
    return PhotoServer.url(photo_id).replace(HOST, host)


def sentence(summary: FetchSummary, *, most_failed: float = 0.01) -> str:
    """What the run ends with."""
    with pytest.raises(IncompleteFetchError) as caught:
        summary.require_complete(most_failed=most_failed)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_host_that_goes_out_ends_the_run_with_a_sentence_and_the_next_run_goes_on(
    settings: Settings, server: PhotoServer
) -> None:
    index(settings, *(f"ok-{number:03d}" for number in range(200)))
    outages = {
        "403": f"{HOST} refuses every photograph: answered 403 Forbidden",
        "401": f"{HOST} refuses every photograph: answered 401 Unauthorized",
        "html": f"{HOST} refuses every photograph: the body is HTML",
        "private": f"{HOST} refuses every photograph: 10.0.0.1 is the private address",
        "closed": f"{HOST} asked for a pause of 86400 s",
        "dated": f"{HOST} asked for a pause of 86",
    }
    for after, (outage, reason) in zip(range(20, 140, 20), outages.items(), strict=True):
        server.outage, server.outage_after = outage, after
        before = server.given
        server.requests.clear()
        summary = fetch(settings, server)
        assert summary.statuses == {"ok": after, "failed": 200 - after}, outage
        assert server.requests.total() - (after - before) <= MOST_HELD + SAMPLES + (1 + SAMPLES) * AT_ONCE, (
            "it is left alone"
        )
        said = sentence(summary)
        assert said.startswith(f"{200 - after} of 200 photographs could not be fetched: {200 - after} of {HOST} (")
        assert reason in said
        record = IncompleteFetch.read(settings.paths)
        assert record is not None
        assert record.reason == said
        assert f"after {record.retry_at:%Y-%m-%d %H:%M} UTC" in said, "when to come back"
        hours = (record.retry_at - record.recorded_at) / dt.timedelta(hours=1)
        assert hours == pytest.approx(24 if outage in {"closed", "dated"} else 6, abs=0.1)
    server.outage = None
    server.requests.clear()
    summary = fetch(settings, server)
    assert summary.statuses == {"ok": 200}
    assert server.requests.total() == 80, "what came is not asked for again"
    summary.require_complete(most_failed=0)
    assert IncompleteFetch.read(settings.paths) is None


def test_a_host_that_only_refuses_is_in_trouble_however_small(settings: Settings, server: PhotoServer) -> None:
    with photo_server() as other:
        other.outage = "403"
        blocked = {f"b{number}": at("blocked.test", f"ok-{number}") for number in range(24)}
        few = {f"f{number}": at("few.test", f"ok-{number}") for number in range(2)}
        index(settings, *(f"ok-{number}" for number in range(16)), **blocked, **few)
        summary = fetch(settings, server, blocked_test=other.port, few_test=other.port)
        assert summary.statuses == {"ok": 16, "failed": 26}
        assert {host.host: host.photos for host in summary.missing} == {"blocked.test": 24, "few.test": 2}
        assert "24 of blocked.test (blocked.test refuses" in sentence(summary)
        other.outage = None
        assert fetch(settings, server, blocked_test=other.port, few_test=other.port).statuses == {"ok": 42}


def test_photographs_that_are_refused_are_gone_where_others_are_given(settings: Settings, server: PhotoServer) -> None:
    index(settings, "ok-1", "ok-2")
    fetch(settings, server)
    refused = [f"forbidden-{number}" for number in range(MOST_HELD + 5)]
    index(settings, "ok-1", "ok-2", *refused)
    server.requests.clear()
    summary = fetch(settings, server)
    assert summary.statuses == {"ok": 2, "gone": len(refused)}
    assert {server.requests[photo_id] for photo_id in refused} == {1}
    assert server.requests["ok-1"] + server.requests["ok-2"] == 4, (
        "both that it gave, after a row of them and at the end"
    )
    assert fetch(settings, server).requests == 0


def test_what_a_host_says_is_not_there_is_gone_even_where_it_is_everything(
    settings: Settings, server: PhotoServer
) -> None:
    index(settings, *(f"gone-{number}" for number in range(MOST_HELD + 5)))
    summary = fetch(settings, server)
    assert summary.statuses == {"gone": MOST_HELD + 5}
    summary.require_complete(most_failed=0)


def test_photographs_that_failed_do_not_stand_before_those_never_asked_for(
    settings: Settings, server: PhotoServer
) -> None:
    failing = [f"forbidden-{number}" for number in range(MOST_HELD + 5)]
    index(settings, *failing)
    assert fetch(settings, server).statuses == {"failed": len(failing)}
    index(settings, *failing, *(f"ok-{number}" for number in range(40)))
    assert fetch(settings, server).statuses == {"ok": 40, "gone": len(failing)}


def test_many_hosts_that_cannot_be_reached_are_named(settings: Settings, server: PhotoServer) -> None:
    away = {f"{name}{number}": at(f"{name}.test", f"ok-{number}") for name in "abcd" for number in range(4)}
    index(settings, *(f"ok-{number}" for number in range(20)), **away)
    nobody = 1  # a port where no server listens
    summary = fetch(settings, server, a_test=nobody, b_test=nobody, c_test=nobody, d_test=nobody)
    assert summary.statuses == {"ok": 20, "failed": 16}
    said = sentence(summary)
    assert "4 of a.test (no connection: " in said
    assert "4 of 1 other hosts" in said
    summary.require_complete(most_failed=0.5)


def test_limits_of_a_host_hold_where_a_redirect_leads_to_it(
    make_settings: Callable[..., Settings], server: PhotoServer
) -> None:
    limits: dict[str, Any] = {"hosts": {MIRROR: {"concurrency": 2}}, "requests_per_second": 5000}
    settings = make_settings(photos=limits)
    with photo_server() as mirror:
        mirror.delay = 0.02
        index(settings, *(f"reflected-{number}" for number in range(12)))
        assert fetch(settings, server, mirror_test=mirror.port).statuses == {"ok": 12}
        assert mirror.most_running <= 2
        assert server.most_running > 2, "those that wait for the one hold up the other only as far as they must"
    sizes = {host: sum(size for _, size in bodies) for host, bodies in received_lately(settings.paths).items()}
    assert sizes == {MIRROR: sum(len(jpeg(number)) for number in range(12))}, "later runs know who sent the bytes"


def test_the_run_ends_after_the_ledger_and_before_the_dataset(
    make_settings: Callable[..., Settings], server: PhotoServer, tmp_path: Path
) -> None:
    """The asset itself, in a run of Dagster's."""
    limits = {"concurrency": AT_ONCE, "requests_per_second": 5000.0, "allow_private_hosts": True}
    settings = make_settings(source={"mode": "archive", "archive": str(tmp_path / "unused.zip")}, photos=limits)
    scope = tmp_path / "scope.yaml"
    scope.write_text(yaml.safe_dump(settings.model_dump(mode="json", exclude_unset=True)))
    local = {f"ok-{number}": f"http://127.0.0.1:{server.port}/photos/ok-{number}/large.jpg" for number in range(40)}
    write_index(settings, local)
    touched: list[str] = []

    @dg.asset(deps=[photos])
    def dataset() -> None:
        touched.append("dataset")

    def run() -> dg.ExecuteInProcessResult:
        assets: list[dg.AssetsDefinition | dg.AssetSpec] = [photos, dataset, dg.AssetSpec("photo_index")]
        return dg.materialize(assets, resources={"scope": Scope(config_file=str(scope))}, raise_on_error=False)

    server.outage, server.outage_after = "403", 12
    result = run()
    (failure,) = result.get_step_failure_events()
    assert failure.step_key == "photos"
    error = failure.step_failure_data.error
    assert error is not None
    while error.cause is not None:
        error = error.cause
    assert error.message.startswith("pipeline.errors.IncompleteFetchError: 28 of 40 photographs could not be fetched")
    assert touched == []
    assert Counter(row["status"] for row in ledger(settings).values()) == {"ok": 12, "failed": 28}
    assert len(tiny.read(settings.paths.rejections_of("photos"))) == 28, "counts add up"
    server.outage = None
    assert run().success
    assert touched == ["dataset"]
