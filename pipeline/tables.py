"""The contract of every table as data. What rows mean is decided elsewhere."""

from dataclasses import dataclass, field

import pyarrow as pa

from ml.spec import RANKS
from pipeline.column_descriptions import PLACE_PROBLEMS
from pipeline.rejections import REJECTIONS, STAGES

_TEXT, _INT, _BIG, _REAL, _BOOL = pa.string(), pa.int32(), pa.int64(), pa.float64(), pa.bool_()

DUCKDB_TYPES = {
    _TEXT: "VARCHAR",
    _INT: "INTEGER",
    _BIG: "BIGINT",
    _REAL: "DOUBLE",
    _BOOL: "BOOLEAN",
    pa.timestamp("us"): "TIMESTAMP",
}
"""How DuckDB names the types of the contracts."""


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What a table promises to those who read it."""

    schema: pa.Schema
    """All columns and their types; others are refused. The order of the columns is free."""
    unique: tuple[str, ...] = ()
    """The columns that together identify a row."""
    required: tuple[str, ...] = ()
    """Columns that are never null."""
    allowed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Columns of a closed vocabulary; null is left to `required`."""
    rules: dict[str, str] = field(default_factory=dict)
    """Sentence -> SQL condition that holds for every row."""

    def promises(self) -> int:
        """How many things are checked of the table: types of columns, nulls, vocabularies, rules, uniqueness."""
        return sum(map(len, (self.schema.names, self.required, self.allowed, self.rules))) + bool(self.unique)


def _schema(text: str, **others: pa.DataType) -> pa.Schema:
    """Columns of text, their names separated by blanks, and columns of other types."""
    return pa.schema([*((name, _TEXT) for name in text.split()), *others.items()])


_RANKS = " ".join(RANKS)

_OCCURRENCES = _schema(
    f"occurrence_key observation_id dataset_key checklist_key taxon_key {_RANKS} licence country "
    "event_date accepted_taxon_key kingdom_key phylum_key class_key order_key family_key genus_key "
    "species_key scientific_name taxon_rank taxonomic_status issue information_withheld observer",
    decimal_latitude=_REAL,
    decimal_longitude=_REAL,
    coordinate_uncertainty_m=_REAL,
)

_RECEIVED = pa.schema(
    [
        *_OCCURRENCES,
        ("occurrence_status", _TEXT),
        ("individual_count", _REAL),
        ("verbatim_name", _TEXT),
        ("identification_qualifier", _TEXT),
    ]
)
"""Columns that only the cleaning rules need come on top."""

_OK_FACTS = "sha256 is not null and bytes > 0 and width > 0 and height > 0 and path is not null"

_SPECIES_WHERE_OCCURRENCE = " and ".join(
    f"(occurrence_key_{side} is null) = (species_key_{side} is null or species_{side} is null)"
    for side in ("before", "after")
)

