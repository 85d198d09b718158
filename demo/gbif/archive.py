"""Darwin Core Archives as GBIF delivers them: tables, their description, rights. The same bytes each time."""

import io
import zipfile
from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape

from demo.gbif.dates import date_parts, first_day
from demo.gbif.facets import CHECKLIST_KEY, COUNTRY, DATASET_KEY, has_geospatial_issue
from demo.gbif.licences import licence_code
from demo.gbif.search import INTERPRETED, accepted_name, generic_name, media_address
from demo.records import RANKS, Occurrence

_DC = "http://purl.org/dc/terms/"
_DWC = "http://rs.tdwg.org/dwc/terms/"
_GBIF = "http://rs.gbif.org/terms/1.0/"
# The zip format starts in 1980: a fixed moment keeps the bytes the same on every run.
_MOMENT = (2026, 1, 5, 6, 0, 0)
_DATASET_TITLE = "iNaturalist research-grade observations"
_RIGHTS = "http://creativecommons.org/licenses/by-nc/4.0/legalcode"

_OCCURRENCE_TERMS: dict[str, str] = {
    "gbifID": _GBIF,
    **dict.fromkeys(("license", "modified", "publisher", "references", "rightsHolder"), _DC),
    **dict.fromkeys(("institutionCode", "collectionCode", "datasetName", "basisOfRecord", "occurrenceID"), _DWC),
    **dict.fromkeys(("catalogNumber", "recordedBy", "occurrenceStatus", "eventDate", "year", "month", "day"), _DWC),
    **dict.fromkeys(("continent", "countryCode", "decimalLatitude", "decimalLongitude"), _DWC),
    **dict.fromkeys(("coordinateUncertaintyInMeters", "informationWithheld"), _DWC),
    **dict.fromkeys(("identifiedBy", "dateIdentified", "scientificName"), _DWC),
    **dict.fromkeys((*RANKS[:-1], "taxonRank", "taxonomicStatus"), _DWC),
    **dict.fromkeys(("datasetKey", "publishingCountry", "lastInterpreted", "issue", "mediaType"), _GBIF),
    **dict.fromkeys(("hasCoordinate", "hasGeospatialIssues", "taxonKey", "acceptedTaxonKey"), _GBIF),
    **dict.fromkeys((*(f"{rank}Key" for rank in RANKS), "species", "genericName", "acceptedScientificName"), _GBIF),
    **dict.fromkeys(("verbatimScientificName", "protocol", "lastParsed", "lastCrawled", "repatriated"), _GBIF),
    "checklistKey": _GBIF,
}
_MULTIMEDIA_TERMS: dict[str, str] = {
    "gbifID": _GBIF,
    **dict.fromkeys(("type", "format", "identifier", "references", "title", "description", "source", "audience"), _DC),
    **dict.fromkeys(("created", "creator", "contributor", "publisher", "license", "rightsHolder"), _DC),
}


def _occurrence_row(occurrence: Occurrence) -> dict[str, str]:
    taxon, date = occurrence.taxon, date_parts(occurrence.event_date)
    reference = f"https://www.inaturalist.org/observations/{occurrence.observation_id}"
    row = {
        "gbifID": occurrence.gbif_id,
        "license": licence_code(occurrence.licence),
        "modified": INTERPRETED,
        "publisher": "iNaturalist",
        "references": reference,
        "rightsHolder": occurrence.recorded_by,
        "institutionCode": "iNaturalist",
        "collectionCode": "Observations",
        "datasetName": _DATASET_TITLE,
        "basisOfRecord": "HUMAN_OBSERVATION",
        "occurrenceID": reference,
        "catalogNumber": occurrence.observation_id,
        "recordedBy": occurrence.recorded_by,
        "occurrenceStatus": "PRESENT",
        "eventDate": occurrence.event_date,
        **date._asdict(),
        "continent": "OCEANIA",
        "countryCode": COUNTRY,
        "decimalLatitude": _number(occurrence.latitude),
        "decimalLongitude": _number(occurrence.longitude),
        "coordinateUncertaintyInMeters": _number(occurrence.uncertainty_m),
        "informationWithheld": occurrence.information_withheld,
        "identifiedBy": occurrence.recorded_by,
        "dateIdentified": first_day(occurrence.event_date),
        "datasetKey": DATASET_KEY,
        "publishingCountry": "US",
        "lastInterpreted": INTERPRETED,
        "issue": ";".join(occurrence.issues),
        "mediaType": ";".join(dict.fromkeys(media.type for media in occurrence.media)),
        "hasCoordinate": str(occurrence.latitude is not None).lower(),
        "hasGeospatialIssues": str(has_geospatial_issue(occurrence)).lower(),
        "verbatimScientificName": taxon.scientific_name,
        "protocol": "DWC_ARCHIVE",
        "lastParsed": INTERPRETED,
        "lastCrawled": INTERPRETED,
        "repatriated": "true",
    }
    if taxon.taxon_key:
        row |= {
            "scientificName": taxon.scientific_name,
            "acceptedScientificName": accepted_name(taxon),
            "genericName": generic_name(taxon),
            "taxonRank": taxon.rank,
            "taxonomicStatus": taxon.status,
            "taxonKey": taxon.taxon_key,
            "acceptedTaxonKey": taxon.accepted_key,
            "checklistKey": CHECKLIST_KEY,
        }
        row |= {rank: name.name for rank, name in taxon.lineage.items()}
        row |= {f"{rank}Key": name.key for rank, name in taxon.lineage.items()}
    return row


