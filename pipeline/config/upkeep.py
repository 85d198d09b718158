"""The sections of the configuration about living with growth: refreshes, the exam and its gate, retention, labels."""

from typing import Literal

from pydantic import Field

from ml.spec import Rank
from pipeline.config.section import Section
from pipeline.config.values import Cron, File


class RefreshSettings(Section):
    """The scheduled refresh as NatureWatch grows."""

    cron: Cron = "0 3 * * 1"
    """When the weekly refresh runs, in UTC; the schedule is off until it is switched on in the UI."""
    growth: float = Field(default=0.01, gt=0)
    """The growth sensor starts a refresh when GBIF has this share more records of the scope than the last download."""
    network: Literal["baseline", "baseline_matched", "multi_view", "knowledge_transfer"] | None = None
    """The network that a refresh trains; empty: that of the champion, and knowledge_transfer where there is none."""
    full_growth: float = Field(default=0.5, gt=0)
    """A refresh goes on from the champion until the training photographs have grown by this share since the last
    training from nothing; then the network is trained from nothing again."""
    most_lost_species: float = Field(default=0.02, ge=0, le=1)
    """Share of the last dataset's species that may be missing from the next; with more, the run stops with the list
    until a person lets it pass."""
    most_lost_photos: float = Field(default=0.05, ge=0, le=1)
    """Share of the last dataset's photographs that may be missing from the next, likewise."""


class MetricThreshold(Section):
    """What a metric must reach; the names are those of MLflow's `MetricThreshold`. Shares are between 0 and 1."""

    threshold: float | None = None
    """The least value, whatever the champion reaches; empty for none."""
    min_absolute_change: float | None = None
    """The least change against the champion; negative: so much may be lost. Empty for none."""


class GateSettings(Section):
    """What a challenger must reach on the exam before users get it."""

    top1: MetricThreshold = MetricThreshold(min_absolute_change=-0.01)
    """Share of exam photographs with the right species."""
    macro_top1: MetricThreshold = MetricThreshold(min_absolute_change=-0.02)
    """Mean of that share over species."""
    depth: MetricThreshold = MetricThreshold(min_absolute_change=-0.15)
    """Mean depth of the answers at the target accuracy; root 0, species 7."""
    promise: MetricThreshold = MetricThreshold(min_absolute_change=-0.02)
    """Share of answers at the target accuracy that are right."""
    group: MetricThreshold = MetricThreshold(min_absolute_change=-0.05)
    """Share of photographs with the right species within each group."""
    group_rank: Rank = "class"
    """The rank whose taxa are the groups."""
    group_photos: int = Field(default=50, ge=1)
    """Exam photographs that a group needs to be judged by itself."""


class ExamSettings(Section):
    """The frozen set of validation observations on which model versions are judged."""

    observations_per_species: int = Field(default=10, ge=1)
    """Most observations of one species in the exam."""


class RetentionSettings(Section):
    """What is kept, and for how long."""


class LabelSettings(Section):
    """The search for photographs that seem to have the wrong name."""

    folds: int = Field(default=5, ge=2, le=20)
    """Parts of the photographs; each is judged by a classifier that learnt from the others."""
    corrections: File | None = None
    """A CSV of names that a person has corrected, as `suspects.csv` is one (docs/operations.md); empty for none."""
