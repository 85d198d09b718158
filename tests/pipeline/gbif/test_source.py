"""A download is asked for once, waited for, fetched whole; a search is paged to its end; both survive a restart."""

import datetime as dt
import gzip
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import stamina

from pipeline.config.settings import Settings
from pipeline.errors import ArchiveError, GbifError
from pipeline.gbif import download as download_module
from pipeline.gbif.answers import DownloadStatus, Page
from pipeline.gbif.client import Api, Credentials
from pipeline.gbif.occurrences import build_occurrences
from pipeline.gbif.scope import predicate
from pipeline.gbif.source import SourceRecord, fetch_source
from pipeline.launching.replica import source_api
from tests.pipeline import tiny
from tests.pipeline.gbif_server import KEA, Gbif, fetch

Make = Callable[..., Settings]


@pytest.fixture
def settings(make_settings: Make) -> Settings:
    return make_settings(source=KEA)


def test_a_download_is_asked_for_waited_for_and_recorded_with_its_citation(settings: Settings, gbif: Gbif) -> None:
    record = fetch(settings, gbif)
    assert (settings.paths.data_root / record.archive).read_bytes() == gbif.archive
    assert record == SourceRecord.read(settings.paths)
    assert (record.doi, record.licence, record.total_records) == ("10.5072/dl.1", "CC-BY-NC", 3)
    assert record.citation is not None
    assert "doi.org/10.5072/dl.1" in record.citation
    assert "secret" not in settings.paths.current_download.read_text()


def test_the_predicate_says_the_whole_scope_with_the_taxonomy_it_is_in(settings: Settings, gbif: Gbif) -> None:
    fetch(settings, gbif)
    (body,) = gbif.bodies
    clauses = {(clause["key"], clause["type"]): clause for clause in body["predicate"]["predicates"]}
    assert clauses["DATASET_KEY", "equals"]["value"] == settings.source.dataset_key
    assert clauses["MEDIA_TYPE", "equals"]["value"] == "StillImage"
    assert clauses["COUNTRY", "equals"]["value"] == "NZ"
    assert clauses["TAXON_KEY", "equals"]["value"] == "Q2M4"
    assert clauses["TAXON_KEY", "equals"]["checklistKey"] == settings.source.checklist_key
    assert clauses["YEAR", "greaterThanOrEquals"]["value"] == "2015"
    assert clauses["YEAR", "lessThanOrEquals"]["value"] == "2020"
    assert (body["format"], body["checklistKey"]) == ("DWCA", settings.source.checklist_key)


def test_a_run_without_an_address_of_the_operator_says_so_once(make_settings: Make, gbif: Gbif) -> None:
    for photos, lines in (({}, 1), ({"contact": "mailto:me@example.org"}, 0)):
        said: list[str] = []
        fetch_source(make_settings(source=KEA, photos=photos), api=gbif.api, log=said.append)
        assert sum("photos.contact is not set" in line for line in said) == lines


def test_a_second_run_goes_on_with_the_same_download_and_fetches_nothing(settings: Settings, gbif: Gbif) -> None:
    first = fetch(settings, gbif)
    assert fetch(settings, gbif) == first
    assert len(gbif.bodies) == len(gbif.archive_ranges) == 1


def test_a_scope_that_differs_is_another_download(settings: Settings, make_settings: Make, gbif: Gbif) -> None:
    fetch(settings, gbif)
    fetch(make_settings(source={"mode": "download", "country": "NZ"}), gbif)
    assert len(gbif.bodies) == 2


def test_killed_while_waiting_it_asks_for_the_same_key(
    settings: Settings, gbif: Gbif, monkeypatch: pytest.MonkeyPatch
) -> None:
    gbif.states = ["RUNNING", "RUNNING", "SUCCEEDED"]

    class Kill(BaseException):
        """Ends the process in the middle of a wait."""

    def killed(_seconds: float) -> None:
        raise Kill

    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", killed)
        with pytest.raises(Kill):
            fetch(settings, gbif)
    record = fetch(settings, gbif)
    assert len(gbif.bodies) == 1
    assert record.key == next(iter(gbif.known))


def remove_archives(settings: Settings) -> None:
    """What a person does who needs the space."""
    for archive in settings.paths.downloads.glob("*/*.zip"):
        archive.unlink()


def test_a_key_that_gbif_does_not_know_any_more_is_asked_for_anew(settings: Settings, gbif: Gbif) -> None:
    first = fetch(settings, gbif)
    remove_archives(settings)
    gbif.known.clear()
    assert fetch(settings, gbif).key != first.key


