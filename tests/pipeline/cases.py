"""Small archives that once broke something, run from the archive to the pack, with a photo host for their addresses.

The archives are shared data; their media addresses have a port of their own, which becomes that of the host here.
"""

import contextlib
import gzip
import hashlib
import threading
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pipeline.config.settings import Settings
from pipeline.dataset.clean import build_clean_occurrences
from pipeline.dataset.pack import build_training_photos
from pipeline.dataset.species import build_species
from pipeline.dataset.split import build_genus_photos, build_split
from pipeline.dataset.taxonomy import build_taxonomy
from pipeline.fetching.fetch import FetchSummary, fetch_photos
from pipeline.fetching.hosts import Patience
from pipeline.gbif.client import Api
from pipeline.gbif.occurrences import build_occurrences
from pipeline.gbif.source import fetch_source
from pipeline.pages.photo_sheets import contact_sheet
from pipeline.photos.index import build_photo_index
from pipeline.rejections import counts
from pipeline.table_checks import check_table
from tests.pipeline.photo_server import jpeg
from tests.pipeline.tiny import read

PORT = b":18765/"
"""That of the archives."""
QUICK = Patience(connect=2, attempts=3, first_wait=0.01, longest_wait=0.02, give_up=0.2)


class PhotoHost(ThreadingHTTPServer):
    """`/photos/<behaviour>/<name>` and `/file/<case>/<name>`."""

    def __init__(self, cases: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.cases = cases
        self.requests: Counter[str] = Counter()
        self.mended = False
        """Whether what was moody gives its photographs."""


class _Handler(BaseHTTPRequestHandler):
    server: PhotoHost
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.requests[path] += 1
        place, behaviour, name = path.strip("/").split("/", 2)
        if place == "file":
            self._send((self.server.cases / behaviour / name).read_bytes())
        else:
            getattr(self, f"_{behaviour}")(jpeg(int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)))

    def _ok(self, body: bytes) -> None:
        self._send(body)

    def _moody(self, body: bytes) -> None:
        if self.server.mended:
            self._send(body)
        else:
            self._send(b"Forbidden", status=403, kind="text/plain")

    def _headers(self, body: bytes) -> None:
        self._send(body, more={"X-Policy": "x" * 11_000})

    def _octet(self, body: bytes) -> None:
        self._send(body, kind="application/octet-stream")

    def _charset(self, body: bytes) -> None:
        self._send(body, kind="image/jpeg; charset=utf-8")

    def _trailing(self, body: bytes) -> None:
        self._send(body + b"after the end of the image")

    def _gzip(self, body: bytes) -> None:
        self._send(gzip.compress(body), more={"Content-Encoding": "gzip"})

    def _moved(self, _body: bytes) -> None:
        self._send(b"", status=302, more={"Location": self.path.replace("/moved/", "/ok/")})

    def _date(self, body: bytes) -> None:
        self._send(body, more={"Last-Modified": "yesterday, or so", "Expires": "-1"})

    def _cut(self, body: bytes) -> None:
        """Without a length the end of the connection is the end of the body: half of it, the first time."""
        first = self.server.requests[unquote(urlsplit(self.path).path)] == 1
        self.send_response(200)
        self.send_header("Content-Type", "image/jpeg")
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if first else body)

    def _chunked(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "image/jpeg")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for begin in range(0, len(body), 100):
            piece = body[begin : begin + 100]
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def _send(
        self, body: bytes, *, status: int = 200, kind: str = "image/jpeg", more: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(more or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def end_headers(self) -> None:
        """One answer a connection, so that no thread waits for another question."""
        self.send_header("Connection", "close")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def photo_host(cases: Path) -> Iterator[PhotoHost]:
    """The host for the time of the block."""
    with PhotoHost(cases) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def archive_of(case: Path, host: PhotoHost, target: Path) -> Path:
    """A copy of the archive of a case, whose photographs are at the host."""
    port = f":{host.server_address[1]}/".encode()
    with zipfile.ZipFile(case / "archive.zip") as given, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as copy:
        for info in given.infolist():
            copy.writestr(info.filename, given.read(info).replace(PORT, port))
    return target


@dataclass
class Outcome:
    """What a case came to."""

    settings: Settings
    said: list[str] = field(default_factory=list)
    summary: FetchSummary | None = None

    def rows(self, table: str) -> list[dict[str, Any]]:
        """A table."""
        return read(self.settings.paths.table(table))

    @property
    def classes(self) -> dict[str, int]:
        """Photographs of the dataset by species."""
        names = {row["class_id"]: row["name"] for row in self.rows("taxonomy") if row["class_id"] is not None}
        return dict(Counter(names[row["class_id"]] for row in self.rows("split")))

    @property
    def species(self) -> dict[str, int]:
        """Clean occurrences by species."""
        return dict(Counter(row["species"] for row in self.rows("clean_occurrences")))

    @property
    def removed(self) -> dict[str, dict[str, int]]:
        """Stage -> rule -> rows."""
        return counts(self.settings.paths)

    @property
    def statuses(self) -> dict[str, str]:
        """Status of each photograph of the ledger by the path of its address."""
        return {urlsplit(row["url"]).path: row["status"] for row in self.rows("photos")}


def indexed(settings: Settings) -> Outcome:
    """From the archive to the photographs that are to be fetched."""
    outcome = Outcome(settings=settings)
    fetch_source(settings, api=Api("http://127.0.0.1:9/v1"), log=outcome.said.append)
    build_occurrences(settings.paths, settings)
    build_clean_occurrences(settings.paths, settings)
    build_photo_index(settings.paths, settings)
    for table in ("occurrences", "media", "clean_occurrences", "photo_index", "rejections"):
        assert check_table(table, settings.paths.table(table)) == []
    return outcome


def fetched(outcome: Outcome) -> Outcome:
    """Fetch what is missing."""
    settings = outcome.settings
    outcome.summary = fetch_photos(settings.paths, settings, hosts={}, log=outcome.said.append, patience=QUICK)
    assert check_table("photos", settings.paths.table("photos")) == []
    return outcome


def dataset(outcome: Outcome) -> Outcome:
    """From the photographs to the pack that training reads, and a picture of it."""
    settings = outcome.settings
    for build in (build_species, build_taxonomy, build_split, build_genus_photos):
        build(settings.paths, settings)
    build_training_photos(settings.paths, settings, outcome.said.append)
    assert contact_sheet(settings.paths, settings).is_file()
    for table in ("species", "taxonomy", "split"):
        assert check_table(table, settings.paths.table(table)) == []
    return outcome


Run = Callable[..., Outcome]
"""`run(case, root="data", section={...})`: a case as far as its photographs are to be fetched."""


def settings_of(archive: Path, root: Path, **sections: Any) -> Settings:  # noqa: ANN401
    """The configuration of a case."""
    photos = {"allow_private_hosts": True, "requests_per_second": 5000, **sections.pop("photos", {})}
    source = {"mode": "archive", "archive": str(archive), **sections.pop("source", {})}
    return Settings.model_validate({"name": "case", "data_root": root, "photos": photos, "source": source, **sections})
