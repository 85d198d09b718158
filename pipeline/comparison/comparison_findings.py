"""All that a comparison found, and the sentences that Markdown and HTML both say of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

from ml.spec import PLACE_LEFT_OUT, NetworkName, size_title
from pipeline.comparison.comparison_tables import Shown, changed, controlled, printed, recognised
from pipeline.comparison.measures import Results
from pipeline.comparison.networks import NETWORKS
from pipeline.comparison.place_tables import local_sentence, place_rows, placed_networks
from pipeline.comparison.verdict import Verdict
from pipeline.comparison.wording import counted, listed, percent, plain_percent
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest

Row = dict[str, Any]

DEPTHS, SIZES = "Depth at each target accuracy", "Accuracy of the networks by class size"
"""Titles of the pictures: the paper's Figures 3 and 4."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Findings:
    """What was compared, and what came out."""

    settings: Settings
    manifest: DatasetManifest
    results: Results
    summary: Sequence[Row]
    """Rows of `measures.SUMMARY`."""
    differences: Sequence[Row]
    """Rows of `measures.DIFFERENCES`, of the contrasts at least."""
    by_target: Sequence[Row]
    by_class_size: Sequence[Row]
    verdict: Verdict
    pictures: Mapping[str, Path]
    """PNG files by title."""
    registered: NetworkName
    """The network that becomes a model version: the best with the first seed."""
    day: date

    @property
    def tables(self) -> tuple[Shown, Shown, Shown, Shown]:
        """Table 1 in its two parts, the differences, and the paper's numbers."""
        target = self.settings.specificity.target
        return recognised(self.summary), controlled(self.summary, target=target), changed(self.differences), printed()

    @cached_property
    def places(self) -> dict[NetworkName, list[Row]]:
        """What place and season are worth, with the first seed, of the networks that know places."""
        tables = {name: place_rows(runs[0].calibration) for name, runs in self.results.items()}
        return {name: rows for name, rows in tables.items() if rows}

    @property
    def placed(self) -> Shown | None:
        """The same as a table; None where no network knows places."""
        return placed_networks(self.places, target=self.settings.specificity.target) if self.places else None

    @property
    def place_note(self) -> str:
        """How the numbers of place and season were computed."""
        return (
            "Photographs of the half that chose nothing, with a usable place and date near some training record; the "
            "same ones in every row of a network, with the first seed. Points: what the place, and the date, add to "
            "top-1, in percentage points with a 95 % interval (bootstrap of whole observations). Each row has "
            "thresholds of its own."
        )

    @property
    def place_pictures(self) -> list[tuple[str, Path, str]]:
        """Title, PNG file and caption of the curve of records left out, of each network that has one."""
        return [
            (f"{PLACE_LEFT_OUT}: {NETWORKS[name].title}", self.results[name][0].calibration.figures[PLACE_LEFT_OUT],
             f"{local_sentence(rows)} Lines are 95 % intervals.")
            for name, rows in self.places.items()
            if PLACE_LEFT_OUT in self.results[name][0].calibration.figures
        ]  # fmt: skip

    @property
    def compared(self) -> str:
        """What was compared."""
        counts, training = self.manifest.counts, self.settings.training
        seeds = listed([str(seed) for seed in training.seeds])
        return (
            f"{counted(counts['species'], 'species', 'species')}, {counts['train']:,} training and "
            f"{counted(counts['validation'], 'validation photograph')}. Backbone {training.backbone}, recipe "
            f"{training.recipe}, {training.image_size} pixels, {'seed' if training.repeats == 1 else 'seeds'} {seeds}."
        )

    @property
    def verdict_notes(self) -> str:
        """How far to trust the verdict, and what is registered where that is another network."""
        notes = (
            "The best of several is a little lucky on the photographs that chose it, so these intervals flatter it "
            "slightly."
        )
        if self.registered != self.verdict.winner:
            title = NETWORKS[self.registered].title
            notes += f" The registry gets \u201c{title}\u201d, which is the best with the first seed."
        return notes

    @property
    def intervals(self) -> str:
        """What the intervals of Table 1 are."""
        repeats = self.settings.training.repeats
        if repeats > 1:
            return f"Intervals: 95 % over {repeats} seeds (Student's t)."
        return (
            "Intervals: 95 % over the photographs (Clopper-Pearson). There is one seed, so they do not say how much "
            "another seed would change."
        )

    @property
    def specificity_note(self) -> str:
        """Whose answers the second part of Table 1 is about."""
        return (
            "The threshold was chosen on one half of the validation photographs; these numbers are of the other half. "
            "With a threshold in place the answer is the deepest taxon that is probable enough, which need not be a "
            "species."
        )

    @property
    def differences_note(self) -> str:
        """How the differences were computed."""
        seeds = ""
        if self.settings.training.repeats > 1:
            seeds = "; means over the seeds), and over the seeds (Student's t of the paired differences"
        return (
            "Validation top-1 on the same photographs, in percentage points. Intervals: 95 % over the photographs "
            f"(bootstrap of whole observations{seeds}). An interval without 0 is beyond chance. Gained and lost: the "
            "photographs that only the one network, or only the other, gets right."
        )

    @property
    def paper_note(self) -> str:
        """What the paper's numbers are of."""
        return (
            "Another dataset: 19,027 species, InceptionResNetV2. These numbers are no goal for this one. The depth "
            "counts the root as 0, as the paper's text does; the paper's table counts it as 1."
        )

    @property
    def captions(self) -> dict[str, str]:
        """What to see in each picture."""
        return {DEPTHS: self._depths_caption(), SIZES: self._sizes_caption()}

    def _depths_caption(self) -> str:
        target = self.settings.specificity.target
        at_target = {row["network"]: row["depth"] for row in self.by_target if row["target"] == target}
        seen = (
            "The more often answers should be right, the less precise they become. A line further up is better: at the "
            "same accuracy it names lower ranks. Hollow marks are the paper's results, of another dataset."
        )
        if not at_target:
            return f"{seen} At the target of {plain_percent(target)} no network has an answer for every seed."
        best = max(at_target, key=lambda name: at_target[name])
        return (
            f"{seen} At the target of {plain_percent(target)}, \u201c{NETWORKS[best].title}\u201d answers deepest, at "
            f"{at_target[best]:.2f} on average. (The paper's Figure 3.)"
        )

    def _sizes_caption(self) -> str:
        rows = [
            row for row in self.by_class_size if (row["side"], row["network"]) == ("validation", self.verdict.winner)
        ]
        rows.sort(key=lambda row: int(row["size"].split("_")[0]))
        first, last = rows[0], rows[-1]
        told = (
            f"With {size_title(first['size'])} training photographs of a species, "
            f"\u201c{NETWORKS[self.verdict.winner].title}\u201d recognises {percent(first['value'])}"
        )
        if first is not last:
            told += f"; with {size_title(last['size'])}, {percent(last['value'])}"
        return f"{told}. The thin lines are 95 % intervals. (The paper's Figure 4.)"
