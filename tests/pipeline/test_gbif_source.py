"""A download is asked for once, waited for, fetched whole; a search is paged to its end; both survive a restart."""

import gzip
import io
import json
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import stamina

from pipeline.config import Settings
from pipeline.errors import ArchiveError, GbifError
from pipeline.gbif import source as source_module
from pipeline.gbif.http import Api, Credentials
from pipeline.gbif.source import SourceRecord, fetch_source
from pipeline.gbif.tables import build_occurrences
from tests.pipeline import tiny

Make = Callable[..., Settings]


def archive() -> bytes:
    """A zip of real size; what is inside does not matter here."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as members:
        members.writestr("occurrence.txt", "gbifID\n" + "7\n" * 150_000)
    return stream.getvalue()


class Gbif(ThreadingHTTPServer):
    """GBIF's downloads and searches, as recorded in shared/data/gbif, with a memory of what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.archive = archive()
        self.states = ["PREPARING", "RUNNING", "SUCCEEDED"]
        self.known: dict[str, list[str]] = {}
        self.bodies: list[dict[str, Any]] = []
        self.archive_ranges: list[str] = []
        self.pages: list[dict[str, list[str]]] = []
        self.cut_after: int | None = None
        self.count = 0

    @property
    def api(self) -> Api:
        account = Credentials(user="kea", password="secret", email="kea@example.org")
        url = f"http://127.0.0.1:{self.server_address[1]}/v1"
        return Api(url, credentials=account, poll_seconds=(0.01, 0.02))


class Handler(BaseHTTPRequestHandler):
    server: Gbif

    def do_POST(self) -> None:
        if not self.headers.get("Authorization", "").startswith("Basic "):
            self._answer(401, b"Unauthorized")
            return
        self.server.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        key = f"{len(self.server.bodies):07}-261100000000000"
        self.server.known[key] = list(self.server.states)
        self._answer(201, key.encode())

    def do_GET(self) -> None:
        path = urlsplit(self.path)
        name = path.path.rsplit("/", 1)[-1]
        if name == "search":
            self._page(parse_qs(path.query))
        elif name.endswith(".zip"):
            self._archive()
        elif name == "citation":
            self._answer(200, b"GBIF.org (23 November 2026) GBIF Occurrence Download https://doi.org/10.5072/dl.1")
        elif name in self.server.known:
            states = self.server.known[name]
            state = states.pop(0) if len(states) > 1 else states[0]
            size = len(self.server.archive) if state == "SUCCEEDED" else 0
            document = {"key": name, "doi": "10.5072/dl.1", "status": state, "size": size, "totalRecords": 3}
            self._answer(200, json.dumps({**document, "license": "CC-BY-NC", "created": "2026-11-23"}).encode())
        else:
            self._answer(404, b"Download was not found")

    def _page(self, query: dict[str, list[str]]) -> None:
        self.server.pages.append(query)
        offset, limit = int(query["offset"][0]), int(query["limit"][0])
        records = [{"key": str(n), "media": []} for n in range(offset, min(offset + limit, self.server.count))]
        page = {"count": self.server.count, "endOfRecords": offset + limit >= self.server.count, "results": records}
        self._answer(200, json.dumps(page).encode())

    def _archive(self) -> None:
        self.server.archive_ranges.append(self.headers.get("Range", ""))
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        body = self.server.archive[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut, self.server.cut_after = self.server.cut_after, None
        self.wfile.write(body[:cut])

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def gbif() -> Iterator[Gbif]:
    with Gbif() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def settings(make_settings: Make) -> Settings:
    """Kea of New Zealand, by download."""
    return make_settings(
        source={"mode": "download", "taxon_keys": ["Q2M4"], "country": "NZ", "years": [2015, 2020]},
    )


def fetch(settings: Settings, gbif: Gbif) -> SourceRecord:
    return fetch_source(settings, api=gbif.api, log=lambda _: None)


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


def test_a_second_run_goes_on_with_the_same_download_and_fetches_nothing(settings: Settings, gbif: Gbif) -> None:
    first = fetch(settings, gbif)
    assert fetch(settings, gbif) == first
    assert len(gbif.bodies) == len(gbif.archive_ranges) == 1


def test_a_scope_that_differs_is_another_download(settings: Settings, make_settings: Make, gbif: Gbif) -> None:
    fetch(settings, gbif)
    fetch(make_settings(source={"mode": "download", "country": "NZ"}), gbif)
    assert len(gbif.bodies) == 2


def test_an_archive_that_breaks_off_is_gone_on_with(settings: Settings, gbif: Gbif) -> None:
    gbif.cut_after = 200_000
    record = fetch(settings, gbif)
    assert (settings.paths.data_root / record.archive).read_bytes() == gbif.archive
    first, second = gbif.archive_ranges
    assert first == ""
    assert 100_000 <= int(second.removeprefix("bytes=").rstrip("-")) <= 200_000


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


def test_a_key_that_gbif_does_not_know_any_more_is_asked_for_anew(settings: Settings, gbif: Gbif) -> None:
    first = fetch(settings, gbif)
    gbif.known.clear()
    assert fetch(settings, gbif).key != first.key


def test_a_week_later_a_new_download_is_asked_for(
    settings: Settings, gbif: Gbif, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fetch(settings, gbif)
    monkeypatch.setattr(source_module, "FRESH", source_module.FRESH * 0)
    assert fetch(settings, gbif).key != first.key


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


def test_an_archive_that_is_no_zip_is_refused_and_not_kept(settings: Settings, gbif: Gbif) -> None:
    gbif.archive = b"<html>" * 1000
    with pytest.raises(ArchiveError, match="no zip"):
        fetch(settings, gbif)
    gbif.archive = archive()
    fetch(settings, gbif)


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


def test_a_search_beyond_gbifs_limit_names_the_way_out(make_settings: Make, gbif: Gbif) -> None:
    gbif.count = 100_001
    with pytest.raises(GbifError, match=r"source\.mode download"):
        fetch(make_settings(source={"mode": "search"}), gbif)
    assert len(gbif.pages) == 1


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
