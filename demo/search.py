"""GBIF's JSON for records: `/v1/occurrence/search`, and `/v1/species/match`. Filters are in `predicates`."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from demo.predicates import PredicateError, from_parameters
from demo.records import INATURALIST, RECORD_LICENCES, Media, Occurrence
from demo.taxa import COL_XR, RANKS, rank_keys

MOST_PER_PAGE: Final = 300
DEEPEST: Final = 100_000
"""Records that a search can reach; more need a download."""
ORGANISATION: Final = "28eb1a3f-1c15-4a95-931a-4af90ecb574d"
"""iNaturalist.org, the dataset's publisher."""
INSTALLATION: Final = "997448a8-f762-11e1-a439-00145eb45e9a"
PUBLISHED: Final = {1: "2026-11-02", 2: "2026-11-09"}
"""The day of each release."""
MULTIMEDIA: Final = "http://rs.gbif.org/terms/1.0/Multimedia"
DC: Final = "http://purl.org/dc/terms/"

Json = dict[str, Any]


def page(
    occurrences: Sequence[Occurrence], parameters: Mapping[str, Sequence[str]], *, base: str, release: int
) -> Json:
    """One page of a search.

    Raises:
        PredicateError: GBIF would answer 400.
    """
    limit = min(_count(parameters, "limit", 20), MOST_PER_PAGE)
    offset = _count(parameters, "offset", 0)
    if offset + limit > DEEPEST:
        raise PredicateError(f"Max offset of {DEEPEST + 1} exceeded: {offset} + {limit}")
    test = from_parameters(parameters)
    found = [item for item in occurrences if test(item)]
    return {
        "offset": offset,
        "limit": limit,
        "endOfRecords": offset + limit >= len(found),
        "count": len(found),
        "results": [record(item, base=base, release=release) for item in found[offset : offset + limit]],
        "facets": [],
    }


def record(item: Occurrence, *, base: str, release: int) -> Json:
    """One record as the search delivers it."""
    crawled = f"{PUBLISHED[release]}T09:00:00.000+00:00"
    address = f"https://www.inaturalist.org/observations/{item.observation}"
    return {
        "key": item.key,
        "gbifID": str(item.key),
        "datasetKey": INATURALIST,
        "publishingOrgKey": ORGANISATION,
        "installationKey": INSTALLATION,
        "hostingOrganizationKey": ORGANISATION,
        "publishingCountry": "US",
        "protocol": "DWC_ARCHIVE",
        "lastCrawled": crawled,
        "lastParsed": crawled,
        "lastInterpreted": crawled,
        "crawlId": 600 + release,
        "extensions": {MULTIMEDIA: [_extension(one, item, base) for one in item.media]} if item.media else {},
        "basisOfRecord": "HUMAN_OBSERVATION",
        "occurrenceStatus": "PRESENT",
        **_taxonomy(item),
        "decimalLatitude": item.latitude,
        "decimalLongitude": item.longitude,
        "geodeticDatum": "WGS84",
        "continent": "OCEANIA",
        "stateProvince": item.region,
        "year": item.date.year,
        "month": item.date.month,
        "day": item.date.day,
        "eventDate": item.date.isoformat(),
        "startDayOfYear": item.date.timetuple().tm_yday,
        "endDayOfYear": item.date.timetuple().tm_yday,
        "issues": ["COORDINATE_ROUNDED", *item.identification.issues],
        "references": address,
        "license": RECORD_LICENCES[item.licence],
        "isSequenced": False,
        "identifiers": [{"identifier": str(item.observation)}],
        "media": [_media(one, item, base) for one in item.media],
        "facts": [],
        "relations": [],
        "isInCluster": False,
        "datasetName": "iNaturalist research-grade observations",
        "recordedBy": item.observer,
        "identifiedBy": item.observer,
        "recordedByIDs": [],
        "identifiedByIDs": [],
        "countryCode": "NZ",
        "country": "New Zealand",
        "gbifRegion": "OCEANIA",
        "publishedByGbifRegion": "NORTH_AMERICA",
        "rightsHolder": item.observer,
        "identifier": str(item.observation),
        "collectionCode": "Observations",
        "institutionCode": "iNaturalist",
        "catalogNumber": str(item.observation),
        "occurrenceID": address,
    }


