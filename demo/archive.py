"""Writes the Darwin Core Archive of a download, the same bytes for the same records.

Columns are those of GBIF's archives that iNaturalist's dataset fills or that readers expect, in GBIF's order; the
reader goes by meta.xml, as the standard has it.
"""

import io
import json
import zipfile
from collections.abc import Iterable, Sequence
from typing import Final
from xml.sax.saxutils import escape

from demo.records import INATURALIST, RECORD_LICENCES, Media, Occurrence
from demo.search import PUBLISHED, epithets
from demo.taxa import RANKS

_DC: Final = "http://purl.org/dc/terms/"
_DWC: Final = "http://rs.tdwg.org/dwc/terms/"
_GBIF: Final = "http://rs.gbif.org/terms/1.0/"
OCCURRENCE: Final = tuple(
    (space, name)
    for space, names in (
        (_GBIF, "gbifID"),
        (_DC, "accessRights identifier license modified references rightsHolder type"),
        (_DWC, "institutionCode collectionCode datasetName basisOfRecord informationWithheld occurrenceID"),
        (_DWC, "catalogNumber recordedBy individualCount sex lifeStage occurrenceStatus occurrenceRemarks"),
        (_DWC, "eventDate eventTime startDayOfYear endDayOfYear year month day verbatimEventDate continent"),
        (_DWC, "countryCode stateProvince verbatimLocality decimalLatitude decimalLongitude"),
        (_DWC, "coordinateUncertaintyInMeters identificationID identifiedBy dateIdentified taxonID scientificName"),
        (_DWC, "kingdom phylum class order family genus specificEpithet infraspecificEpithet taxonRank"),
        (_DWC, "taxonomicStatus"),
        (_GBIF, "datasetKey publishingCountry lastInterpreted issue mediaType hasCoordinate hasGeospatialIssues"),
        (_GBIF, "taxonKey acceptedTaxonKey kingdomKey phylumKey classKey orderKey familyKey genusKey speciesKey"),
        (_GBIF, "species genericName acceptedScientificName verbatimScientificName protocol lastParsed lastCrawled"),
    )
    for name in names.split()
)
"""Namespace and name of each column of occurrence.txt."""
VERBATIM: Final = tuple(
    (space, name)
    for space, names in (
        (_GBIF, "gbifID"),
        (_DWC, "occurrenceID catalogNumber recordedBy eventDate scientificName kingdom"),
    )
    for name in names.split()
)
MULTIMEDIA: Final = tuple(
    (space, name)
    for space, names in (
        (_GBIF, "gbifID"),
        (_DC, "type format identifier references title description source audience created creator contributor"),
        (_DC, "publisher license rightsHolder"),
    )
    for name in names.split()
)
"""Namespace and name of each column of multimedia.txt."""
_EML: Final = (
    '<?xml version="1.0" encoding="utf-8"?>\n'
    '<eml:eml xmlns:eml="eml://ecoinformatics.org/eml-2.1.1" packageId="{package}" system="http://gbif.org" '
    'scope="system" xml:lang="en">\n<dataset>\n<alternateIdentifier>{package}</alternateIdentifier>\n'
    "<title>{title}</title>\n<pubDate>{date}</pubDate>\n<language>ENGLISH</language>\n"
    "<abstract><para>{abstract}</para></abstract>\n</dataset>\n</eml:eml>\n"
)
DATASET_TITLE: Final = "iNaturalist Research-grade Observations (embedded replica)"


