"""The downloads that were asked for: their requests, their way to SUCCEEDED, and what outlives a restart."""

import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from demo.gbif.archive import write_archive
from demo.gbif.facets import PredicateError, check_predicate
from demo.gbif.search import Index

MAX_UNFINISHED = 3
# 10.21373 is the prefix of GBIF's own test system: a replica's DOI must never look like a published one.
_DOI_PREFIX = "10.21373/dl."


class TooManyDownloadsError(Exception):
    """A user has as many unfinished downloads as GBIF allows."""


@dataclass(frozen=True, kw_only=True)
class Download:
    """One download that was asked for.

    Attributes:
        key: As GBIF makes them: seven digits, a dash, fifteen digits.
        request: The document as it was sent, without the addresses to notify.
        release: Release of the source that it is a snapshot of.
        source: What the source was: a digest of the CSV of photographs, or empty for rendered organisms.
        created: Seconds since the epoch.
        cancelled: Seconds since the epoch, or None.
    """

    key: str
    request: dict[str, Any]
    release: int
    source: str
    created: float
    cancelled: float | None = None

    @property
    def doi(self) -> str:
        """The download's DOI, the same for the same key."""
        return _DOI_PREFIX + hashlib.sha256(self.key.encode()).hexdigest()[:6]

    def status(self, *, now: float, step: float) -> str:
        """PREPARING, RUNNING and SUCCEEDED follow each other after `step` seconds each; CANCELLED stays."""
        if self.cancelled is not None:
            return "CANCELLED"
        elapsed = now - self.created
        return "PREPARING" if elapsed < step else "RUNNING" if elapsed < 2 * step else "SUCCEEDED"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).isoformat(timespec="milliseconds")