def _number(value: float | None) -> str:
    return "" if value is None else str(value)


def _media_rows(occurrence: Occurrence, *, base: str) -> Iterable[dict[str, str]]:
    day = first_day(occurrence.event_date)
    for media in occurrence.media:
        place = "sounds" if media.type == "Sound" else "photos"
        yield {
            "gbifID": occurrence.gbif_id,
            "type": media.type,
            "format": media.format,
            "identifier": media_address(media, base=base),
            "references": f"https://www.inaturalist.org/{place}/{media.photo_id}",
            "created": f"{day}T00:00:00Z" if day else "",
            "creator": media.creator,
            "publisher": "iNaturalist",
            "license": media.licence,
            "rightsHolder": media.rights_holder,
        }


def _table(terms: Iterable[str], rows: Iterable[dict[str, str]]) -> str:
    """Tab separated lines under a header; tabs and line ends within a value become spaces, quotes stay as they are."""
    names = list(terms)
    lines = ["\t".join(names)]
    lines.extend("\t".join(" ".join(row.get(name, "").split()) for name in names) for row in rows)
    return "\n".join(lines) + "\n"


def _file_xml(tag: str, *, location: str, row_type: str, terms: dict[str, str]) -> str:
    identifier = "id" if tag == "core" else "coreid"
    fields = "\n".join(
        f'    <field index="{position}" term="{space}{name}"/>' for position, (name, space) in enumerate(terms.items())
    )
    return (
        f'  <{tag} encoding="UTF-8" fieldsTerminatedBy="\\t" linesTerminatedBy="\\n" fieldsEnclosedBy="" '
        f'ignoreHeaderLines="1" rowType="{row_type}">\n'
        f"    <files>\n      <location>{location}</location>\n    </files>\n"
        f'    <{identifier} index="0" />\n{fields}\n  </{tag}>\n'
    )


def _meta() -> str:
    return (
        '<archive xmlns="http://rs.tdwg.org/dwc/text/" metadata="metadata.xml">\n'
        + _file_xml("core", location="occurrence.txt", row_type=f"{_DWC}Occurrence", terms=_OCCURRENCE_TERMS)
        + _file_xml("extension", location="multimedia.txt", row_type=f"{_GBIF}Multimedia", terms=_MULTIMEDIA_TERMS)
        + "</archive>\n"
    )


def _eml(*, identifier: str, title: str, abstract: str) -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<eml:eml xmlns:eml="eml://ecoinformatics.org/eml-2.1.1" packageId="' + escape(identifier) + '"\n'
        '         system="http://gbif.org" scope="system" xml:lang="en">\n'
        "  <dataset>\n"
        f"    <alternateIdentifier>{escape(identifier)}</alternateIdentifier>\n"
        f"    <title>{escape(title)}</title>\n"
        f"    <pubDate>{INTERPRETED[:10]}</pubDate>\n    <language>ENGLISH</language>\n"
        f"    <abstract><para>{escape(abstract)}</para></abstract>\n"
        f"    <intellectualRights><para>{_RIGHTS}</para></intellectualRights>\n"
        "  </dataset>\n</eml:eml>\n"
    )


def write_archive(occurrences: Sequence[Occurrence], *, key: str, doi: str, base: str) -> bytes:
    """The Darwin Core Archive of a download.

    Equal arguments give equal bytes: the moment inside is that of the release, not of the call.

    Args:
        occurrences: The rows of occurrence.txt, in this order.
        key: The download's key.
        doi: The download's DOI.
        base: Scheme and host of the photograph addresses.
    """
    media = (row for occurrence in occurrences for row in _media_rows(occurrence, base=base))
    citation = f"iNaturalist contributors ({INTERPRETED[:4]}). {_DATASET_TITLE}. iNaturalist.org. Replica."
    found = f"{len(occurrences)} records from {_DATASET_TITLE}"
    members = {
        "occurrence.txt": _table(_OCCURRENCE_TERMS, map(_occurrence_row, occurrences)),
        "multimedia.txt": _table(_MULTIMEDIA_TERMS, media),
        "meta.xml": _meta(),
        "citations.txt": "When using this dataset please use the following citation and pay attention to the rights "
        f"documented in rights.txt:\n{citation}\n",
        "rights.txt": f"Dataset: {_DATASET_TITLE}\nRights as supplied: {_RIGHTS}\n",
        "metadata.xml": _eml(identifier=key, title=f"GBIF Occurrence Download {doi}", abstract=found),
    }
    if occurrences:
        title = _eml(identifier=DATASET_KEY, title=_DATASET_TITLE, abstract="Served by the embedded replica.")
        members[f"dataset/{DATASET_KEY}.xml"] = title
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, text in members.items():
            entry = zipfile.ZipInfo(name, date_time=_MOMENT)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, text.encode())
    return stream.getvalue()
