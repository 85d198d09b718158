"""What each column of each table means, in one sentence: shown by the UI, and by the data contract in the docs."""

from typing import Final

from ml.spec import RANKS

_ABOVE_SPECIES: Final = RANKS[:-1]

COMMON: Final[dict[str, str]] = {
    "occurrence_key": "GBIF's key of the record (gbifID).",
    "observation_id": "Number of the observation at iNaturalist; all its photographs share it.",
    "photo_id": "Number of the photograph at iNaturalist; of other sources, a hash of its address.",
    "dataset_key": "GBIF's key of the dataset that the record belongs to.",
    "checklist_key": "GBIF's key of the taxonomy that names and keys follow.",
    "taxon_key": "Key of the taxon in the checklist, as text.",
    "species_key": "Key of the accepted species in the checklist.",
    **{rank: f"Name of the {rank}; null where the taxonomy has none." for rank in _ABOVE_SPECIES},
    **{f"{rank}_key": f"Key of the {rank} in the checklist." for rank in _ABOVE_SPECIES},
    "species": "Scientific name of the species, without its author.",
    "licence": "Licence of the photograph in its canonical spelling, such as CC-BY-NC.",
    "rights_holder": "Who holds the rights in the photograph.",
    "creator": "Who took the photograph.",
    "url": "Address of the photograph in the configured size.",
    "path": "File of the photograph, relative to the data root.",
    "sha256": "Hash of the file as it was fetched; files are named by it.",
    "width": "Width of the photograph in pixels.",
    "height": "Height of the photograph in pixels.",
    "rank": "Rank of the taxon.",
    "name": "Scientific name of the taxon.",
}
"""Columns that mean the same in every table that has them, unless the table says otherwise below."""

_OBSERVER: Final = (
    "Pseudonym of whoever recorded the observation, for splits and noise only: a hash of the name and the scope; null "
    "where the record names nobody."
)

_RECORD: Final = {
    "taxon_key": "Key of the taxon that the record was matched to, in the checklist.",
    "licence": "Licence of the record, as received; a photograph may have another one.",
    "country": "ISO code of the country of the observation.",
    "event_date": "Date of the observation; only the year where no more is known.",
    "accepted_taxon_key": "Key of the accepted taxon, where the name is a synonym.",
    "scientific_name": "Name with author, as GBIF interprets it.",
    "taxon_rank": "Rank of the name, in upper case.",
    "taxonomic_status": "Whether the name is accepted, a synonym or doubtful, in upper case.",
    "issue": "What GBIF noticed when it interpreted the record.",
    "decimal_latitude": "Latitude of the observation in degrees.",
    "decimal_longitude": "Longitude of the observation in degrees.",
    "coordinate_uncertainty_m": "Radius in metres around the coordinates that holds the true place, as received.",
    "information_withheld": "What the source says that it keeps back, such as the exact place.",
    "observer": _OBSERVER,
}

_CHANGED: Final = {
    f"{column}_{side}": f"{words} {'in the last snapshot' if side == 'before' else 'in this snapshot'}; "
    f"null where the photograph {'was' if side == 'before' else 'is'} not in the index."
    for column, words in {
        "occurrence_key": "Record of the photograph",
        "species_key": "Key of its species",
        "species": "Name of its species",
        "licence": "Its licence",
        "url": "Its address",
    }.items()
    for side in ("before", "after")
}