def test_a_new_download_is_asked_for_when_the_last_one_is_too_old(settings: Settings, gbif: Gbif) -> None:
    first = fetch(settings, gbif)
    for max_age, bodies in ((dt.timedelta(hours=1), 1), (dt.timedelta(0), 2)):
        record = fetch_source(settings, api=gbif.api, log=lambda _: None, max_age=max_age)
        assert len(gbif.bodies) == bodies
    assert record.key != first.key


@pytest.mark.parametrize("state", ["FAILED", "KILLED", "CANCELLED"])
def test_a_download_that_gbif_ends_is_an_error_and_the_next_run_asks_anew(
    settings: Settings, gbif: Gbif, state: str
) -> None:
    gbif.states = ["RUNNING", state]
    with pytest.raises(GbifError, match=state):
        fetch(settings, gbif)
    gbif.states = ["SUCCEEDED"]
    fetch(settings, gbif)
    assert len(gbif.bodies) == 2


def lose_track(settings: Settings) -> None:
    """What a run leaves that dies between GBIF's answer and writing it down."""
    (request,) = settings.paths.downloads.glob("*/request.json")
    request.unlink()


def test_a_key_that_was_never_written_down_is_found_in_the_users_list(settings: Settings, gbif: Gbif) -> None:
    first = fetch(settings, gbif)
    lose_track(settings)
    assert fetch(settings, gbif).key == first.key
    assert len(gbif.bodies) == 1


@pytest.mark.parametrize(
    ("changed", "value"),
    [("format", "SIMPLE_CSV"), ("checklistKey", "d7dddbf4-2cf0-4f39-9b2a-bb099caae36c"), ("predicate", {"type": "x"})],
)
def test_a_listed_download_of_something_else_is_not_taken(
    settings: Settings, gbif: Gbif, changed: str, value: object
) -> None:
    fetch(settings, gbif)
    lose_track(settings)
    gbif.bodies[0][changed] = value
    fetch(settings, gbif)
    assert len(gbif.bodies) == 2


def test_an_old_listed_download_is_not_taken(settings: Settings, gbif: Gbif) -> None:
    first = fetch(settings, gbif)
    lose_track(settings)
    gbif.created[first.key] = "2025-09-04T07:33:31.455+00:00"
    assert fetch(settings, gbif).key != first.key


def test_an_answer_that_is_lost_makes_no_second_download(settings: Settings, gbif: Gbif) -> None:
    gbif.loses_answers = 1
    record = fetch(settings, gbif)
    assert [record.key] == list(gbif.known)
    assert len(gbif.bodies) == 1


def test_while_three_are_unfinished_no_other_is_asked_for(settings: Settings, make_settings: Make, gbif: Gbif) -> None:
    body = {"format": "DWCA", "predicate": {"type": "equals", "key": "COUNTRY", "value": "BG"}}
    for number in range(3):
        gbif.bodies.append(body)
        gbif.known[f"000000{number}-250827131500795"] = ["RUNNING"]
        gbif.created[f"000000{number}-250827131500795"] = dt.datetime.now(tz=dt.UTC).isoformat()
    said: list[str] = []

    def finish_one(text: str) -> None:
        said.append(text)
        if "are unfinished" in text:
            assert not any(each.startswith("POST") for each in gbif.asked)
            gbif.known["0000001-250827131500795"] = ["SUCCEEDED"]

    fetch_source(settings, api=gbif.api, log=finish_one)
    assert "3 downloads of this user are unfinished" in said[0]
    assert sum(each.startswith("POST") for each in gbif.asked) == 1


def test_a_busy_gbif_is_waited_for_longer_than_any_other_call(settings: Settings, gbif: Gbif) -> None:
    gbif.busy = [(420, {})] * 15 + [(429, {"Retry-After": "1"})]
    said: list[str] = []
    begun = time.monotonic()
    fetch_source(settings, api=gbif.api, log=said.append)
    assert time.monotonic() - begun >= 1
    assert len(gbif.bodies) == 1
    assert "420" in next(text for text in said if "waiting until GBIF accepts" in text)
    assert sum("waiting until GBIF accepts" in text for text in said) == 2


def test_a_gbif_that_stays_busy_for_half_a_day_ends_the_run(
    settings: Settings, gbif: Gbif, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download_module, "LONGEST_BUSY", 0.2)
    gbif.busy = [(420, {})] * 1000
    with pytest.raises(GbifError, match="accepted no download"):
        fetch(settings, gbif)


