"""The tags of a model version and of the registered model that the pipeline reads again."""

from typing import Final

NETWORK: Final = "naturewatch.network"
DATA_VERSION: Final = "naturewatch.data_version"
"""The dataset version that a version was trained on."""
TAXONOMY_HASH: Final = "naturewatch.taxonomy_hash"
SPLIT_HASH: Final = "naturewatch.split_hash"
SPEC_HASH: Final = "naturewatch.spec_hash"
"""Of the registration: a specification is registered once."""

TRAINING: Final = "naturewatch.training"
"""Spec hash of the training that a version was made of; absent from versions of earlier code."""
HOW: Final = "naturewatch.how"
"""How that training came about: `adopted`, `continued` or `full` (`pipeline.production.record`)."""
BACKBONE: Final = "naturewatch.backbone"
RECIPE: Final = "naturewatch.recipe"
"""Name of the recipe, or the file that it was read from."""
RECIPE_HASH: Final = "naturewatch.recipe_hash"
"""What that file said; absent for a recipe with a name."""
FIRST_WEIGHTS: Final = "naturewatch.first_weights"
"""The weights that the last training from nothing among the version and its ancestors began with."""
ANCESTOR: Final = "naturewatch.ancestor"
"""Number of the version that training went on from; absent where training began from nothing."""
FULL_PHOTOS: Final = "naturewatch.full_photos"
"""Training photographs of the last training from nothing among the version and its ancestors."""

CASES: Final = "naturewatch.cases"
"""The cases that a version is calibrated for beside `neither`: `place` or `place, place_and_date`; absent without."""

GATE: Final = "naturewatch.gate"
"""What the gate said of a version: `passed` or `refused`."""
GATE_REASONS: Final = "naturewatch.gate_reasons"
"""Its reasons, one sentence for each metric."""
EXAM: Final = "naturewatch.exam"
"""The version of the exam that it was judged on."""

REPORT: Final = "naturewatch.report"
"""Where the report of a version is kept: `runs:/RUN/PLACE`, as MLflow addresses a file of a run."""

PROMOTED_AT: Final = "naturewatch.promoted_at"
"""When the version became the champion last (ISO 8601, UTC)."""
PROMOTED_BY: Final = "naturewatch.promoted_by"
"""Who or what made it the champion."""
PROMOTED_WHY: Final = "naturewatch.promoted_why"
REPLACED: Final = "naturewatch.replaced"
"""The version that was the champion before it."""

TAKEN_BACK: Final = "naturewatch.taken_back"
"""On a version that a person replaced as champion: who and why. No refresh promotes it again; a person may."""

PINNED: Final = "naturewatch.pinned"
"""On the registered model: why its champion stays until a person moves it; absent where it may be replaced."""

KEEP: Final = "naturewatch.keep"
"""On a version or a run: `naturewatch prune` leaves it alone, whatever the value."""
DERIVED_DOI: Final = "gbif.derived_dataset_doi"
"""DOI of the GBIF derived dataset that stands for the dataset version; absent until it is registered."""
