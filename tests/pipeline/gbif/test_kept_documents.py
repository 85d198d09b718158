"""What was fetched and verified is used, whatever has become of it where it came from."""

import datetime as dt
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import stamina

from pipeline.config.settings import Settings
from pipeline.errors import GbifError
from pipeline.gbif.client import Api, Credentials
from pipeline.gbif.download import FRESH
from pipeline.gbif.source import SourceRecord, fetch_source
from pipeline.launching.replica import source_api
from tests.pipeline.gbif_server import KEA, Gbif, fetch

Make = Callable[..., Settings]
KEY = "0000006-130717145108713"
OFFLINE = Api("http://127.0.0.1:9/v1", credentials=Credentials(user="kea", password="secret", email="kea@example.org"))


@pytest.fixture(autouse=True)
def _few_attempts() -> Iterator[None]:
    stamina.set_testing(True, attempts=2)
    yield
    stamina.set_testing(False)


@pytest.fixture
def settings(make_settings: Make) -> Settings:
    return make_settings(source=KEA)


def again(settings: Settings, api: Api, *, max_age: dt.timedelta = FRESH) -> tuple[SourceRecord, str]:
    """The record of another run, and what it said."""
    said: list[str] = []
    return fetch_source(settings, api=api, log=said.append, max_age=max_age), "\n".join(said)


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("fate", ["FILE_ERASED", "forgotten", "offline"])
def test_a_download_that_lies_here_is_used_whatever_became_of_it(
    make_settings: Make, gbif: Gbif, fate: str, *, given: bool
) -> None:
    source = {"mode": "download", "download_key": KEY} if given else KEA
    settings = make_settings(source=source)
    gbif.known[KEY] = ["SUCCEEDED"]
    first = fetch(settings, gbif)
    asked = len(gbif.asked)
    gbif.known[first.key] = ["FILE_ERASED"]
    if fate == "forgotten":
        gbif.known.clear()
    record, said = again(settings, OFFLINE if fate == "offline" else gbif.api)
    assert record == first
    assert f"{first.key}, which was fetched and verified before" in said
    assert len(gbif.asked) == asked


def test_a_download_that_lies_here_needs_no_account(settings: Settings, gbif: Gbif) -> None:
    first = fetch(settings, gbif)
    with source_api(settings) as api:
        assert again(settings, api)[0] == first


def test_an_erased_download_that_is_not_here_says_what_can_be_done(make_settings: Make, gbif: Gbif) -> None:
    gbif.known[KEY] = ["FILE_ERASED"]
    settings = make_settings(source={"mode": "download", "download_key": KEY})
    with pytest.raises(GbifError, match=r"erased .*give another source\.download_key, or none") as caught:
        fetch(settings, gbif)
    assert "start again" not in str(caught.value)


def test_an_erased_download_of_this_scope_is_asked_for_anew_where_its_archive_is_lost(
    settings: Settings, gbif: Gbif
) -> None:
    first = fetch(settings, gbif)
    (settings.paths.data_root / first.archive).unlink()
    gbif.known[first.key] = ["FILE_ERASED"]
    assert fetch(settings, gbif).key != first.key


def test_an_archive_that_was_changed_here_is_not_used(settings: Settings, gbif: Gbif) -> None:
    first = fetch(settings, gbif)
    archive = settings.paths.data_root / first.archive
    archive.write_bytes(b"something else")
    archive.with_name(f"{archive.name}.sha256.json").unlink()
    archive.rename(archive.with_suffix(".moved"))
    assert fetch(settings, gbif).sha256 == first.sha256
    assert len(gbif.archive_ranges) == 2


def test_a_week_later_an_offline_gbif_leaves_what_is_here_in_use(settings: Settings, gbif: Gbif) -> None:
    first = fetch(settings, gbif)
    record, said = again(settings, OFFLINE, max_age=dt.timedelta(0))
    assert record == first
    assert "did not answer" in said
    assert first.key in said


