"""From occurrences as received to occurrences of accepted species. The rules themselves are in `sql/`."""

from collections.abc import Mapping
from pathlib import Path

from ml.spec import RANKS
from pipeline.config.settings import Settings
from pipeline.corrections import read_corrections
from pipeline.dataset.corrected_records import correct_records
from pipeline.dataset.crosswalk import checklists, dataset_checklist, read_crosswalk
from pipeline.errors import ConfigurationError
from pipeline.files import work_folder
from pipeline.gbif.licences import licence_readings
from pipeline.gbif.scope import conditions
from pipeline.paths import Paths
from pipeline.query import count, rows, tally, to_parquet
from pipeline.rejections import write_rejections

RULES = (
    "duplicate_occurrence",
    "absent",
    "out_of_scope",
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
    "correction",
    "unusable_correction",
)
"""Why an occurrence is removed; the first rule that applies is recorded. `unusable_correction` notes a line of
`labels.corrections` that changes nothing."""
SHOWN = 5
"""How many reasons an error lists."""


def build_clean_occurrences(paths: Paths, settings: Settings) -> Path:
    """Judge every occurrence by `sql/dataset/occurrence_verdicts.sql`; write the clean ones and the rejections.

    Each row of `occurrences.parquet` ends in exactly one of `clean_occurrences.parquet` and the rejections of the
    stage `clean_occurrences` (key: occurrence_key; rule: one of `RULES`). Rows of other checklists than the dataset's
    are first translated by `taxonomy.crosswalk`, and rejected where it has no translation. The scope is applied to
    every row, whatever the source: an archive or a download may hold more than the scope.

    Args:
        paths: The paths of the scope.
        settings: `taxonomy.unusual` decides about missing inner ranks: `placeholder` keeps them blank, `drop` (the
            paper, section 4) removes the occurrence; `taxonomy.fuzzy` about names matched by similar spelling;
            `source.checklist_key` and `taxonomy.crosswalk` about the checklist; `source` has the scope;
            `labels.corrections` names records that a person has identified anew or dropped.

    Returns:
        The path of `clean_occurrences.parquet`.

    Raises:
        ConfigurationError: the scope cannot be applied to these occurrences, or leaves none of them.
        TableError: `occurrences.parquet` is missing, or the crosswalk or the corrections cannot be read.
        LockedError: another run is building the same table.
    """
    output = paths.table("clean_occurrences")
    crosswalk = read_crosswalk(settings.taxonomy.crosswalk)
    found = checklists(paths.table("occurrences"))
    wanted = settings.source.checklist_key
    checklist = dataset_checklist(found, configured=wanted, translates=wanted in crosswalk["to_checklist"].to_pylist())
    datasets = [key for (key,) in tally(paths.table("occurrences"), "dataset_key")]
    scope = conditions(settings.source, datasets=datasets)
    if scope["taxon_keys"] and checklist != wanted:
        raise ConfigurationError(
            f"source.taxon_keys are keys of the checklist {wanted}, the occurrences follow {checklist}: "
            "set source.checklist_key to it and give its keys, or give a taxonomy.crosswalk"
        )
    _require_known(paths, scope)
    with work_folder(paths.work("clean_occurrences")) as folder:
        occurrences = paths.table("occurrences")
        if crosswalk.num_rows and any(key != checklist for key in found):
            occurrences = to_parquet(
                "occurrence_translation",
                inputs={"occurrences": occurrences, "crosswalk": crosswalk},
                output=folder / "translated.parquet",
                checklist=checklist,
            )
        licences = licence_readings(occurrences, folder=folder, name="occurrences")
        verdicts = to_parquet(
            "occurrence_verdicts",
            inputs={"occurrences": occurrences, "licences": licences},
            output=folder / "verdicts.parquet",
            unusual=settings.taxonomy.unusual,
            fuzzy=settings.taxonomy.fuzzy,
            checklist=checklist,
            **scope,
        )
        corrections = read_corrections(settings.labels.corrections).records
        judged: Path | None = None
        if corrections.num_rows:
            verdicts, judged = correct_records(verdicts, corrections, folder=folder)
        rejected = to_parquet("clean_rejections", inputs={"verdicts": verdicts}, output=folder / "rejected.parquet")
        if judged is not None:
            rejected = to_parquet(
                "unusable_corrections",
                inputs={"rejected": rejected, "corrections": judged},
                output=folder / "noted.parquet",
            )
        write_rejections(paths, "clean_occurrences", rejected)
        _require_some(rejected, occurrences)
        return to_parquet("clean_occurrences", inputs={"verdicts": verdicts}, output=output)


def _require_known(paths: Paths, scope: Mapping[str, object]) -> None:
    """Refuse keys that no occurrence names: a rank without a column would lose all of its occurrences."""
    if not scope["taxon_keys"]:
        return
    absent = rows("absent_taxa", inputs={"occurrences": paths.table("occurrences")}, taxon_keys=scope["taxon_keys"])
    if absent:
        keys = ", ".join(str(row["taxon_key"]) for row in absent)
        raise ConfigurationError(
            f"no occurrence names {keys} of source.taxon_keys; an archive has keys of the name itself and of "
            f"{', '.join(RANKS)}, of no rank between them: leave it out, or name the taxa below it"
        )


def _require_some(rejected: Path, occurrences: Path) -> None:
    """Refuse a scope that leaves nothing: it was meant for other data, or asks for what the source does not state."""
    gone = rows("beyond_scope", inputs={"rejected": rejected})
    reasons = [row for row in gone if row["rule"] != "duplicate_occurrence"]
    if reasons and sum(int(row["occurrences"]) for row in gone) == count(occurrences):
        listed = ", ".join(f"{row['occurrences']:,} of {row['detail']}" for row in reasons[:SHOWN])
        raise ConfigurationError(
            f"none of the occurrences is in the scope: {listed}; check source.dataset_key, taxon_keys, country, years "
            "and licences against the archive or download (what it does not state counts as unknown)"
        )