CONTRACTS: dict[str, Contract] = {
    # The same record can come twice from GBIF's paged search: the key is unique only after cleaning.
    "occurrences": Contract(
        schema=_RECEIVED,
        required=("occurrence_key", "observation_id"),
        rules={"taxon_rank is upper case": "taxon_rank is null or taxon_rank = upper(taxon_rank)"},
    ),
    "media": Contract(
        schema=_schema(
            "occurrence_key url format type licence rights_holder creator reference",
            position=_INT,
        ),
        required=("occurrence_key", "position"),
        rules={"position counts from 0": "position >= 0"},
    ),
    "clean_occurrences": Contract(
        schema=_OCCURRENCES,
        unique=("occurrence_key",),
        required=("occurrence_key", "observation_id", "species", "species_key"),
    ),
    "photo_index": Contract(
        schema=_schema("photo_id occurrence_key observation_id url licence rights_holder creator other_url"),
        unique=("photo_id",),
        required=("photo_id", "occurrence_key", "observation_id", "url"),
    ),
    "changes": Contract(
        schema=_schema(
            "change photo_id occurrence_key_before occurrence_key_after species_key_before species_key_after "
            "species_before species_after licence_before licence_after url_before url_after note"
        ),
        unique=("photo_id", "change"),
        required=("change", "photo_id"),
        allowed={"change": ("new", "gone", "re-identified", "relicensed"), "note": ("correction",)},
        rules={
            "a new photograph was not in the index before": "change <> 'new' or occurrence_key_before is null",
            "a gone photograph is not in the index after": "change <> 'gone' or occurrence_key_after is null",
            "what enters the index is new": "change in ('new', 'relicensed') or occurrence_key_before is not null",
            "what leaves the index is gone": "change in ('gone', 'relicensed') or occurrence_key_after is not null",
            "a photograph has a species wherever it is": _SPECIES_WHERE_OCCURRENCE,
            "a re-identified photograph has another species": "change <> 're-identified' or "
            "species_key_before <> species_key_after or species_before <> species_after",
            "a relicensed photograph has another licence": "change <> 'relicensed' or licence_before <> licence_after",
        },
    ),
    "drift": Contract(
        schema=_schema(
            "kind value",
            photographs_before=_BIG,
            photographs=_BIG,
            share_before=_REAL,
            share=_REAL,
            difference=_REAL,
        ),
        unique=("kind", "value"),
        required=("kind", "value", "photographs_before", "photographs", "share"),
        allowed={"kind": ("class", "species", "country", "cell", "month", "year", "licence")},
        rules={
            "shares are between 0 and 1": "share between 0 and 1 and coalesce(share_before, 0) between 0 and 1",
            "without a snapshot before there is no difference": "(share_before is null) = (difference is null)",
        },
    ),
    "photos": Contract(
        schema=_schema(
            "photo_id occurrence_key url status sha256 path licence rights_holder creator error",
            http_status=_INT,
            bytes=_BIG,
            width=_INT,
            height=_INT,
            attempts=_INT,
            fetched_at=pa.timestamp("us"),
        ),
        unique=("photo_id",),
        required=("photo_id", "occurrence_key", "url", "status"),
        allowed={"status": ("ok", "gone", "not_jpeg", "corrupt", "too_large", "blocked", "failed")},
        rules={
            "a photograph that is ok has its hash, size and path": f"status <> 'ok' or ({_OK_FACTS})",
            "a path is relative to the data root": "path is null or (path not like '/%' and path not like '%..%')",
        },
    ),
    "losses": Contract(
        schema=_schema("taxon_key species reason", photos=_BIG, gone=_BIG, photos_before=_BIG, photos_after=_BIG),
        unique=("taxon_key", "reason"),
        required=("taxon_key", "species", "reason", "photos", "gone", "photos_before", "photos_after"),
        allowed={
            "reason": (
                "gone from GBIF",
                "another licence",
                "not fetched",
                "gone from its host",
                "unusable file",
                "re-identified",
                "too few images",
                "over a cap",
                "duplicate",
                "left out by a rule",
            )
        },
        rules={
            "a species loses no more photographs than it had": "photos between 1 and photos_before",
            "only a re-identified photograph is in another class": "gone <= photos and "
            "(gone = photos or reason = 're-identified')",
        },
    ),
    "species": Contract(
        schema=_schema(
            f"taxon_key checklist_key {_RANKS} kingdom_key phylum_key class_key order_key family_key genus_key",
            photos=_BIG,
            observations=_BIG,
        ),
        unique=("taxon_key",),
        required=("taxon_key", "species", "photos", "observations"),
        rules={"no species has more observations than photographs": "observations between 1 and photos"},
    ),
    "taxonomy": Contract(
        schema=_schema(
            "rank name taxon_key checklist_key",
            node_id=_INT,
            parent_id=_INT,
            depth=_INT,
            placeholder=_BOOL,
            class_id=_INT,
            leaf_begin=_INT,
            leaf_end=_INT,
            photos=_BIG,
        ),
        unique=("node_id",),
        required=("node_id", "depth", "rank", "name", "placeholder", "leaf_begin", "leaf_end", "photos"),
        allowed={"rank": ("root", *RANKS)},
        rules={
            "the root and only the root has no parent": "(parent_id is null) = (rank = 'root')",
            "species and only species are classes": "(class_id is null) = (rank <> 'species')",
            "a placeholder has no key": "not placeholder or taxon_key is null",
            "a node has classes below it": "leaf_begin < leaf_end",
        },
    ),
    "class_map": Contract(
        schema=_schema(
            "checklist_key taxon_key name old_checklist_key old_taxon_key old_name change how",
            old_class_id=_INT,
            new_class_id=_INT,
            occurrences=_BIG,
        ),
        unique=("old_class_id", "new_class_id"),
        required=("change", "occurrences"),
        allowed={
            "change": ("same", "renamed", "split", "merged", "new", "gone"),
            "how": ("key", "accepted", "crosswalk", "observations"),
        },
        rules={
            "only a new class comes from none": "(old_class_id is null) = (change = 'new')",
            "only a gone class goes nowhere": "(new_class_id is null) = (change = 'gone')",
            "a link has a reason": "(how is null) = (change in ('new', 'gone'))",
        },
    ),
    "taxonomy_diff": Contract(
        schema=_schema(
            "change rank checklist_key taxon_key name parent old_taxon_key old_name old_parent",
            occurrences=_BIG,
        ),
        required=("change", "rank", "occurrences"),
        allowed={"change": ("new", "gone", "moved", "renamed", "split", "merged"), "rank": RANKS},
    ),
    "split": Contract(
        schema=_schema("photo_id occurrence_key observation_id split half path", class_id=_INT),
        unique=("photo_id",),
        required=("photo_id", "occurrence_key", "observation_id", "class_id", "split", "path"),
        allowed={"split": ("train", "validation"), "half": ("calibration", "evaluation")},
        rules={"validation rows and only they have a half": "(half is null) = (split = 'train')"},
    ),
    "places": Contract(
        schema=_schema(
            "occurrence_key observation_id side country observer problem",
            class_id=_INT,
            latitude=_REAL,
            longitude=_REAL,
            uncertainty_m=_REAL,
            obscured=_BOOL,
            day=_INT,
        ),
        unique=("occurrence_key",),
        required=("occurrence_key", "observation_id", "class_id", "side", "obscured"),
        allowed={"side": ("train", "validation"), "problem": tuple(PLACE_PROBLEMS)},
        rules={
            "a place has both coordinates or none": "(latitude is null) = (longitude is null)",
            "a place counts, or a rule says why not": "(latitude is null) = (problem is not null)",
            "latitudes are from -90 to 90": "coalesce(latitude, 0) between -90 and 90",
            "longitudes are from -180 to 180": "coalesce(longitude, 0) between -180 and 180",
            "an uncertainty is a distance": "coalesce(uncertainty_m, 1) > 0",
            "a day is one of the 366 of the year": "coalesce(day, 1) between 1 and 366",
        },
    ),
    "genus_photos": Contract(
        schema=_schema("photo_id occurrence_key observation_id taxon_key species path", node_id=_INT),
        unique=("photo_id",),
        required=("photo_id", "occurrence_key", "observation_id", "taxon_key", "species", "node_id", "path"),
    ),
    "exam": Contract(
        schema=_schema(
            "photo_id occurrence_key observation_id checklist_key species_key species path withdrawn", since=_INT
        ),
        unique=("photo_id",),
        required=("photo_id", "occurrence_key", "observation_id", "species_key", "species", "path", "since"),
        rules={"versions count from 1": "since >= 1"},
    ),
    "attribution": Contract(
        schema=_schema("photo_id taxon_key species licence rights_holder creator credit url"),
        unique=("photo_id",),
        required=("photo_id", "taxon_key", "species", "credit", "url"),
    ),
    "rejections": Contract(
        schema=REJECTIONS,
        required=("stage", "key", "rule"),
        allowed={"stage": STAGES},
    ),
    "leakage": Contract(
        schema=_schema(
            "validation_photo train_photo validation_observation train_observation",
            validation_class=_INT,
            train_class=_INT,
            distance=_INT,
        ),
        unique=("validation_photo", "train_photo"),
        required=("validation_photo", "train_photo", "validation_class", "train_class", "distance"),
        rules={"a distance counts bits": "distance between 0 and 64"},
    ),
    "suspects": Contract(
        schema=_schema(
            "photo_id occurrence_key observation_id split taxon_key species suggested_taxon_key suggested_species "
            "meet_rank meet_taxon near_duplicate near_duplicate_species",
            class_id=_INT,
            suspicion_rank=_INT,
            suspicion=_REAL,
            self_confidence=_REAL,
            margin=_REAL,
            suggested_class_id=_INT,
            suggested_probability=_REAL,
            is_issue=_BOOL,
            near_duplicate_distance=_INT,
        ),
        unique=("photo_id",),
        required=("photo_id", "occurrence_key", "observation_id", "class_id", "split", "species"),
        allowed={"split": ("train", "validation"), "meet_rank": ("none", *RANKS[:-1])},
        rules={
            "a judged photograph has all its numbers": "(suspicion_rank is null) = (self_confidence is null) and "
            "(suspicion_rank is null) = (margin is null) and (suspicion_rank is null) = (is_issue is null)",
            "a share is between 0 and 1": "coalesce(self_confidence, 0) between 0 and 1 and coalesce(margin, 0) "
            "between 0 and 1 and coalesce(suggested_probability, 0) between 0 and 1",
            "another species is suggested": "suggested_class_id is null or suggested_class_id <> class_id",
            "a near-duplicate is under another name": "near_duplicate is null or near_duplicate_species <> species",
        },
    ),
    "training_photos": Contract(
        schema=_schema(
            "photo_id pack sha256",
            offset=_BIG,
            length=_BIG,
            width=_INT,
            height=_INT,
            fingerprint=_BIG,
        ),
        unique=("photo_id",),
        required=("photo_id", "pack", "sha256", "offset", "length", "width", "height", "fingerprint"),
        rules={"a photograph lies inside its pack": '"offset" >= 0 and length > 0 and width > 0 and height > 0'},
    ),
}
"""Every table of the pipeline, by name."""