OF_TABLE: Final[dict[str, dict[str, str]]] = {
    "occurrences": {
        **_RECORD,
        "occurrence_status": "Whether the organism was found or looked for in vain, in upper case.",
        "individual_count": "How many individuals were seen.",
        "verbatim_name": "Name as the observer's dataset gives it.",
        "identification_qualifier": "A reservation about the identification, such as cf. or aff.",
    },
    "media": {
        "position": "Row of the file, counted from 0.",
        "url": "Address of the item, as received.",
        "format": "Media type, such as image/jpeg.",
        "type": "Kind of item: StillImage, Sound or MovingImage.",
        "licence": "Licence of the item, as received.",
        "rights_holder": "Who holds the rights in the item.",
        "creator": "Who made the item.",
        "reference": "Address of the page about the item.",
    },
    "clean_occurrences": _RECORD,
    "photo_index": {"other_url": "Another address of the same photograph, asked for where the first one fails."},
    "changes": {
        "change": "What happened to the photograph since the last snapshot.",
        **_CHANGED,
        "note": "Is `correction` where a person's correction did it (labels.corrections); null elsewhere.",
    },
    "drift": {
        "kind": "What the photographs are told apart by; a cell is five by five degrees.",
        "value": "Its value: a name, a code, or a cell's south-western corner; `unknown` where records do not say.",
        "photographs_before": "Photographs of the snapshot before that have it.",
        "photographs": "Photographs of this snapshot that have it.",
        "share_before": "Their share of the snapshot before; null for the first snapshot.",
        "share": "Their share of this snapshot.",
        "difference": "How much the share has grown, or shrunk where negative; null for the first snapshot.",
    },
    "photos": {
        "status": "What became of the photograph: ok, or why it cannot be used.",
        "http_status": "Status of the host's last answer.",
        "bytes": "Size of the file in bytes.",
        "attempts": "How often the photograph was asked for.",
        "error": "What went wrong in the last attempt.",
        "fetched_at": "When the last attempt ended, in UTC.",
    },
    "losses": {
        "taxon_key": "Key of the species in the last dataset.",
        "reason": "Why the species loses photographs.",
        "photos": "Photographs that it loses for this reason.",
        "gone": "Of them, photographs that are in no other class either.",
        "photos_before": "Photographs of the species in the last dataset.",
        "photos_after": "Photographs of the species in this one; 0 where the species is lost.",
    },
    "species": {
        "taxon_key": "Key of the species in the checklist.",
        "photos": "Usable photographs of the species.",
        "observations": "Observations that these photographs are of.",
    },
    "taxonomy": {
        "node_id": "Number of the node in preorder; the root is 0.",
        "parent_id": "Number of the parent node; null for the root.",
        "depth": "Distance from the root: 1 for kingdoms, 7 for species.",
        "placeholder": "Whether the node stands for a rank that the taxonomy lacks here.",
        "class_id": "Number of the class that networks learn; species only.",
        "leaf_begin": "First class at or below the node.",
        "leaf_end": "The class after the last one at or below the node.",
        "photos": "Usable photographs at or below the node.",
    },
    "class_map": {
        "old_class_id": "Class in the last taxonomy; null for a new class.",
        "new_class_id": "Class in this taxonomy; null for a class that is gone.",
        "taxon_key": "Key of the species in this taxonomy.",
        "name": "Name of the species in this taxonomy.",
        "checklist_key": "Checklist of this taxonomy.",
        "old_checklist_key": "Checklist of the last taxonomy.",
        "old_taxon_key": "Key of the species in the last taxonomy.",
        "old_name": "Name of the species in the last taxonomy.",
        "change": "What became of the class.",
        "how": "How it is known that the two belong together; null for a new class and for one that is gone.",
        "occurrences": "Records that both classes have in common.",
    },
    "taxonomy_diff": {
        "change": "What happened to the taxon since the last other taxonomy.",
        "parent": "Name of the taxon above it, in this taxonomy.",
        "old_taxon_key": "Key of the taxon in the last taxonomy.",
        "old_name": "Name of the taxon in the last taxonomy.",
        "old_parent": "Name of the taxon above it, in the last taxonomy.",
        "occurrences": "Records by which the change is known.",
    },
    "split": {
        "class_id": "Class of the photograph: its species' position among the leaves of the tree.",
        "split": "Side of the photograph.",
        "half": "Half of the validation side: the first chooses thresholds, the second judges them.",
    },
    "places": {
        "class_id": "Class of the occurrence: its species' position among the leaves of the tree.",
        "side": "Is `train` only where every photograph of its observation is on the training side.",
        "latitude": "Degrees (WGS 84), from -90 to 90; null where the place does not count.",
        "longitude": "Degrees (WGS 84), from -180 to 180; null where the place does not count.",
        "uncertainty_m": "Radius in metres that holds the true place; null where it is not stated. Of an obscured "
        "place it is at least half the diagonal of its cell.",
        "obscured": "Whether the source has moved or withheld the place.",
        "day": "Day of the year from 1 to 366, 1 March being 61 in every year; the middle of a span of at most 31 "
        "days; null for a longer span, or where the date is missing or none.",
        "country": "ISO code of the country of the observation.",
        "observer": _OBSERVER,
        "problem": "The rule by which the place does not count; null where it counts.",
    },
    "genus_photos": {
        "taxon_key": "Key of the rare species in the checklist.",
        "node_id": "Node of its genus in the tree.",
    },
    "exam": {
        "species_key": "Key of the species that the observation is now; of a withdrawn one, that it was last.",
        "withdrawn": "Why the photograph is not shown at present; null where it is.",
        "since": "Version of the exam that added the photograph.",
    },
    "attribution": {
        "taxon_key": "Key of the species in the checklist.",
        "credit": "Whom to name under the photograph: the holder, else the creator, else `unknown holder`.",
    },
    "rejections": {
        "stage": "Asset that removed the row.",
        "key": "Key of the row there: a record, a photograph, or a line of a file.",
        "rule": "Rule that removed it.",
        "detail": "What the rule found.",
    },
    "leakage": {
        "validation_photo": "Photograph of the validation side.",
        "train_photo": "Photograph of the training side that looks like it.",
        "validation_observation": "Observation of the validation photograph.",
        "train_observation": "Observation of the training photograph.",
        "validation_class": "Class of the validation photograph.",
        "train_class": "Class of the training photograph.",
        "distance": "Bits in which their perceptual hashes differ; 0 for the same picture.",
    },
    "suspects": {
        "split": "Side of the photograph.",
        "class_id": "Class that the photograph is under.",
        "taxon_key": "Key of the species that the photograph is under.",
        "species": "Species that the photograph is under.",
        "suspicion_rank": "Place among the judged photographs; 1 is the most suspicious, null where none was judged.",
        "suspicion": "How much more the photograph looks like another species: the logarithm of the ratio of their "
        "probabilities; species of the same genus count four times, because they are mistaken for each other.",
        "self_confidence": "Probability of the species that the photograph is under, by a classifier that learnt "
        "without the photograph and its observation.",
        "margin": "Normalised margin: half of one plus self_confidence less suggested_probability.",
        "suggested_class_id": "Class of the likeliest other species.",
        "suggested_taxon_key": "Key of the likeliest other species.",
        "suggested_species": "The likeliest other species.",
        "suggested_probability": "Its probability.",
        "is_issue": "Whether confident learning takes the name for wrong: another species is likelier, and one is as "
        "probable as its own photographs are on average.",
        "meet_rank": "Lowest rank of a taxon that holds both species; `none` where they share no kingdom.",
        "meet_taxon": "That taxon.",
        "near_duplicate": "The most similar photograph that is near-identical and under another species.",
        "near_duplicate_species": "Species of that photograph.",
        "near_duplicate_distance": "Bits by which the perceptual hashes of the two differ.",
    },
    "training_photos": {
        "pack": "File of the pack that holds the photograph.",
        "offset": "First byte of the photograph in that file.",
        "length": "Bytes of the photograph in that file.",
        "sha256": "Hash of the photograph as it was fetched.",
        "width": "Width in pixels, as packed.",
        "height": "Height in pixels, as packed.",
        "fingerprint": "Perceptual hash of 64 bits: photographs that look alike have similar ones.",
    },
}
"""Table -> column -> meaning, where it is the table's own."""

PLACE_PROBLEMS: Final[dict[str, str]] = {
    "missing": "The record states no coordinates, or its source withholds them.",
    "incomplete": "The record states one coordinate without the other.",
    "unreadable": "A coordinate is no number.",
    "out_of_range": "A latitude beyond 90 or a longitude beyond 180 degrees.",
    "zero": "Latitude and longitude are both 0, which mostly stands for a missing place.",
    "other_country": "The coordinates lie outside the country that the record states.",
    "swapped": "GBIF swapped latitude and longitude, without a country to tell whether that is right.",
    "shifted_datum": "Bringing the coordinates to WGS 84 moved them by more than a tenth of a degree.",
    "too_uncertain": "The true place may be more than 100 km away.",
}
"""Why the place of an occurrence does not count (`places.problem`)."""


def column_description(table: str, column: str) -> str:
    """What a column of a table means.

    Raises:
        KeyError: nothing is written about the column.
    """
    return OF_TABLE.get(table, {}).get(column) or COMMON[column]
