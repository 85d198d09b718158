"""What each rule that leaves out a row means, in words for people. The rules themselves are in `sql/`."""

from typing import Final

MEANING: Final = {
    "unreadable_line": "A line of the archive that is not a row of its file.",
    "no_gbif_id": "A line of the archive that does not say which record it belongs to.",
    "duplicate_occurrence": "The record came more than once; one copy is kept.",
    "absent": "The record says that the organism was looked for and not found.",
    "out_of_scope": "Outside the dataset, taxa, country, years or licences that the configuration asks for (source).",
    "no_taxonomy": "GBIF found no taxon for the name.",
    "other_checklist": "The record follows another taxonomy, and the crosswalk does not translate it.",
    "hybrid": "A cross of two species is neither of them.",
    "bold_bin": "A cluster of DNA barcodes, not a named species.",
    "provisional_name": "An open name, such as sp., cf. or aff., or an uncertain identification.",
    "higher_rank_match": "GBIF matched only the genus, family or a higher group of the name.",
    "above_species": "Identified to a genus, family or higher group.",
    "doubtful_match": "GBIF is not sure which species the name means.",
    "missing_species_key": "The species has no key.",
    "missing_species_name": "The species has no name.",
    "unusual_taxonomy": "A rank between kingdom and species is missing (taxonomy.unusual: drop).",
    "no_address": "The photograph has no address.",
    "not_image": "A sound, a film or a document.",
    "not_jpeg": "An image in another format than JPEG.",
    "unsupported_address": "An address that nothing can be fetched from.",
    "licence": "The licence is not among the allowed ones (photos.licences).",
    "conflicting_address": "The same photograph is listed under two species; neither is used.",
    "duplicate_address": "The photograph is listed already, mostly by another record.",
    "rare_species": "The species has too few photographs to be kept, so they are not fetched (photos.skip_rare).",
    "correction": "A person has looked at it and dropped it (labels.corrections).",
    "unusable_correction": "A line of labels.corrections that changes nothing; the detail says why.",
    "no_photo": "The observation has no photograph left to fetch.",
    "gone": "The photograph is no longer at its address.",
    "corrupt": "The image is damaged or cut short.",
    "too_large": "The image has more bytes or pixels than allowed (photos.max_bytes, photos.max_pixels).",
    "blocked": "The address leads into a private network.",
    "failed": "The host did not deliver it; the next run tries again.",
    "unknown_occurrence": "The observation of the photograph was removed after the photograph was fetched.",
    "conflicting_photo": "The same bytes are listed under two species; neither is used.",
    "duplicate_photo": "The same bytes are in the dataset already.",
    "observation_cap": "The observation has enough photographs (split.photos_per_observation).",
    "too_few_images": "The species has fewer photographs than split.min_images.",
    "species_cap": "The species has enough photographs (split.photos_per_species).",
}
"""What each rule, and each status of the ledger, means for people."""

STAGES: Final = {
    "occurrences": ("Reading the archive", "line"),
    "clean_occurrences": ("Cleaning the records", "record"),
    "photo_index": ("Choosing the photographs", "photograph"),
    "photos": ("Fetching the photographs", "photograph"),
    "species": ("Keeping the species", "photograph"),
}
"""What each stage does, and what one of its rows is."""
NOTES: Final = {"no_photo": "record", "unusable_correction": "line"}
"""Rules whose rows are something else than those of their stage."""


def rows_in_words(stage: str, rule: str, number: int) -> str:
    """How many rows a rule left out, and of what: `2 records`."""
    unit = NOTES.get(rule, STAGES[stage][1])
    return f"{number:,} {unit}" if number == 1 else f"{number:,} {unit}s"
