"""From occurrences as received to occurrences of accepted species. The rules themselves are in `sql/`."""

from pathlib import Path

from pipeline.config import Settings
from pipeline.dataset.crosswalk import checklists, dataset_checklist, read_crosswalk
from pipeline.files import work_folder
from pipeline.paths import Paths
from pipeline.query import to_parquet
from pipeline.rejections import write_rejections

RULES = (
    "duplicate_occurrence",
    "no_taxonomy",
    "other_checklist",
    "hybrid",
    "bold_bin",
    "provisional_name",
    "higher_rank_match",
    "above_species",
    "doubtful_match",
    "missing_species_key",
    "missing_species_name",
    "unusual_taxonomy",
)
"""Why an occurrence is removed; the first that applies is the one that is recorded."""


def build_clean_occurrences(paths: Paths, settings: Settings) -> Path:
    """Judge every occurrence by `sql/occurrence_verdicts.sql`; write the clean ones and the rejections.

    Each row of `occurrences.parquet` ends in exactly one of `clean_occurrences.parquet` and the rejections of the
    stage `clean_occurrences` (key: occurrence_key; rule: one of `RULES`). Rows of other checklists than the dataset's
    are translated by `taxonomy.crosswalk` first, and rejected where it does not reach.

    Args:
        paths: Where the files of the scope lie.
        settings: `taxonomy.unusual` decides about missing inner ranks: `placeholder` keeps them blank, `drop` (the
            paper, section 4) removes the occurrence; `taxonomy.fuzzy` about names matched by similar spelling;
            `source.checklist_key` and `taxonomy.crosswalk` about the checklist.

    Returns:
        The path of `clean_occurrences.parquet`.

    Raises:
        TableError: `occurrences.parquet` is missing, or the crosswalk cannot be read.
        LockedError: another run is building the same table.
    """
    output = paths.table("clean_occurrences")
    crosswalk = read_crosswalk(settings.taxonomy.crosswalk)
    found = checklists(paths)
    wanted = settings.source.checklist_key
    checklist = dataset_checklist(found, configured=wanted, translates=wanted in crosswalk["to_checklist"].to_pylist())
    with work_folder(paths.work("clean_occurrences")) as folder:
        occurrences = paths.table("occurrences")
        if crosswalk.num_rows and any(key != checklist for key in found):
            occurrences = to_parquet(
                "occurrence_translation",
                inputs={"occurrences": occurrences, "crosswalk": crosswalk},
                output=folder / "translated.parquet",
                checklist=checklist,
            )
        verdicts = to_parquet(
            "occurrence_verdicts",
            inputs={"occurrences": occurrences},
            output=folder / "verdicts.parquet",
            unusual=settings.taxonomy.unusual,
            fuzzy=settings.taxonomy.fuzzy,
            checklist=checklist,
        )
        rejected = to_parquet("clean_rejections", inputs={"verdicts": verdicts}, output=folder / "rejected.parquet")
        write_rejections(paths, "clean_occurrences", rejected)
        return to_parquet("clean_occurrences", inputs={"verdicts": verdicts}, output=output)
