"""A synthetic Darwin Core Archive of any size with the columns and row widths of GBIF's, the same for the same size.

Widths follow a recorded download of 2020: 241 columns and about 1,130 bytes an occurrence, 15 columns and about 250
bytes a media row. Columns that the recorded download leaves blank are blank here too.
"""

import zipfile
from pathlib import Path
from typing import Final
from xml.sax.saxutils import quoteattr

import duckdb

MEDIA_PER_OCCURRENCE: Final = 2
COLUMNS: Final = 241
SPECIES: Final = 20_000

_MOMENT: Final = "'2020-07-09T05:45:04.129Z'"
_DAY: Final = "strftime(date '2012-01-01' + (i % 3000)::integer, '%Y-%m-%d')"
_OBSERVATION: Final = "(20000000 + i * 3)"
_USER: Final = "'observer' || (hash(i) % 90000)"

_OCCURRENCE: Final[dict[int, tuple[str, str]]] = {
    0: ("gbifID", "1000000000 + i"),
    26: ("identifier", _OBSERVATION),
    36: ("license", "['CC_BY_NC_4_0', 'CC_BY_4_0', 'CC0_1_0'][1 + i % 3]"),
    39: ("modified", f"{_DAY} || 'T01:39:04Z'"),
    42: ("references", f"'https://www.inaturalist.org/observations/' || {_OBSERVATION}"),
    46: ("rights", f"'© ' || {_USER} || ' some \"rights reserved'"),
    47: ("rightsHolder", _USER),
    59: ("institutionCode", "'iNaturalist'"),
    60: ("collectionCode", "'Observations'"),
    61: ("datasetName", "'iNaturalist research-grade observations'"),
    63: ("basisOfRecord", "'HUMAN_OBSERVATION'"),
    67: ("occurrenceID", f"'https://www.inaturalist.org/observations/' || {_OBSERVATION}"),
    68: ("catalogNumber", _OBSERVATION),
    70: ("recordedBy", _USER),
    98: ("eventDate", f"{_DAY} || 'T20:58:14'"),
    99: ("eventTime", "'00:58:14Z'"),
    102: ("year", f"left({_DAY}, 4)"),
    103: ("month", "1 + i % 12"),
    104: ("day", "1 + i % 28"),
    105: ("verbatimEventDate", f"'Wed ' || {_DAY} || ' 20:58:14 GMT-0400 (EDT)'"),
    120: ("countryCode", "['NZ', 'US', 'BR', 'DE'][1 + i % 4]"),
    121: ("stateProvince", "'Te Wai Pounamu'"),
    125: ("verbatimLocality", "'Arthur''s Pass, the \"Kea corner'"),
    132: ("decimalLatitude", "-47 + (hash(i) % 1000000) / 100000"),
    133: ("decimalLongitude", "166 + (hash(i + 1) % 1000000) / 100000"),
    134: ("coordinateUncertaintyInMeters", "'28417.0'"),
    166: ("identificationID", "100000000 + i * 5"),
    169: ("identifiedBy", _USER),
    170: ("dateIdentified", f"{_DAY} || 'T00:59:21'"),
    174: ("taxonID", "70000 + t"),
    182: ("scientificName", "'Genus' || t // 6 || ' species' || t || ' Linnaeus, 1758'"),
    190: ("kingdom", "'Animalia'"),
    191: ("phylum", "'Phylum' || t // 3000"),
    192: ("class", "'Class' || t // 1000"),
    193: ("order", "'Order' || t // 200"),
    194: ("family", "'Family' || t // 40"),
    195: ("genus", "'Genus' || t // 6"),
    197: ("specificEpithet", "'species' || t"),
    199: ("taxonRank", "'SPECIES'"),
    203: ("taxonomicStatus", "'ACCEPTED'"),
    206: ("datasetKey", "'50c9509d-22c7-4a22-a47d-8c48425ef4a7'"),
    207: ("publishingCountry", "'US'"),
    208: ("lastInterpreted", _MOMENT),
    215: ("issue", "'COORDINATE_ROUNDED;GEODETIC_DATUM_ASSUMED_WGS84'"),
    216: ("mediaType", "'StillImage'"),
    217: ("hasCoordinate", "'true'"),
    218: ("hasGeospatialIssues", "'false'"),
    219: ("taxonKey", "'S' || t"),
    220: ("acceptedTaxonKey", "'S' || t"),
    221: ("kingdomKey", "'N'"),
    222: ("phylumKey", "'P' || t // 3000"),
    223: ("classKey", "'C' || t // 1000"),
    224: ("orderKey", "'O' || t // 200"),
    225: ("familyKey", "'F' || t // 40"),
    226: ("genusKey", "'G' || t // 6"),
    228: ("speciesKey", "'S' || t"),
    229: ("species", "'Genus' || t // 6 || ' species' || t"),
    230: ("genericName", "'Genus' || t // 6"),
    231: ("acceptedScientificName", "'Genus' || t // 6 || ' species' || t || ' Linnaeus, 1758'"),
    232: ("verbatimScientificName", "'Genus' || t // 6 || ' species' || t"),
    234: ("protocol", "'DWC_ARCHIVE'"),
    235: ("lastParsed", _MOMENT),
    236: ("lastCrawled", _MOMENT),
    237: ("repatriated", "'false'"),
}
"""Position -> term and how to make its value; `i` counts the occurrences, `t` is the number of the species."""

