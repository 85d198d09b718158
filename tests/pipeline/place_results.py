"""What a calibration with places leaves about their worth, written by hand: numbers for pages to show."""

from pathlib import Path

from PIL import Image

from ml.places.sites import Case
from ml.spec import PLACE_GROUPS, PLACE_LEFT_OUT, RESULT_FILE, CalibrateResult
from ml.specificity.place_accuracy import Grouping, PlaceAccuracy
from ml.specificity.place_accuracy_files import ACCURACY_FILE, write_accuracy


def accuracy_row(
    case: Case, gain: float | None, *, grouping: Grouping = "all", group: str = "", km: float = 0, half: float = 0.02
) -> PlaceAccuracy:
    """A gain with an interval of twice `half`; the photograph alone is right for half of all."""
    top1 = 0.5 + (gain or 0)
    return PlaceAccuracy(
        grouping=grouping, group=group, left_out_km=km, case=case, photos=1_200, observations=800, top1=top1,
        top1_low=top1 - 0.03, top1_high=top1 + 0.03, gain=gain, gain_low=None if gain is None else gain - half,
        gain_high=None if gain is None else gain + half, log_loss=1.0, accuracy=0.905, accuracy_low=0.89,
        accuracy_high=0.92, depth=6.25, abstention=0.01,
    )  # fmt: skip


def accuracy_rows(*, far: float = 0.065) -> list[PlaceAccuracy]:
    """A place adds 5 points, with the date 7, of which `far` are left without the records within 50 km."""
    return [
        accuracy_row("neither", None), accuracy_row("place", 0.05), accuracy_row("place_and_date", 0.07),
        accuracy_row("place_and_date", 0.09, grouping="class", group="Aves"),
        accuracy_row("place_and_date", 0.01, grouping="class", group="Magnoliopsida"),
        accuracy_row("place", 0.05, grouping="left_out"), accuracy_row("place_and_date", 0.07, grouping="left_out"),
        accuracy_row("place", 0.04, grouping="left_out", km=50),
        accuracy_row("place_and_date", far, grouping="left_out", km=50),
    ]  # fmt: skip


def give_places(found: CalibrateResult, folder: Path) -> CalibrateResult:
    """A calibration that knows places, with a table and pictures in `folder`."""
    files = {PLACE_LEFT_OUT: folder / "place_gain_left_out.png", PLACE_GROUPS: folder / "place_gain_by_group.png"}
    for file in files.values():
        Image.new("RGB", (960, 700), "white").save(file)
    table = write_accuracy(accuracy_rows(), folder / ACCURACY_FILE)
    placed = found.model_copy(update={"place_accuracy": table, "figures": {**found.figures, **files}})
    placed.write(folder / RESULT_FILE)
    return placed
