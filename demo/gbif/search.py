"""The documents of /v1/occurrence/search: one occurrence as JSON, filters from a query string, pages."""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from demo.gbif.dates import date_parts, first_day
from demo.gbif.facets import (
    CHECKLIST_KEY,
    COUNTRY,
    DATASET_KEY,
    MULTIMEDIA,
    Facets,
    facets_of,
    known_parameters,
    matches,
)
from demo.gbif.licences import licence_address
from demo.records import RANKS, Media, Occurrence, Source, Taxon

MAX_LIMIT = 300
MAX_OFFSET = 100_000
INTERPRETED = "2026-01-05T06:00:00.000+00:00"
_PUBLISHER = "28eb1a3f-1c15-4a95-931a-4af90ecb574d"
_INSTALLATION = "997448a8-f762-11e1-a439-00145eb45e9a"
_TERMS = "http://purl.org/dc/terms/"
_PAGING = {"limit", "offset"}


class SearchError(Exception):
    """A search that GBIF answers with 400 and this text."""


def media_address(media: Media, *, base: str) -> str:
    """Where the original of a media item is served, in the form of iNaturalist's addresses."""
    if media.type == "Sound":
        return f"{base}/sounds/{media.photo_id}.mp3"
    ending = "png" if media.format == "image/png" else "jpg"
    return f"{base}/photos/{media.photo_id}/original.{ending}"


def accepted_name(taxon: Taxon) -> str:
    """The accepted scientific name: the matched name, or for a synonym the lowest name of its lineage."""
    if taxon.taxon_key == taxon.accepted_key:
        return taxon.scientific_name
    return next(taxon.lineage[rank].name for rank in reversed(RANKS) if rank in taxon.lineage)


def _taxonomy_json(taxon: Taxon) -> dict[str, Any]:
    if not taxon.taxon_key:
        return {}
    document: dict[str, Any] = {
        "taxonKey": taxon.taxon_key,
        "acceptedTaxonKey": taxon.accepted_key,
        "scientificName": taxon.scientific_name,
        "acceptedScientificName": accepted_name(taxon),
        "taxonRank": taxon.rank,
        "taxonomicStatus": taxon.status,
        "checklistKey": CHECKLIST_KEY,
    }
    for rank in RANKS:
        if rank in taxon.lineage:
            document[rank] = taxon.lineage[rank].name
            document[f"{rank}Key"] = taxon.lineage[rank].key
    generic = generic_name(taxon)
    return document | ({"genericName": generic} if generic else {})


def generic_name(taxon: Taxon) -> str:
    """First word of a binomial; empty for names above the genus and for BOLD bins."""
    named = taxon.rank in {"GENUS", "SPECIES", "SUBSPECIES", "VARIETY", "FORM"}
    return taxon.scientific_name.split()[0] if named and taxon.scientific_name else ""


def _media_json(media: Media, *, base: str, day: str) -> dict[str, str]:
    place = "sounds" if media.type == "Sound" else "photos"
    fields = {
        "type": media.type,
        "format": media.format,
        "references": f"https://www.inaturalist.org/{place}/{media.photo_id}",
        "created": f"{day}T00:00:00.000+00:00" if day else "",
        "creator": media.creator,
        "publisher": "iNaturalist",
        "license": media.licence,
        "rightsHolder": media.rights_holder,
        "identifier": media_address(media, base=base),
    }
    return {name: value for name, value in fields.items() if value}


def occurrence_json(occurrence: Occurrence, *, base: str) -> dict[str, Any]:
    """One element of `results`, with the keys of the recorded iNaturalist occurrences.

    Ranks that GBIF leaves blank are absent, as are all taxon fields of a record that matched nothing.

    Args:
        occurrence: The record.
        base: Scheme and host of the photograph addresses.
    """
    media = [_media_json(item, base=base, day=first_day(occurrence.event_date)) for item in occurrence.media]
    reference = f"https://www.inaturalist.org/observations/{occurrence.observation_id}"
    document: dict[str, Any] = {
        "key": int(occurrence.gbif_id),
        "datasetKey": DATASET_KEY,
        "publishingOrgKey": _PUBLISHER,
        "installationKey": _INSTALLATION,
        "hostingOrganizationKey": _PUBLISHER,
        "publishingCountry": "US",
        "protocol": "DWC_ARCHIVE",
        "lastCrawled": INTERPRETED,
        "lastParsed": INTERPRETED,
        "crawlId": 1,
        "extensions": {MULTIMEDIA: [{_TERMS + name: value for name, value in item.items()} for item in media]}
        if media
        else {},
        "basisOfRecord": "HUMAN_OBSERVATION",
        "occurrenceStatus": "PRESENT",
        **_taxonomy_json(occurrence.taxon),
        **_place_json(occurrence),
        "continent": "OCEANIA",
        "issues": list(occurrence.issues),
        "modified": INTERPRETED,
        "lastInterpreted": INTERPRETED,
        "references": reference,
        "license": licence_address(occurrence.licence),
        "identifiers": [{"identifier": occurrence.observation_id}],
        "media": media,
        "facts": [],
        "relations": [],
        "isInCluster": False,
        "datasetName": "iNaturalist research-grade observations",
        "recordedBy": occurrence.recorded_by,
        "identifiedBy": occurrence.recorded_by,
        "rightsHolder": occurrence.recorded_by,
        "countryCode": COUNTRY,
        "country": "New Zealand",
        "gbifRegion": "OCEANIA",
        "identifier": occurrence.observation_id,
        "collectionCode": "Observations",
        "institutionCode": "iNaturalist",
        "gbifID": occurrence.gbif_id,
        "occurrenceID": reference,
        "catalogNumber": occurrence.observation_id,
    }
    return document | _date_json(occurrence.event_date)