_PHOTO: Final = "(80000000 + i * 7)"
_MEDIA: Final[dict[int, tuple[str, str]]] = {
    0: ("gbifID", f"1000000000 + i // {MEDIA_PER_OCCURRENCE}"),
    1: ("type", "'StillImage'"),
    2: ("format", "'image/jpeg'"),
    3: (
        "identifier",
        f"'https://inaturalist-open-data.s3.amazonaws.com/photos/' || {_PHOTO} || '/original.jpg?1593046768'",
    ),
    4: ("references", f"'https://www.inaturalist.org/photos/' || {_PHOTO}"),
    9: ("created", f"{_DAY} || 'T00:58:14Z'"),
    10: ("creator", _USER),
    12: ("publisher", "'iNaturalist'"),
    13: ("license", "'http://creativecommons.org/licenses/by-nc/4.0/'"),
    14: ("rightsHolder", _USER),
}


def write_archive(path: Path, *, occurrences: int) -> Path:
    """Write an archive of that many occurrences and twice as many media rows; one that is there already is kept."""
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("meta.xml", _meta())
        for name, columns, width, rows in (
            ("occurrence.txt", _OCCURRENCE, COLUMNS, occurrences),
            ("multimedia.txt", _MEDIA, 15, occurrences * MEDIA_PER_OCCURRENCE),
        ):
            text = path.with_name(name)
            _write_text(text, columns=columns, width=width, rows=rows)
            archive.write(text, name)
            text.unlink()
    partial.replace(path)
    return path


def _names(columns: dict[int, tuple[str, str]], width: int) -> list[str]:
    return [columns[number][0] if number in columns else f"blank{number}" for number in range(width)]


def _write_text(target: Path, *, columns: dict[int, tuple[str, str]], width: int, rows: int) -> None:
    """One concatenated column: DuckDB writes it in parallel, and quotes stay as they are."""
    parts, tabs = [], 0
    for number in range(width):
        if number in columns:
            parts += [f"'{chr(9) * tabs}'"] * (tabs > 0) + [f"({columns[number][1]})::varchar"]
            tabs = 0
        tabs += 1
    line = ", ".join([*parts, f"'{chr(9) * (tabs - 1)}'"])
    header = "\t".join(_names(columns, width)).replace("'", "''")
    with duckdb.connect(config={"memory_limit": "2GiB"}) as connection:
        connection.execute(
            f"""
            copy (
                select '{header}' as line union all
                select concat({line}) from (select i, hash(i // 7) % {SPECIES} as t from range({rows}) as counted(i))
            ) to '{target}' (format csv, header false, quote '', escape '', delimiter '\x01')
            """  # noqa: S608 (the module's own text)
        )


def _meta() -> str:
    def element(tag: str, location: str, row_type: str, names: list[str]) -> str:
        key = "id" if tag == "core" else "coreid"
        fields = "".join(
            f"<field index={quoteattr(str(number))} term={quoteattr('http://rs.tdwg.org/dwc/terms/' + name)}/>"
            for number, name in enumerate(names)
        )
        return (
            f'<{tag} encoding="UTF-8" fieldsTerminatedBy="\\t" linesTerminatedBy="\\n" fieldsEnclosedBy="" '
            f'ignoreHeaderLines="1" rowType="{row_type}"><files><location>{location}</location></files>'
            f'<{key} index="0"/>{fields}</{tag}>'
        )

    return (
        '<archive xmlns="http://rs.tdwg.org/dwc/text/">'
        + element("core", "occurrence.txt", "http://rs.tdwg.org/dwc/terms/Occurrence", _names(_OCCURRENCE, COLUMNS))
        + element("extension", "multimedia.txt", "http://rs.gbif.org/terms/1.0/Multimedia", _names(_MEDIA, 15))
        + "</archive>"
    )
