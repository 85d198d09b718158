"""The tags of a model version and of the registered model that the pipeline reads again."""

from typing import Final

NETWORK: Final = "naturewatch.network"
DATA_VERSION: Final = "naturewatch.data_version"
"""The dataset version that a version was trained on."""
TAXONOMY_HASH: Final = "naturewatch.taxonomy_hash"
SPLIT_HASH: Final = "naturewatch.split_hash"
SPEC_HASH: Final = "naturewatch.spec_hash"
"""Of the registration: a specification is registered once."""

ANCESTOR: Final = "naturewatch.ancestor"
"""Number of the version that training went on from; absent where training began from nothing."""
FULL_PHOTOS: Final = "naturewatch.full_photos"
"""Training photographs of the last training from nothing among the version and its ancestors."""

GATE: Final = "naturewatch.gate"
"""What the gate said of a version: `passed` or `refused`."""
GATE_REASONS: Final = "naturewatch.gate_reasons"
"""Its reasons, one sentence for each metric."""
EXAM: Final = "naturewatch.exam"
"""The version of the exam that it was judged on."""

PROMOTED_AT: Final = "naturewatch.promoted_at"
"""When the version became the champion last (ISO 8601, UTC)."""
PROMOTED_BY: Final = "naturewatch.promoted_by"
"""Who or what made it the champion."""
PROMOTED_WHY: Final = "naturewatch.promoted_why"
REPLACED: Final = "naturewatch.replaced"
"""The version that was the champion before it."""

PINNED: Final = "naturewatch.pinned"
"""On the registered model: why its champion stays until a person moves it; absent where it may be replaced."""

KEEP: Final = "naturewatch.keep"
"""On a version or a run: `naturewatch prune` leaves it alone, whatever the value."""