class Downloads:
    """All downloads of a replica.

    Args:
        open_index: Gives the occurrences of a release; an older download stays a snapshot of its own release.
        release: The release served now.
        source: What the source is; downloads of another one in the same state folder are not known here.
        state: Folder of one JSON file a download, or None to forget them at the end.
        step: Seconds of PREPARING, and of RUNNING.
    """

    def __init__(
        self, *, open_index: Callable[[int], Index], release: int, source: str, state: Path | None, step: float
    ) -> None:
        """Remember the arguments and read the downloads that the state folder holds."""
        self._open_index = open_index
        self._release = release
        self._source = source
        self._state = state
        self._step = step
        self._known: dict[str, Download] = {}
        self._archives: dict[tuple[str, str], bytes] = {}
        if state is not None:
            state.mkdir(parents=True, exist_ok=True)
            for path in sorted(state.glob("*.json")):
                download = Download(**json.loads(path.read_text()))
                self._known[download.key] = download

    def create(self, body: object) -> Download:
        """Accept a request.

        Raises:
            PredicateError: The document or its predicate is none, or its format is not DWCA.
            TooManyDownloadsError: Three downloads are unfinished.
        """
        if not isinstance(body, dict):
            raise PredicateError("The request must be a JSON object")
        request = {
            "predicate": body.get("predicate"),
            "sendNotification": bool(body.get("sendNotification", False)),
            "format": body.get("format", "DWCA"),
            "type": "OCCURRENCE",
            "verbatimExtensions": body.get("verbatimExtensions", []),
        }
        if body.get("checklistKey") is not None:
            request["checklistKey"] = body["checklistKey"]
        check_predicate(request["predicate"])
        if request["format"] != "DWCA":
            raise PredicateError(f"The replica delivers the format DWCA, not {request['format']!r}")
        now = time.time()
        unfinished = [each for each in self._known.values() if self._is_unfinished(each, now=now)]
        if len(unfinished) >= MAX_UNFINISHED:
            raise TooManyDownloadsError(f"{len(unfinished)} simultaneous downloads; the limit is {MAX_UNFINISHED}")
        download = Download(
            key=self._next_key(request), request=request, release=self._release, source=self._source, created=now
        )
        self._keep(download)
        return download

    def find(self, key: str) -> Download | None:
        """The download of this key, if it is known and of this source."""
        download = self._known.get(key)
        return download if download is not None and download.source == self._source else None

    def find_doi(self, doi: str) -> Download | None:
        """The download of this DOI, if it is known and of this source."""
        return next((each for key, each in self._known.items() if each.doi == doi and self.find(key)), None)

    def listing(self, *, limit: int, offset: int, host: str, base: str) -> dict[str, Any]:
        """A page of the user's downloads, the last first, as `document` describes each.

        Only downloads of the release that is served: those of an earlier one are, in the replica's time, a year old.
        """
        ours = [each for each in self._known.values() if (each.source, each.release) == (self._source, self._release)]
        ours.sort(key=lambda each: (each.created, each.key), reverse=True)
        return {
            "offset": offset,
            "limit": limit,
            "endOfRecords": offset + limit >= len(ours),
            "count": len(ours),
            "results": [self.document(each, host=host, base=base) for each in ours[offset : offset + limit]],
        }

    def cancel(self, download: Download) -> None:
        """Stop a download; one that is finished stays as it is."""
        if self._is_unfinished(download, now=time.time()):
            self._keep(replace(download, cancelled=time.time()))

    def archive(self, download: Download, *, base: str) -> bytes | None:
        """The archive of a download, or None while it is not SUCCEEDED."""
        if download.status(now=time.time(), step=self._step) != "SUCCEEDED":
            return None
        if (download.key, base) not in self._archives:
            rows = self._open_index(download.release).select(download.request["predicate"])
            self._archives[download.key, base] = write_archive(rows, key=download.key, doi=download.doi, base=base)
        return self._archives[download.key, base]

    def document(self, download: Download, *, host: str, base: str) -> dict[str, Any]:
        """The status document of a download, with the keys of the recorded ones.

        Args:
            download: The download.
            host: Scheme and host that the request came to, for the link.
            base: Scheme and host of the photograph addresses, which decide the archive's size.
        """
        status = download.status(now=time.time(), step=self._step)
        total = len(self._open_index(download.release).select(download.request["predicate"]))
        archive = self.archive(download, base=base)
        document: dict[str, Any] = {
            "key": download.key,
            "license": "http://creativecommons.org/licenses/by-nc/4.0/legalcode" if total else "unspecified",
            "request": download.request,
            "created": _moment(download.created),
            "modified": _moment(self._modified(download, status=status)),
            "eraseAfter": _moment(download.created + timedelta(days=180).total_seconds()),
            "status": status,
            "downloadLink": f"{host}/v1/occurrence/download/request/{download.key}.zip",
            "size": len(archive) if archive is not None else 0,
            "totalRecords": total,
            "numberDatasets": 1 if total and status == "SUCCEEDED" else 0,
        }
        return document | ({"doi": download.doi} if status == "SUCCEEDED" else {})

    def _modified(self, download: Download, *, status: str) -> float:
        if download.cancelled is not None:
            return download.cancelled
        return download.created + {"PREPARING": 0, "RUNNING": 1, "SUCCEEDED": 2}[status] * self._step

    def _is_unfinished(self, download: Download, *, now: float) -> bool:
        return download.status(now=now, step=self._step) in {"PREPARING", "RUNNING"}

    def _next_key(self, request: dict[str, Any]) -> str:
        # The same requests in the same order get the same keys: a pipeline that runs twice ends in the same tables.
        asked = json.dumps([request, self._release, self._source], sort_keys=True)
        digits = int.from_bytes(hashlib.sha256(asked.encode()).digest()[:8], "big") % 10**15
        return f"{len(self._known) + 1:07d}-{digits:015d}"

    def _keep(self, download: Download) -> None:
        self._known[download.key] = download
        if self._state is not None:
            path = self._state / f"{download.key}.json"
            unfinished = path.with_suffix(".partial")
            unfinished.write_text(json.dumps(asdict(download), indent=1) + "\n")
            os.replace(unfinished, path)  # noqa: PTH105 - one call that replaces on every system
