"""Derived datasets: records with a DOI that stand for a part of a download. What was registered outlives a restart."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

# 10.21373 is the prefix of GBIF's own test system: a replica's DOI must never look like a published one.
_DOI_PREFIX = "10.21373/dd."


class RefusedError(Exception):
    """GBIF would refuse the request.

    Attributes:
        status: The HTTP status.
    """

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class DerivedDataset:
    """One derived dataset.

    Attributes:
        doi: Its DOI.
        request: The document as it was sent.
        user: Who sent it.
        created: Seconds since the epoch.
    """

    doi: str
    request: dict[str, Any]
    user: str
    created: float

    @property
    def citation(self) -> str:
        """GBIF's words for it."""
        moment = datetime.fromtimestamp(self.created, tz=UTC)
        date = f"{moment.day} {moment:%B %Y}"
        return f"Derived dataset GBIF.org ({date}) Filtered export of GBIF occurrence data https://doi.org/{self.doi}"

    def document(self) -> dict[str, Any]:
        """The answer that describes it; fields without a value are left out."""
        told = {
            "doi": self.doi,
            "originalDownloadDOI": self.request.get("originalDownloadDOI"),
            "description": self.request.get("description"),
            "citation": self.citation,
            "title": self.request["title"],
            "sourceUrl": self.request["sourceUrl"],
            "createdBy": self.user,
            "modifiedBy": self.user,
            "registrationDate": self.request.get("registrationDate"),
        }
        return {name: value for name, value in told.items() if value is not None}


class DerivedDatasets:
    """All derived datasets of a replica.

    Args:
        is_dataset: Whether a key or DOI is that of a dataset that the replica knows.
        is_download: Whether a DOI is that of a download that the replica knows.
        state: Folder of one JSON file for each, or None to forget them at the end.
    """

    def __init__(
        self, *, is_dataset: Callable[[str], bool], is_download: Callable[[str], bool], state: Path | None
    ) -> None:
        """Remember the arguments and read what the state folder holds."""
        self._is_dataset, self._is_download = is_dataset, is_download
        self._state = state
        self._known: dict[str, DerivedDataset] = {}
        if state is not None and state.is_dir():
            for path in sorted(state.glob("*.json")):
                found = DerivedDataset(**json.loads(path.read_text()))
                self._known[found.doi] = found

    def create(self, body: object, *, user: str, now: float) -> DerivedDataset:
        """Register one.

        Raises:
            RefusedError: A field is missing or wrong, or names a download or a dataset that is not known.
        """
        if not isinstance(body, dict):
            raise RefusedError("The request must be a JSON object")
        for name in ("title", "sourceUrl"):
            if not isinstance(body.get(name), str):
                raise RefusedError(f"Validation of [{name}] failed: must not be null", status=422)
        if urlsplit(body["sourceUrl"]).scheme not in {"http", "https"}:
            raise RefusedError("Validation of [sourceUrl] failed: URI must be a http(s) URI", status=422)
        related = body.get("relatedDatasets")
        if not isinstance(related, dict) or not related:
            raise RefusedError("Related datasets are required")
        original = body.get("originalDownloadDOI")
        if original is not None and not self._is_download(str(original)):
            raise RefusedError("Invalid original download DOI")
        for key, count in related.items():
            if not self._is_dataset(key):
                raise RefusedError(f"Invalid related datasets identifiers: Dataset with the key or DOI {key} not found")
            if not isinstance(count, int):
                raise RefusedError(f"Invalid number {count}")
        doi = _DOI_PREFIX + hashlib.sha256(f"{len(self._known)} {user} {body['title']}".encode()).hexdigest()[:6]
        made = DerivedDataset(doi=doi, request=body, user=user, created=now)
        self._keep(made)
        return made

    def find(self, doi: str) -> DerivedDataset | None:
        """The derived dataset of this DOI."""
        return self._known.get(doi)

    def listing(self, *, user: str, limit: int, offset: int) -> dict[str, Any]:
        """A page of the user's derived datasets, the last first."""
        ours = sorted(
            (each for each in self._known.values() if each.user == user), key=lambda each: each.created, reverse=True
        )
        return {
            "offset": offset,
            "limit": limit,
            "endOfRecords": offset + limit >= len(ours),
            "count": len(ours),
            "results": [each.document() for each in ours[offset : offset + limit]],
        }

    def _keep(self, made: DerivedDataset) -> None:
        self._known[made.doi] = made
        if self._state is not None:
            self._state.mkdir(parents=True, exist_ok=True)
            path = self._state / f"{made.doi.partition('/')[2]}.json"
            unfinished = path.with_suffix(".partial")
            unfinished.write_text(json.dumps(asdict(made), indent=1) + "\n")
            os.replace(unfinished, path)  # noqa: PTH105 - one call that replaces on every system