def epithets(name: str) -> Json:
    """genericName, specificEpithet and infraspecificEpithet of a scientific name, as far as it has them."""
    words = [word for word in name.split() if word != "\N{MULTIPLICATION SIGN}"]
    fields = ("genericName", "specificEpithet", "infraspecificEpithet")
    return dict(zip(fields, words, strict=False)) if words and ":" not in words[0] else {}


def match(occurrences: Sequence[Occurrence], *, name: str, kingdom: str) -> Json:
    """`/v1/species/match`: the taxon of this exact name among those that the replica has records of."""
    found: dict[str, Json] = {}
    for item in occurrences:
        identified = item.identification
        lineage = [part for part in identified.lineage if part]
        if kingdom and kingdom != identified.lineage[0]:
            continue
        if name == identified.scientific_name:
            found[identified.key] = _usage(item, depth=7, name=name)
        elif name in lineage:
            depth = identified.lineage.index(name) + 1
            found[rank_keys(identified.lineage)[RANKS[depth - 1]]] = _usage(item, depth=depth, name=name)
    if len(found) == 1:
        return next(iter(found.values()))
    note = {"note": f"Multiple equal matches for {name}"} if found else {}
    return {"confidence": 100, "matchType": "NONE", "synonym": False, **note}


def _usage(item: Occurrence, *, depth: int, name: str) -> Json:
    identified = item.identification
    ranks = [rank for index, rank in enumerate(RANKS) if index < depth and identified.lineage[index]]
    whole = depth == 7
    return {
        "usageKey": identified.key if whole else identified.keys[ranks[-1]],
        "scientificName": name,
        "canonicalName": name,
        "rank": identified.rank if whole else ranks[-1].upper(),
        "status": identified.status if whole else "ACCEPTED",
        "confidence": 99,
        "matchType": "EXACT",
        **{rank: identified.lineage[RANKS.index(rank)] for rank in ranks},
        **{f"{rank}Key": identified.keys[rank] for rank in ranks},
        "synonym": whole and identified.status == "SYNONYM",
    }


def _taxonomy(item: Occurrence) -> Json:
    identified = item.identification
    if not identified.key:
        return {}
    ranks = {rank: name for rank, name in zip(RANKS, identified.lineage, strict=True) if name}
    keys = identified.keys
    return {
        "taxonKey": identified.key,
        **{f"{rank}Key": key for rank, key in keys.items()},
        "acceptedTaxonKey": identified.accepted_key,
        "scientificName": identified.scientific_name,
        "acceptedScientificName": identified.accepted_name,
        **ranks,
        **epithets(identified.scientific_name),
        "taxonRank": identified.rank,
        "taxonomicStatus": identified.status,
        "classifications": {
            COL_XR: {
                "usage": {"key": identified.key, "name": identified.scientific_name, "rank": identified.rank},
                "acceptedUsage": {"key": identified.accepted_key, "name": identified.accepted_name},
                "taxonomicStatus": identified.status,
                "classification": [
                    {"key": keys[rank], "name": name, "rank": rank.upper()} for rank, name in ranks.items()
                ],
                "issues": list(identified.issues),
            }
        },
    }


def _media(one: Media, item: Occurrence, base: str) -> Json:
    fields = {
        "type": one.type,
        "format": one.format,
        "references": one.reference,
        "created": f"{item.date.isoformat()}T00:00:00.000+00:00",
        "creator": one.creator,
        "publisher": "iNaturalist",
        "license": one.licence,
        "rightsHolder": one.rights_holder,
        "identifier": one.address(base),
    }
    return {name: value for name, value in fields.items() if value}


def _extension(one: Media, item: Occurrence, base: str) -> Json:
    catalogue = {"http://rs.tdwg.org/dwc/terms/catalogNumber": one.media_id}
    return {**catalogue, **{f"{DC}{name}": value for name, value in _media(one, item, base).items()}}


def _count(parameters: Mapping[str, Sequence[str]], name: str, default: int) -> int:
    values = parameters.get(name, ())
    if not values:
        return default
    if not values[-1].isdigit():
        raise PredicateError(f"Invalid value for {name}: {values[-1]}")
    return int(values[-1])