def test_without_anything_here_an_offline_gbif_ends_the_run(settings: Settings) -> None:
    with pytest.raises(GbifError, match="did not answer"):
        again(settings, OFFLINE)


@pytest.mark.parametrize("status", [410, 403, 404, 503])
def test_an_archive_whose_address_fails_later_is_used_from_here(make_settings: Make, gbif: Gbif, status: int) -> None:
    settings = make_settings(source={"mode": "archive", "archive": f"{gbif.api.url}/nz.zip"})
    first = fetch(settings, gbif)
    gbif.archive_status = status
    record, said = again(settings, gbif.api)
    assert record == first
    assert str(status) in said
    assert "going on with" in said


def test_an_archive_whose_host_is_gone_is_used_from_here(make_settings: Make, gbif: Gbif) -> None:
    settings = make_settings(source={"mode": "archive", "archive": f"{gbif.api.url}/nz.zip"})
    first = fetch(settings, gbif)
    gbif.archive_status = None
    gbif.silent = True
    record, said = again(settings, gbif.api)
    assert record == first
    assert "did not answer" in said


def test_a_search_that_cannot_be_repeated_today_leaves_the_earlier_one(make_settings: Make, gbif: Gbif) -> None:
    settings = make_settings(source={"mode": "search", "country": "NZ"})
    gbif.count = 3
    first = fetch(settings, gbif)
    folder = (settings.paths.data_root / first.archive).parent
    folder.rename(folder.with_name(folder.name[:-8] + "20200101"))
    record, said = again(settings, OFFLINE)
    assert (record.sha256, record.key[-8:]) == (first.sha256, "20200101")
    assert "which was fetched before" in said


@pytest.mark.parametrize("text", ["{}", "[]", "not json", '{"key": "1"}', '{"key": "1", "requested_at": "2026-11-24"}'])
def test_a_request_that_another_version_wrote_is_found_in_gbifs_list(settings: Settings, gbif: Gbif, text: str) -> None:
    first = fetch(settings, gbif)
    (request,) = settings.paths.downloads.glob("*/request.json")
    request.write_text(text)
    assert fetch(settings, gbif).key == first.key
    assert len(gbif.bodies) == 1


@pytest.mark.parametrize("text", ["", "null", "{}", '{"mode": "download", "key": 3}', "\udcff"])
def test_a_record_that_another_version_wrote_is_refused_with_what_to_do(settings: Settings, text: str) -> None:
    settings.paths.downloads.mkdir(parents=True)
    settings.paths.current_download.write_text(text, errors="surrogateescape")
    with pytest.raises(GbifError, match=r"download\.json is not what this version .*gbif_download again"):
        SourceRecord.read(settings.paths)


def test_a_record_with_more_in_it_is_read(settings: Settings, gbif: Gbif) -> None:
    record = fetch(settings, gbif)
    document = json.loads(settings.paths.current_download.read_text())
    settings.paths.current_download.write_text(json.dumps({**document, "later": "addition"}))
    assert SourceRecord.read(settings.paths) == record


def test_a_data_root_without_records_beside_the_archives_is_known_by_its_current_download(
    settings: Settings, gbif: Gbif
) -> None:
    first = fetch(settings, gbif)
    for record in settings.paths.downloads.glob("*/record.json"):
        record.unlink()
    assert again(settings, OFFLINE)[0] == first


def test_a_user_name_of_any_letters_finds_its_downloads(settings: Settings, gbif: Gbif, tmp_path: Path) -> None:
    gbif.user = "k\u0113\u0101/?#"
    account = Credentials(user=gbif.user, password="\u043f\u0430\u0440\u043e\u043b\u044c", email="kea@example.org")
    api = Api(gbif.api.url, credentials=account, poll_seconds=(0.01, 0.02))
    first = fetch_source(settings, api=api, log=lambda _: None)
    (settings.paths.downloads / first.archive.split("/")[1] / "request.json").unlink()
    assert again(settings, api)[0].key == first.key
    assert len(gbif.bodies) == 1
