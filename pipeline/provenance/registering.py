"""Registers a dataset version as a GBIF derived dataset, which credits exactly the datasets that its records are of.

GBIF gives it a DOI that stays for good, so nothing is sent twice: what was registered is remembered beside the dataset
version, and before a request is sent GBIF is asked what this account has registered already.
See https://techdocs.gbif.org/en/openapi/v1/registry and https://www.gbif.org/derived-dataset/about.
"""

import csv
import datetime as dt
import os
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

from pydantic import Field

from pipeline.config.settings import Settings
from pipeline.dataset.attribution import derived_dataset_path
from pipeline.dataset.registration import Registration
from pipeline.errors import GbifError
from pipeline.gbif.answers import Answer, read_answer
from pipeline.gbif.client import Api, BusyError, Credentials
from pipeline.pages.web_addresses import TEST_PREFIX
from pipeline.provenance.kept import Kept

PATH: Final = "/derivedDataset"
LISTED: Final = 100
"""Derived datasets of the account that one page holds."""
VARIABLES: Final = ("GBIF_USER", "GBIF_PASSWORD")


class DerivedDataset(Answer):
    """A derived dataset as GBIF describes it."""

    doi: str
    citation: str
    title: str = ""
    description: str = ""
    source_url: str = Field(alias="sourceUrl", default="")


class DerivedDatasets(Answer):
    """A page of an account's derived datasets."""

    end: bool = Field(alias="endOfRecords", default=True)
    results: tuple[DerivedDataset, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is sent to GBIF."""

    dataset_version: str
    body: dict[str, Any]

    @property
    def mark(self) -> str:
        """What the description says of the version, and by which it is found again."""
        return _mark(self.dataset_version)


def prepare(
    settings: Settings,
    kept: Kept,
    *,
    title: str,
    source_url: str,
    description: str | None = None,
    registration_date: dt.date | None = None,
) -> Request:
    """The request for a dataset version.

    Args:
        settings: The configuration.
        kept: What is kept of the version.
        title: The title of the derived dataset.
        source_url: Where the data can be got: a lasting address, of Zenodo for instance.
        description: How it was made; default a sentence with the rules and counts.
        registration_date: When GBIF shall register the DOI; None: at once.

    Raises:
        GbifError: the version has no records of GBIF's, or belongs to another GBIF than the configuration's.
        TableError: the version is not kept here.
    """
    manifest = kept.manifest()
    if manifest.download_key is None:
        raise GbifError(
            f"dataset {kept.version} holds own photographs, none of GBIF's records: there is nothing to register"
        )
    made_up = bool(manifest.doi and manifest.doi.startswith(TEST_PREFIX))
    if made_up != (settings.source.mode == "replica"):
        whose = "of the replica, and its DOI is made up" if made_up else "not of the replica"
        raise GbifError(f"dataset {kept.version} is {whose}; source.mode is {settings.source.mode}: name its --config")
    if urlsplit(source_url).scheme not in {"http", "https"}:
        raise GbifError(f"{source_url!r} is no web address; --source-url names where the data can be got")
    with (kept.folder / derived_dataset_path(settings.paths).name).open(encoding="utf-8", newline="") as stream:
        related = {row["dataset_key"]: int(row["count"]) for row in csv.DictReader(stream)}
    if not related:
        raise GbifError(f"no record of dataset {kept.version} names a GBIF dataset: there is nothing to register")
    counts = manifest.counts
    told = description or (
        f"{counts['train']:,} training and {counts['validation']:,} validation photographs of {counts['species']:,} "
        f"species, selected from the records of GBIF by rules: usable photographs, species with enough of them."
    )
    body: dict[str, Any] = {
        "title": title,
        "description": f"{told} {_mark(kept.version)}",
        "sourceUrl": source_url,
        "relatedDatasets": related,
    }
    if manifest.doi:
        body["originalDownloadDOI"] = manifest.doi
    if registration_date is not None:
        body["registrationDate"] = f"{registration_date.isoformat()}T00:00:00.000+0000"
    return Request(dataset_version=kept.version, body=body)


def register(api: Api, request: Request) -> tuple[Registration, bool]:
    """Register the dataset with GBIF, unless this account has registered it before.

    Returns:
        The registration, not yet written, and whether it is new.

    Raises:
        GbifError: there are no credentials, GBIF refused, or it is not known whether it acted.
    """
    account = api.account()
    found = _registered(api, user=account.user, mark=request.mark)
    new = found is None
    if found is None:
        try:
            answer = api.post_json(PATH, request.body)
        except BusyError as error:
            raise GbifError(
                f"{error}; it may have registered the dataset all the same: run the same command again, which looks "
                "for it first"
            ) from error
        found = read_answer(answer.encode(), DerivedDataset, address=f"{api.url}{PATH}")
    return Registration(
        doi=found.doi,
        citation=found.citation,
        title=found.title or request.body["title"],
        source_url=found.source_url or request.body["sourceUrl"],
        original_doi=request.body.get("originalDownloadDOI"),
        registered=dt.datetime.now(tz=dt.UTC).isoformat(timespec="seconds"),
        api=api.url,
    ), new


def account() -> Credentials:
    """The account that registers: `GBIF_USER` and `GBIF_PASSWORD` of the environment.

    Raises:
        GbifError: one of them is missing.
    """
    missing = [name for name in VARIABLES if not os.environ.get(name)]
    if missing:
        raise GbifError(
            f"to register a derived dataset takes {' and '.join(missing)} in the environment; make an account on "
            "gbif.org, or look at the request with --dry-run"
        )
    user, password = (os.environ[name] for name in VARIABLES)
    return Credentials(user=user, password=password, email="")


def _registered(api: Api, *, user: str, mark: str) -> DerivedDataset | None:
    """The derived dataset of this version among those of the account."""
    path = f"{PATH}/user/{quote(user, safe='', errors='surrogateescape')}"
    offset = 0
    while True:
        page = api.get(path, DerivedDatasets, {"limit": LISTED, "offset": offset}, authenticated=True)
        for each in page.results:
            if mark in each.description:
                return each
        if page.end or not page.results:
            return None
        offset += len(page.results)


def _mark(version: str) -> str:
    return f"NatureWatch dataset version {version}."