def test_a_key_that_is_given_is_fetched_without_an_account(make_settings: Make, gbif: Gbif, settings: Settings) -> None:
    key = fetch(settings, gbif).key
    given = make_settings(source={"mode": "download", "download_key": key}, data_root=settings.data_root / "other")
    gbif.known[key] = ["RUNNING", "SUCCEEDED"]
    with source_api(given) as anonymous:
        assert anonymous.credentials is None
    api = Api(gbif.api.url, poll_seconds=(0.01, 0.02))
    record = fetch_source(given, api=api, log=lambda _: None)
    assert (record.key, record.doi) == (key, "10.5072/dl.1")
    # This GBIF does not say which checklist the download follows: its keys will.
    assert record.checklist_key is None
    assert len(gbif.bodies) == 1


def test_a_key_that_gbif_does_not_know_is_named(make_settings: Make, gbif: Gbif) -> None:
    given = make_settings(source={"mode": "download", "download_key": "0000006-130717145108713"})
    with pytest.raises(GbifError, match=r"0000006-130717145108713; check source\.download_key"):
        fetch(given, gbif)


def test_recorded_listings_are_understood(shared: Path, settings: Settings) -> None:
    recorded = json.loads((shared / "gbif" / "download" / "rgbif__occ_download_list__0.json").read_text())
    listed = recorded["_response"]["results"]
    assert len(listed) == 20
    # None of them is this scope's; one with this scope's predicate, as GBIF would list it, is.
    assert not any(download_module._is_ours(DownloadStatus.model_validate(each), settings.source) for each in listed)
    ours = dict(listed[1])
    ours["request"] = {**ours["request"], "predicate": predicate(settings.source)}
    ours |= {"status": "RUNNING", "created": dt.datetime.now(tz=dt.UTC).isoformat(timespec="milliseconds")}
    assert download_module._is_ours(DownloadStatus.model_validate(ours), settings.source)


def test_a_search_is_paged_to_its_end(make_settings: Make, gbif: Gbif) -> None:
    settings = make_settings(source={"mode": "search", "country": "NZ"})
    gbif.count = 601
    record = fetch(settings, gbif)
    assert record.total_records == 601
    with gzip.open(settings.paths.data_root / record.archive, "rt") as lines:
        assert [json.loads(line)["key"] for line in lines] == [str(n) for n in range(601)]
    assert [(page["offset"], page["limit"]) for page in gbif.pages] == [
        (["0"], ["300"]), (["300"], ["300"]), (["600"], ["300"]),
    ]  # fmt: skip
    assert gbif.pages[0]["country"] == ["NZ"]
    build_occurrences(settings.paths, settings)
    assert len(tiny.read(settings.paths.table("occurrences"))) == 601


def test_a_search_that_ends_before_its_count_is_no_answer(
    make_settings: Make, gbif: Gbif, monkeypatch: pytest.MonkeyPatch
) -> None:
    searching = make_settings(source={"mode": "search"})
    empty = Page.model_validate({"count": 10, "endOfRecords": False, "results": []})
    monkeypatch.setattr(Api, "get", lambda *_, **__: empty)
    with pytest.raises(GbifError, match="ended at 0 of 10 records"):
        fetch(searching, gbif)
    assert not list(searching.paths.downloads.glob("**/records.jsonl.gz"))


def test_a_search_beyond_gbifs_limit_names_the_way_out(make_settings: Make, gbif: Gbif) -> None:
    gbif.count = 100_001
    with pytest.raises(GbifError, match=r"source\.mode download"):
        fetch(make_settings(source={"mode": "search"}), gbif)
    assert len(gbif.pages) == 1


def test_the_last_page_ends_where_a_search_ends(make_settings: Make, gbif: Gbif) -> None:
    gbif.count = 99_901
    record = fetch(make_settings(source={"mode": "search"}), gbif)
    assert record.total_records == 99_901
    assert [(page["offset"], page["limit"]) for page in gbif.pages[-2:]] == [
        (["99600"], ["300"]), (["99900"], ["100"]),
    ]  # fmt: skip


def test_pages_that_shift_are_read_again(make_settings: Make, gbif: Gbif) -> None:
    gbif.count, gbif.shift_after = 700, 300
    said: list[str] = []
    record = fetch_source(make_settings(source={"mode": "search"}), api=gbif.api, log=said.append)
    assert record.total_records == 700
    assert any("has 700 records, its pages held 699 different ones; searching again" in text for text in said)


def pages_of(monkeypatch: pytest.MonkeyPatch, *counts: int) -> list[int]:
    """Let GBIF say these counts, one a page and the last for good; the offsets that it is asked for."""
    coming, offsets = list(counts), []

    def get(_api: Api, _path: str, _shape: object, parameters: Mapping[str, Any]) -> Page:
        offsets.append(parameters["offset"])
        count = coming.pop(0) if len(coming) > 1 else coming[0]
        keys = range(parameters["offset"], min(parameters["offset"] + parameters["limit"], count))
        return Page.model_validate({"count": count, "results": [{"key": str(key)} for key in keys]})

    monkeypatch.setattr(Api, "get", get)
    return offsets


