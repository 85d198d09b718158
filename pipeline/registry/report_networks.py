"""The report's comparison of the networks: the paper's Table 1 and Figures 3 and 4, where all of them were trained."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ml.spec import RESULT_FILE, NetworkName
from pipeline.comparison import measures
from pipeline.comparison.comparison_figures import depth_against_target, networks_by_class_size
from pipeline.comparison.comparison_findings import DEPTHS, SIZES
from pipeline.comparison.comparison_page import as_html
from pipeline.comparison.comparison_tables import controlled, recognised
from pipeline.comparison.networks import NETWORKS, results_of
from pipeline.comparison.verdict import ranking
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.launching.specs import calibrate_hash, train_hash
from pipeline.pages.figures import draw_once

CAPTIONS: Final = {
    DEPTHS: (
        "The more often answers should be right, the less precise they become. A line further up is better: at the "
        "same accuracy it names lower ranks. Hollow marks are the paper's results, of another dataset. (The paper's "
        "Figure 3.)"
    ),
    SIZES: (
        "How many photographs of a species a network needs: species with few are recognised less often. The thin lines "
        "are 95 % intervals. (The paper's Figure 4.)"
    ),
}
"""What to see in each picture, by title."""


@dataclass(frozen=True, kw_only=True)
class SideBySide:
    """The networks of this dataset version beside each other."""

    recognised: dict[str, object]
    """The first part of Table 1, as the macro `table` takes it."""
    controlled: dict[str, object]
    """The second part."""
    pictures: Mapping[str, tuple[Path, str]]
    """PNG files with what to see in them, by title."""
    best: str
    """The title of the network that recognises the most species."""


def side_by_side(settings: Settings, manifest: DatasetManifest) -> SideBySide | None:
    """The networks that were trained on this dataset version with the present configuration; None unless all were.

    Raises:
        ChildError: a result is damaged, or was written by another version.
    """
    if not all(file.exists() for name in NETWORKS for file in _results(settings, manifest, name)):
        return None
    results = results_of(settings, manifest)
    summary, target = measures.summary(results), settings.specificity.target
    by_target, by_class_size = measures.by_target(results), measures.by_class_size(results)
    folder = settings.paths.reports / "comparison"
    depths = draw_once(folder / "depth_against_target.png", depth_against_target, by_target, target)
    sizes = draw_once(folder / "networks_by_class_size.png", networks_by_class_size, by_class_size)
    return SideBySide(
        recognised=as_html(recognised(summary)),
        controlled=as_html(controlled(summary, target=target)),
        pictures={DEPTHS: (depths, CAPTIONS[DEPTHS]), SIZES: (sizes, CAPTIONS[SIZES])},
        best=NETWORKS[ranking(summary)[0]].title,
    )


def _results(settings: Settings, manifest: DatasetManifest, name: NetworkName) -> list[Path]:
    """Where a network's results of this dataset version are written, of each seed."""
    paths, found = settings.paths, list[Path]()
    for seed in settings.training.seeds:
        found.append(paths.model(name, train_hash(settings, manifest, network=name, seed=seed)) / RESULT_FILE)
        found.append(paths.evaluation(name, calibrate_hash(settings, manifest, network=name, seed=seed)) / RESULT_FILE)
    return found