def _place_json(occurrence: Occurrence) -> dict[str, Any]:
    fields = {
        "decimalLatitude": occurrence.latitude,
        "decimalLongitude": occurrence.longitude,
        "coordinateUncertaintyInMeters": occurrence.uncertainty_m,
        "informationWithheld": occurrence.information_withheld or None,
        "geodeticDatum": None if occurrence.latitude is None else "WGS84",
    }
    return {name: value for name, value in fields.items() if value is not None}


def _date_json(event_date: str) -> dict[str, Any]:
    texts = {"eventDate": event_date, "verbatimEventDate": event_date, "dateIdentified": first_day(event_date)}
    parts = date_parts(event_date)._asdict()
    return {name: text for name, text in texts.items() if text} | {
        name: int(part) for name, part in parts.items() if part
    }


class Index:
    """The occurrences of one release with what they can be filtered by.

    Attributes:
        source: Where the occurrences come from.
    """

    def __init__(self, source: Source) -> None:
        """Remember the source; it is read at the first question."""
        self.source = source

    @cached_property
    def _rows(self) -> list[tuple[Occurrence, Facets]]:
        # Built at the first question, so that the replica is ready at once.
        return [(occurrence, facets_of(occurrence)) for occurrence in self.source.occurrences()]

    @cached_property
    def by_key(self) -> Mapping[str, Occurrence]:
        """Occurrences by gbifID."""
        return {occurrence.gbif_id: occurrence for occurrence, _ in self._rows}

    def select(self, predicate: Mapping[str, Any]) -> list[Occurrence]:
        """The occurrences that satisfy a checked predicate, in the order of the source."""
        return [occurrence for occurrence, facets in self._rows if matches(facets, predicate)]


def predicate_of(query: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """A query string as a predicate: values of one parameter are alternatives, parameters add up.

    Args:
        query: Parameter (GBIF's camel case) to its values; paging and unknown parameters are left out, as GBIF does.

    Raises:
        SearchError: A year is not a number or a range `a,b`.
    """
    parts: list[dict[str, Any]] = []
    for name, values in query.items():
        parameter = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()
        if name in _PAGING or parameter not in known_parameters():
            continue
        if parameter in {"YEAR", "MONTH"}:
            parts.append({"type": "or", "predicates": [_range(parameter, value) for value in values]})
        else:
            parts.append({"type": "in", "key": parameter, "values": list(values)})
    return {"type": "and", "predicates": parts}


def _range(parameter: str, value: str) -> dict[str, Any]:
    low, comma, high = value.partition(",")
    parts = []
    for kind, bound in (("greaterThanOrEquals", low), ("lessThanOrEquals", high if comma else low)):
        if bound in {"", "*"} and comma:
            continue
        if not bound.isdigit():
            raise SearchError(f"Invalid integer range: {value}")
        parts.append({"type": kind, "key": parameter, "value": bound})
    return {"type": "and", "predicates": parts}


def page(index: Index, query: Mapping[str, Sequence[str]], *, base: str) -> dict[str, Any]:
    """The answer to one search.

    Args:
        index: What is searched.
        query: The query string, parameter to values.
        base: Scheme and host of the photograph addresses.

    Raises:
        SearchError: A number is none, or the page lies beyond the 100,000 records that GBIF pages through.
    """
    limit = min(_count(query, "limit", default=20), MAX_LIMIT)
    offset = _count(query, "offset", default=0)
    if offset + limit > MAX_OFFSET:
        raise SearchError(f"Max offset of {MAX_OFFSET} exceeded: {offset} + {limit}")
    found = index.select(predicate_of(query))
    results = [occurrence_json(occurrence, base=base) for occurrence in found[offset : offset + limit]]
    return {
        "offset": offset,
        "limit": limit,
        "endOfRecords": offset + limit >= len(found),
        "count": len(found),
        "results": results,
        "facets": [],
    }


def _count(query: Mapping[str, Sequence[str]], name: str, *, default: int) -> int:
    values = query.get(name)
    if not values:
        return default
    if not values[0].isdigit():
        raise SearchError(f"Invalid {name}: {values[0]}")
    return int(values[0])