def test_a_count_that_changes_meanwhile_is_read_again(
    make_settings: Make, gbif: Gbif, monkeypatch: pytest.MonkeyPatch
) -> None:
    offsets = pages_of(monkeypatch, 500, 501)
    assert fetch(make_settings(source={"mode": "search"}), gbif).total_records == 501
    assert offsets == [0, 300, 0, 300]


def test_a_search_that_never_holds_still_is_no_answer(
    make_settings: Make, gbif: Gbif, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages_of(monkeypatch, *range(500, 600))
    settings = make_settings(source={"mode": "search"})
    with pytest.raises(GbifError, match=r"had 504 records, and at record 300 it had 505, 3 times; .*download"):
        fetch(settings, gbif)
    assert not list(settings.paths.downloads.glob("**/records.jsonl.gz"))


def test_recorded_pages_give_the_same_tables_as_an_archive(make_settings: Make, shared: Path) -> None:
    settings = make_settings(source={"mode": "search"})
    records = (shared / "gbif" / "inat_records.jsonl").read_bytes()
    raw = settings.paths.downloads / "search" / "records.jsonl.gz"
    raw.parent.mkdir(parents=True)
    raw.write_bytes(gzip.compress(records))
    record = SourceRecord(
        mode="search",
        key="recorded",
        predicate={},
        checklist_key=settings.source.checklist_key,
        archive=str(raw.relative_to(settings.data_root)),
        sha256="0",
    )
    settings.paths.current_download.write_text(record.model_dump_json())
    build_occurrences(settings.paths, settings)
    occurrences = tiny.read(settings.paths.table("occurrences"))
    expected = [json.loads(line) for line in records.splitlines()]
    assert {row["occurrence_key"] for row in occurrences} == {str(record["key"]) for record in expected}
    assert all(row["observation_id"].isdigit() for row in occurrences)
    media = tiny.read(settings.paths.table("media"))
    assert len(media) == sum(len(record["media"]) for record in expected)


def searched(settings: Settings, content: bytes) -> None:
    """The pages of a search as they lie here."""
    raw = settings.paths.downloads / "search" / "records.jsonl.gz"
    raw.parent.mkdir(parents=True)
    raw.write_bytes(content)
    record = SourceRecord(
        mode="search", key="s", predicate={}, checklist_key="c", sha256="0",
        archive=str(raw.relative_to(settings.data_root)),
    )  # fmt: skip
    settings.paths.current_download.write_text(record.model_dump_json())


def test_a_record_of_another_shape_leaves_a_trace_and_the_others_stay(make_settings: Make) -> None:
    settings = make_settings(source={"mode": "search"})
    odd = ['{"key": 2, "media": 3, "classifications": {"c": 1}}', '{"key": 3, "issues": 4, "media": ["x"]}', "{}"]
    searched(settings, gzip.compress("\n".join(['{"key": 1, "media": []}', *odd]).encode()))
    build_occurrences(settings.paths, settings)
    assert [row["occurrence_key"] for row in tiny.read(settings.paths.table("occurrences"))] == ["1"]
    rejected = [(row["key"], row["rule"]) for row in tiny.read(settings.paths.rejections_of("occurrences"))]
    assert [key for key, rule in rejected if rule == "unreadable_line"] == [
        "multimedia.txt:2", "multimedia.txt:3", "occurrence.txt:2", "occurrence.txt:3",
    ]  # fmt: skip
    assert ("occurrence.txt:4", "no_gbif_id") in rejected


@pytest.mark.parametrize(
    "content", [gzip.compress(b'{"key": 1}', mtime=0)[:-6], b"no gzip", gzip.compress(b'{"key": 1', mtime=0)]
)
def test_damaged_pages_say_what_to_do(make_settings: Make, content: bytes) -> None:
    settings = make_settings(source={"mode": "search"})
    searched(settings, content)
    with pytest.raises(ArchiveError, match=r"is damaged .*gbif_download again"):
        build_occurrences(settings.paths, settings)


def test_a_gbif_that_does_not_answer_is_one_readable_line(settings: Settings) -> None:
    begun = time.monotonic()
    stamina.set_testing(True, attempts=2)
    try:
        account = Credentials(user="kea", password="secret", email="kea@example.org")
        with pytest.raises(GbifError, match="did not answer") as error:
            fetch_source(settings, api=Api("http://127.0.0.1:9/v1", credentials=account), log=lambda _: None)
    finally:
        stamina.set_testing(False)
    assert "secret" not in str(error.value)
    assert time.monotonic() - begun < 20
