"""The code version of each asset: a number kept by hand for its Python, and a hash of the SQL that it runs."""

from collections.abc import Mapping
from typing import Final

from pipeline.files import digest_of
from pipeline.query import select

QUERIES: Final[Mapping[str, tuple[str, ...]]] = {
    "gbif_download": (),
    "occurrences": ("occurrences", "media", "occurrence_rejections", "rejection_lines"),
    "clean_occurrences": (
        "absent_taxa", "licence_texts", "occurrence_translation", "occurrence_verdicts",
        "clean_rejections", "beyond_scope", "clean_occurrences", "rejection_lines",
    ),
    "photo_index": (
        "licence_texts", "photo_index_verdicts", "photo_index_rejections", "photo_index", "rejection_lines",

    ),
    "changes": (
        "snapshot_index", "changes", "changes_species", "changes_replaced",

    ),
    "photos": (
        "photos", "photos_authorities", "photos_outcome", "photos_pending", "photos_received",
        "photos_rejections", "rejection_lines",
    ),
    "species": (
        "photo_verdicts", "species_rejections", "species", "rejection_lines", "long_tail",
    ),
    "rejections": (),
    "taxonomy": ("taxonomy",),
    "taxonomy_history": ("species_of_occurrences", "class_map", "taxonomy_diff", "taxonomy_changes"),
    "split": ("split", "split_gaps", "contact_sheet"),
    "genus_photos": ("genus_photos",),
    "attribution": ("attribution", "derived_dataset"),
    "training_photos": ("pack_missing",),
    "leakage": ("leakage", "leakage_counts"),
    "manifest": (
        "clean_media", "split_gaps", "leakage_counts", "contact_sheet",
        "long_tail",
    ),
    "dataset_page": (
        "species_per_class", "long_tail", "observation_places", "licence_counts",
        "leakage_examples", "chosen_taxa", "taxon_sheet", "taxonomy_changes",
    ),
}  # fmt: skip
"""The queries of `sql/` that each asset runs, by the name of its function; a test holds the list against a run."""


def code_version(asset: str, *, python: int) -> str:
    """The code version of an asset: it changes with the text of a query, and with the number.

    Args:
        asset: A key of `QUERIES`.
        python: Raised by hand when a change of the Python code changes what the asset writes.
    """
    return f"{python}-{digest_of([select(name) for name in QUERIES[asset]])[:8]}"
