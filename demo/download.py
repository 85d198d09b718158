"""GBIF's asynchronous downloads: asking, waiting by the clock, fetching, cancelling, remembering over a restart.

The replica's world stands still: a release has one day, the same request has the same key, and an archive has the
same bytes however often it is asked for. DOIs bear DataCite's test prefix, since they lead nowhere.
"""

import calendar
import datetime as dt
import json
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from demo import archive
from demo.predicates import PredicateError, from_predicate
from demo.records import RECORD_LICENCES, Occurrence, Source
from demo.search import PUBLISHED
from demo.taxa import digest

MOST_UNFINISHED: Final = 3
"""Downloads that one account may have running."""
TEST_DOI_PREFIX: Final = "10.5072"
FORMATS: Final = frozenset({"DWCA"})
_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"


class TooManyError(Exception):
    """More downloads are running than one account may have; GBIF answers 420."""


@dataclass(frozen=True, kw_only=True)
class Download:
    """One download that was asked for."""

    key: str
    creator: str
    request: dict[str, Any]
    """The predicate and options, as the status document repeats them."""
    source: str
    """Fingerprint of the source that it was asked from."""
    release: int
    asked: float
    """Seconds since the epoch."""
    cancelled: bool = False


class Downloads:
    """All downloads of one replica.

    Args:
        source: Where the records are from.
        release: The release that new downloads see.
        seconds: How long a download is PREPARING, and then RUNNING.
        state: A folder that remembers downloads over a restart; None forgets them.
    """

    def __init__(self, source: Source, *, release: int, seconds: float, state: Path | None) -> None:
        self._source, self._release, self._seconds, self._state = source, release, seconds, state
        self._archives: dict[tuple[str, str], bytes] = {}
        self._known: dict[str, Download] = {}
        if state is not None:
            state.mkdir(parents=True, exist_ok=True)
            for path in sorted(state.glob("*.json")):
                download = Download(**json.loads(path.read_text(encoding="utf-8")))
                if download.source == source.fingerprint:
                    self._known[download.key] = download

    def ask(self, body: object, *, creator: str) -> str:
        """Ask for a download and return its key; the same request has the same key.

        Raises:
            PredicateError: the request cannot be understood.
            TooManyError: three downloads are running.
        """
        if not isinstance(body, dict):
            raise PredicateError("Could not read the request: an object is expected")
        if body.get("format", "DWCA") not in FORMATS:
            raise PredicateError(f"The replica delivers the format DWCA, not {body.get('format')}")
        predicate = body.get("predicate")
        from_predicate(predicate)
        identity = (json.dumps(predicate, sort_keys=True), self._source.fingerprint, self._release)
        number = digest("download", *identity)
        key = f"{number % 10**7:07d}-{PUBLISHED[self._release].replace('-', '')[2:]}{number // 10**7 % 10**9:09d}"
        known = self._known.get(key)
        if known is not None and not known.cancelled:
            return key
        if sum(self._status(item) in {"PREPARING", "RUNNING"} for item in self._known.values()) >= MOST_UNFINISHED:
            raise TooManyError(
                "A download limitation is exceeded:\n"
                f"User {creator} has too many simultaneous downloads; the limit is {MOST_UNFINISHED}.\n"
                "Please wait for some to complete, or cancel any unwanted downloads.  See your user page.\n"
            )
        request: dict[str, Any] = {
            "predicate": predicate,
            "sendNotification": bool(body.get("sendNotification", False)),
            "format": "DWCA",
            "type": "OCCURRENCE",
            "verbatimExtensions": [],
        }
        self._keep(
            Download(
                key=key,
                creator=creator,
                request=request,
                source=self._source.fingerprint,
                release=self._release,
                asked=time.time(),
            )
        )
        return key

    def cancel(self, key: str) -> bool:
        """Cancel a download; False when there is none of this key."""
        known = self._known.get(key)
        if known is None:
            return False
        self._keep(replace(known, cancelled=True))
        return True

    def document(self, key: str, *, host: str, base: str) -> dict[str, Any] | None:
        """GBIF's document about a download; None when there is none of this key.

        Args:
            key: The download's key.
            host: Scheme and host of the download's own address.
            base: Scheme and host of the media addresses.
        """
        known = self._known.get(key)
        if known is None:
            return None
        status = self._status(known)
        done = status == "SUCCEEDED"
        moment = f"{PUBLISHED[known.release]}T09:00:00.000+00:00"
        return {
            "key": key,
            **({"doi": self._doi(known)} if done else {}),
            "license": RECORD_LICENCES["CC_BY_NC_4_0"] if done else "unspecified",
            "request": known.request,
            "created": moment,
            "modified": moment,
            "eraseAfter": f"2027-05-{moment[8:]}",
            "status": status,
            "downloadLink": f"{host}/v1/occurrence/download/request/{key}.zip",
            "size": len(self._archive(known, base)) if done else 0,
            "totalRecords": len(self._records(known)),
            "numberDatasets": 1 if done else 0,
        }

    def archive(self, key: str, *, base: str) -> bytes | None:
        """The archive; None when it is not there, or not yet."""
        known = self._known.get(key)
        return None if known is None or self._status(known) != "SUCCEEDED" else self._archive(known, base)

    def citation(self, key: str) -> str | None:
        """How to cite a finished download; None when it is not there, or not yet."""
        known = self._known.get(key)
        if known is None or self._status(known) != "SUCCEEDED":
            return None
        day = dt.date.fromisoformat(PUBLISHED[known.release])
        said = f"{day.day} {calendar.month_name[day.month]} {day.year}"
        return f"GBIF.org ({said}) GBIF Occurrence Download https://doi.org/{self._doi(known)}\n"

    def _status(self, item: Download) -> str:
        if item.cancelled:
            return "CANCELLED"
        elapsed = time.time() - item.asked
        return "PREPARING" if elapsed < self._seconds else "RUNNING" if elapsed < 2 * self._seconds else "SUCCEEDED"

    def _records(self, item: Download) -> Sequence[Occurrence]:
        test = from_predicate(item.request["predicate"])
        return [occurrence for occurrence in self._source.occurrences(item.release) if test(occurrence)]

    def _archive(self, item: Download, base: str) -> bytes:
        """The archive's bytes, kept: they are asked for in pieces."""
        kept = self._archives.get((item.key, base))
        if kept is None:
            kept = self._archives[item.key, base] = archive.write(
                self._records(item),
                key=item.key,
                doi=self._doi(item),
                predicate=item.request["predicate"],
                base=base,
                release=item.release,
            )
        return kept

    def _doi(self, item: Download) -> str:
        number = digest("doi", item.key)
        suffix = "".join(_LETTERS[number // len(_LETTERS) ** place % len(_LETTERS)] for place in range(6))
        return f"{TEST_DOI_PREFIX}/dl.{suffix}"

    def _keep(self, item: Download) -> None:
        self._known[item.key] = item
        if self._state is None:
            return
        # Another replica may read the folder at this moment: the file is whole or absent.
        handle, name = tempfile.mkstemp(dir=self._state, suffix=".partial")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(asdict(item), stream, sort_keys=True)
        Path(name).replace(self._state / f"{item.key}.json")
