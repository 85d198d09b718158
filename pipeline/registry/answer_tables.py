"""What a calibration promises as tables, for the model card and the report: template `answers.html`."""

from ml.spec import CalibrateResult, GroupPoint, OperatingPoint, WatchedTaxon
from pipeline.comparison.wording import between, percent, plain_percent


def answer_tables(found: CalibrateResult) -> dict[str, object]:
    """The facts of the template: `points`, whether they are `promised`, thresholds of `groups`, the `watch`-list."""
    promised = any(point.guaranteed or not point.reachable for point in found.points)
    return {
        "points": [_point(point)[: 7 if promised else 6] for point in found.points],
        "promised": promised,
        "groups": [_group_point(group) for group in found.groups],
        "watch": [_watched(taxon) for taxon in found.watch],
    }


def _point(point: OperatingPoint) -> list[object]:
    spread = between(point.accuracy_low, point.accuracy_high)
    promised = "out of reach" if not point.reachable else "guaranteed" if point.guaranteed else "estimate"
    return [
        plain_percent(point.target), f"{point.threshold:.4f}", percent(point.accuracy), spread, f"{point.depth:.2f}",
        percent(point.abstention), promised,
    ]  # fmt: skip


def _group_point(group: GroupPoint) -> list[object]:
    right = None if group.accuracy is None else percent(group.accuracy)
    depth = None if group.depth is None else f"{group.depth:.2f}"
    return [
        group.taxon, f"{group.threshold:.4f}", group.calibration_photos, group.evaluation_photos, right,
        between(group.accuracy_low, group.accuracy_high), depth,
    ]  # fmt: skip


def _watched(taxon: WatchedTaxon) -> list[object]:
    basis = f"{taxon.calibration_photos:,} of its own" if taxon.basis == "taxon" else "all taxa of its rank"
    found = None if taxon.recall is None else f"{percent(taxon.recall)} of {taxon.evaluation_photos:,}"
    return [taxon.taxon, f"{100 * taxon.threshold:.2g} %", basis, found, percent(taxon.false_alarms)]
