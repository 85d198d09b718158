"""`croissant.json`: a dataset version in MLCommons' Croissant 1.1, for dataset searches, loaders and people.

It is JSON-LD that names the tables with their hashes, their columns with types and keys, the licences, the citation,
and what responsible use asks for (Croissant RAI 1.0). It lies beside the tables that it describes, so that a loader
such as mlcroissant reads them from there. See https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html.
"""

import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.column_descriptions import column_description
from pipeline.config.settings import Settings
from pipeline.dataset.attribution import KEPT_TABLES, licence_counts
from pipeline.dataset.manifest import DatasetManifest
from pipeline.dataset.registration import Registration
from pipeline.files import sha256_of, write_bytes
from pipeline.gbif.source import SourceRecord
from pipeline.history.snapshots import read_snapshots
from pipeline.pages.web_addresses import doi_address
from pipeline.paths import Paths
from pipeline.provenance import croissant_words as words
from pipeline.query import rows

FILE: Final = "croissant.json"
SPECIFICATIONS: Final = ("http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0")
PARQUET: Final = ("application/vnd.apache.parquet", "application/x-parquet")
"""Its registered media type, and the one that mlcroissant reads."""
HOME: Final = "https://github.com/naturewatch/naturewatch"
"""The address of a dataset that has none of its own."""
LICENCE_ADDRESSES: Final = {
    "CC0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "PDM": "https://creativecommons.org/publicdomain/mark/1.0/",
}
"""Of licences that exist in one version only; the tables do not keep the versions of the others."""
KEYS: Final = {
    "split": ("photo_id",), "taxonomy": ("node_id",), "genus_photos": ("photo_id",), "attribution": ("photo_id",),
}  # fmt: skip
"""Table -> columns that together identify a row."""
REFERENCES: Final = {
    ("split", "photo_id"): "attribution/photo_id",
    ("split", "class_id"): "taxonomy/class_id",
    ("genus_photos", "photo_id"): "attribution/photo_id",
    ("genus_photos", "node_id"): "taxonomy/node_id",
}
"""(table, column) -> the column of a table that it points to."""
CONTEXT: Final[dict[str, object]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The JSON-LD context that the specification recommends (its appendix 1)."""

Node = dict[str, Any]


def write_croissant(paths: Paths, settings: Settings, manifest: DatasetManifest) -> Path:
    """Describe the present dataset version beside its kept tables. The same data give the same bytes.

    Args:
        paths: The paths of the scope.
        settings: The configuration that the dataset was made with.
        manifest: The dataset version; `keep_attribution` has kept its tables.

    Returns:
        `datasets/<version>/croissant.json`.

    Raises:
        GbifError: `download.json` is missing.
        TableError: a table is missing.
        OSError: a kept table is missing.
    """
    source = SourceRecord.read(paths)
    folder = paths.dataset_version(manifest.dataset_version)
    inputs = {name: paths.table(name) for name in ("split", "clean_occurrences")}
    spread = words.Spread(**rows("spread", inputs=inputs)[0])
    licences = licence_counts(folder / "attribution.parquet")
    snapshots = read_snapshots(paths)
    described = words.Described(settings=settings, manifest=manifest, source=source, spread=spread, licences=licences)
    document: Node = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": list(SPECIFICATIONS),
        "name": words.name(described),
        "description": words.description(described),
        "url": _address(manifest),
        "license": [_licence(name, number) for name, number in licences.items()],
        "creator": {"@type": "sc:Organization", "name": words.CREATOR},
        "citeAs": words.citation(described),
        "datePublished": _published(source, folder / FILE),
        # Another snapshot is another dataset to those who use it; what else changes it is in the build part.
        "version": f"{snapshots[-1].number if snapshots else 1}.0.0+{manifest.dataset_version}",
        "isLiveDataset": False,
        "keywords": list(words.KEYWORDS),
        "inLanguage": "en",
        **{f"rai:{term}": text for term, text in words.responsible(described).items()},
        "distribution": [*(_file(folder, name) for name in KEPT_TABLES), *_photographs(folder)],
        "recordSet": [_record_set(folder, name) for name in KEPT_TABLES],
    }
    registered = Registration.find(paths, manifest.dataset_version)
    return _write(folder / FILE, document if registered is None else _named(document, registered))


def name_doi(paths: Paths, version: str, registered: Registration) -> None:
    """Name the DOI of a registered dataset in the description of a dataset version, where there is one."""
    file = paths.dataset_version(version) / FILE
    if file.exists():
        _write(file, _named(json.loads(file.read_bytes()), registered))


def _named(document: Node, registered: Registration) -> Node:
    """The replica's DOI leads nowhere, and is no address."""
    address = doi_address(registered.doi)
    return {**document, "sameAs": address} if address else document


def _write(file: Path, document: Node) -> Path:
    return write_bytes(file, f"{json.dumps(document, indent=2, ensure_ascii=False)}\n".encode())


def _address(manifest: DatasetManifest) -> str:
    return doi_address(manifest.doi) or HOME


def _licence(name: str, photographs: int) -> Node:
    work: Node = {"@type": "sc:CreativeWork", "name": name, "description": words.licence(photographs)}
    return work | ({"url": LICENCE_ADDRESSES[name]} if name in LICENCE_ADDRESSES else {})


def _published(source: SourceRecord, written: Path) -> str:
    """The day of the download; where the source has none, the day on which the description was first written."""
    if source.created:
        return source.created[:10]
    try:
        return str(json.loads(written.read_bytes())["datePublished"])
    except (OSError, ValueError, KeyError, TypeError):
        return dt.datetime.now(tz=dt.UTC).date().isoformat()


def _file(folder: Path, table: str) -> Node:
    file = folder / f"{table}.parquet"
    return {
        "@type": "cr:FileObject",
        "@id": file.name,
        "name": file.name,
        "description": words.TABLES[table],
        "contentUrl": file.name,
        "contentSize": f"{file.stat().st_size} B",
        "encodingFormat": list(PARQUET),
        "sha256": sha256_of(file),
    }


def _photographs(folder: Path) -> list[Node]:
    """The photographs themselves: a set of files at the addresses of the attribution table.

    The table is named a second time, as the list of these addresses: mlcroissant reads a file either as a table or as
    the container of a set.
    """
    addresses = _file(folder, "attribution") | {
        "@id": "addresses", "name": "addresses", "description": words.ADDRESSES
    }  # fmt: skip
    photographs: Node = {
        "@type": "cr:FileSet",
        "@id": "photographs",
        "name": "photographs",
        "description": words.PHOTOGRAPHS,
        "containedIn": {"fileObject": {"@id": "addresses"}, "extract": {"column": "url"}},
        "encodingFormat": "image/jpeg",
        "includes": "*",
    }
    return [addresses, photographs]


def _record_set(folder: Path, table: str) -> Node:
    schema = pq.read_schema(folder / f"{table}.parquet")
    return {
        "@type": "cr:RecordSet",
        "@id": table,
        "name": table,
        "description": words.TABLES[table],
        "key": _keys(table, KEYS[table]),
        "field": [_field(table, column) for column in schema],
    }


def _keys(table: str, columns: Sequence[str]) -> list[Node]:
    return [{"@id": f"{table}/{column}"} for column in columns]


def _field(table: str, column: pa.Field) -> Node:
    node: Node = {
        "@type": "cr:Field",
        "@id": f"{table}/{column.name}",
        "name": column.name,
        "description": column_description(table, column.name),
        "dataType": "sc:URL" if column.name == "url" else _type(column.type),
        "source": {"fileObject": {"@id": f"{table}.parquet"}, "extract": {"column": column.name}},
    }
    reference = REFERENCES.get((table, column.name))
    return node | ({} if reference is None else {"references": {"field": {"@id": reference}}})


def _type(kind: pa.DataType) -> str:
    if pa.types.is_integer(kind):
        return "sc:Integer"
    if pa.types.is_floating(kind):
        return "sc:Float"
    return "sc:Boolean" if pa.types.is_boolean(kind) else "sc:Text"
