"""What cards were measured to do: `results/cards.yaml`, a list of records that the part `gpu` adds to."""

import datetime as dt
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from bench.harness import RESULTS

FILE: Final = RESULTS / "cards.yaml"


class Measurement(BaseModel):
    """The training step of one network on one card."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    card: str
    """As torch names it."""
    torch: str
    backbone: str
    image_size: int
    classes: int
    views: int = Field(ge=1)
    batch: int = Field(ge=1)
    """Photographs a step."""
    path: Literal["eager", "captured"]
    """Launched kernel by kernel, or replayed as one CUDA graph."""
    precision: str = "bf16"
    milliseconds: float = Field(gt=0)
    """Of a step."""
    photos_per_second: float = Field(gt=0)
    peak_gib: float | None = None
    """Most memory of tensors; None where it was not measured."""
    date: dt.date

    def is_of(self, *, backbone: str, image_size: int, views: int) -> bool:
        """Whether it is of this network, in the precision that `auto` takes."""
        return (self.backbone, self.image_size, self.views, self.precision) == (backbone, image_size, views, "bf16")


def read(file: Path = FILE) -> list[Measurement]:
    """All measurements, in the order in which they were made.

    Raises:
        ValidationError: a record is malformed.
    """
    if not file.exists():
        return []
    return [Measurement.model_validate(each) for each in yaml.safe_load(file.read_text(encoding="utf-8")) or []]


def append(measurements: Iterable[Measurement], file: Path = FILE) -> None:
    """Add measurements at the end; comments and earlier records stay, and the last of its kind counts."""
    records = [each.model_dump(exclude_none=True) for each in measurements]
    if not records:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as stream:
        stream.write(yaml.safe_dump(records, sort_keys=False, allow_unicode=True))


def step_of(measurements: Iterable[Measurement], *, batch: int) -> Measurement | None:
    """The last measurement of this batch; else of the next larger one, whose step takes at least as long."""
    larger = [each for each in measurements if each.batch >= batch]
    if not larger:
        return None
    nearest = min(each.batch for each in larger)
    return [each for each in larger if each.batch == nearest][-1]