def write(
    occurrences: Sequence[Occurrence], *, key: str, doi: str, predicate: object, base: str, release: int
) -> bytes:
    """The archive.

    Args:
        occurrences: The records of the download.
        key: The download's key.
        doi: Its DOI.
        predicate: What was asked for.
        base: Scheme and host of the media addresses.
        release: The release that the records are from.
    """
    date = PUBLISHED[release]
    abstract = f"{len(occurrences)} records matching the query: {json.dumps(predicate, sort_keys=True)}"
    title = f"GBIF Occurrence Download {doi}"
    members = {
        "citations.txt": "When using this dataset please use the following citation and pay attention to the rights "
        f"documented in rights.txt:\n{DATASET_TITLE}. Occurrence dataset accessed on {date}.\n",
        f"dataset/{INATURALIST}.xml": _EML.format(
            package=INATURALIST, title=DATASET_TITLE, date=date, abstract="Observations of an embedded replica."
        ),
        "meta.xml": _meta(),
        "metadata.xml": _EML.format(package=key, title=title, date=date, abstract=escape(abstract)),
        "multimedia.txt": _table(MULTIMEDIA, (_media(item, one, base) for item in occurrences for one in item.media)),
        "occurrence.txt": _table(OCCURRENCE, (_occurrence(item, release) for item in occurrences)),
        "rights.txt": f"Dataset: {DATASET_TITLE}\nRights as supplied: {RECORD_LICENCES['CC_BY_NC_4_0']}\n",
        "verbatim.txt": _table(VERBATIM, (_occurrence(item, release) for item in occurrences)),
    }
    buffer = io.BytesIO()
    year, month, day = map(int, date.split("-"))
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            info = zipfile.ZipInfo(name, date_time=(year, month, day, 9, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, text)
    return buffer.getvalue()


def _occurrence(item: Occurrence, release: int) -> dict[str, object]:
    identified = item.identification
    day_of_year = item.date.timetuple().tm_yday
    address = f"https://www.inaturalist.org/observations/{item.observation}"
    crawled = f"{PUBLISHED[release]}T09:00:00.000Z"
    return {
        "gbifID": item.key,
        "identifier": item.observation,
        "license": item.licence,
        "references": address,
        "rightsHolder": item.observer,
        "institutionCode": "iNaturalist",
        "collectionCode": "Observations",
        "datasetName": "iNaturalist research-grade observations",
        "basisOfRecord": "HUMAN_OBSERVATION",
        "occurrenceID": address,
        "catalogNumber": item.observation,
        "recordedBy": item.observer,
        "occurrenceStatus": "PRESENT",
        "eventDate": item.date.isoformat(),
        "startDayOfYear": day_of_year,
        "endDayOfYear": day_of_year,
        "year": item.date.year,
        "month": item.date.month,
        "day": item.date.day,
        "continent": "OCEANIA",
        "countryCode": "NZ",
        "stateProvince": item.region,
        "decimalLatitude": item.latitude,
        "decimalLongitude": item.longitude,
        "identifiedBy": item.observer,
        "scientificName": identified.scientific_name,
        **dict(zip(RANKS, identified.lineage, strict=True)),
        **epithets(identified.scientific_name),
        "taxonRank": identified.rank,
        "taxonomicStatus": identified.status,
        "datasetKey": INATURALIST,
        "publishingCountry": "US",
        "lastInterpreted": crawled,
        "issue": ";".join(("COORDINATE_ROUNDED", *identified.issues)),
        "mediaType": ";".join(sorted({one.type for one in item.media})),
        "hasCoordinate": "true",
        "hasGeospatialIssues": "false",
        "taxonKey": identified.key,
        "acceptedTaxonKey": identified.accepted_key,
        **{f"{rank}Key": key for rank, key in identified.keys.items()},
        "acceptedScientificName": identified.accepted_name,
        "verbatimScientificName": identified.scientific_name,
        "protocol": "DWC_ARCHIVE",
        "lastParsed": crawled,
        "lastCrawled": crawled,
    }


def _media(item: Occurrence, one: Media, base: str) -> dict[str, object]:
    return {
        "gbifID": item.key,
        "type": one.type,
        "format": one.format,
        "identifier": one.address(base),
        "references": one.reference,
        "created": f"{item.date.isoformat()}T00:00:00Z",
        "creator": one.creator,
        "publisher": "iNaturalist",
        "license": one.licence,
        "rightsHolder": one.rights_holder,
    }


def _table(columns: Sequence[tuple[str, str]], rows: Iterable[dict[str, object]]) -> str:
    """Tab-separated lines with a header; GBIF encloses and escapes nothing, so separators become spaces."""
    names = [name for _, name in columns]
    lines = ["\t".join(names)]
    lines += ["\t".join(" ".join(str(row.get(name, "")).split()) for name in names) for row in rows]
    return "\n".join(lines) + "\n"


def _meta() -> str:
    return (
        '<archive xmlns="http://rs.tdwg.org/dwc/text/" metadata="metadata.xml">\n'
        + _file("core", f"{_DWC}Occurrence", "occurrence.txt", OCCURRENCE)
        + _file("extension", f"{_DWC}Occurrence", "verbatim.txt", VERBATIM)
        + _file("extension", f"{_GBIF}Multimedia", "multimedia.txt", MULTIMEDIA)
        + "</archive>\n"
    )


def _file(element: str, row_type: str, location: str, columns: Sequence[tuple[str, str]]) -> str:
    identity = "id" if element == "core" else "coreid"
    fields = "".join(
        f'    <field index="{index}" term="{space}{name}"/>\n' for index, (space, name) in enumerate(columns)
    )
    return (
        f'  <{element} encoding="UTF-8" fieldsTerminatedBy="\\t" linesTerminatedBy="\\n" fieldsEnclosedBy="" '
        f'ignoreHeaderLines="1" rowType="{row_type}">\n    <files>\n      <location>{location}</location>\n'
        f'    </files>\n    <{identity} index="0" />\n{fields}  </{element}>\n'
    )
