"""A tiny world for training: real JPEGs of coloured shapes, packed, split, under a three-species taxonomy."""

import shutil
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import simplejpeg
import torch
from numpy.typing import NDArray

from ml.child.pipes import Reporter
from ml.devices import Device
from ml.images.loader import Loader
from ml.images.pack import Pack, read_split
from ml.networks.description import NetworkSpec
from ml.networks.network import build
from ml.spec import RANKS, TrackingSpec, TrainSpec
from ml.training.job import Job
from ml.training.recipes import Recipe
from ml.training.validation import Validation
from tests.ml.steady import PROCESSOR as PROCESSOR  # noqa: PLC0414
from tests.ml.steady import STEADY as STEADY  # noqa: PLC0414
from tests.mlflow_stores import empty_store

SPECIES = 3
PER_SPECIES = 8

SHOWN_SMALL = NetworkSpec(backbone="none", image_size=32, views=(1.0, 0.5))
"""Two views of 32 pixels, for what needs no network."""

SMOOTH = "test_convnext"
"""A tiny backbone without kinks. Where a unit of a ReLU is within rounding of its kink, two processors, or two ways
to share a batch, take different sides, and the gradient differs in the third digit; smooth units only round."""


@dataclass(frozen=True, kw_only=True)
class World:
    """The files that `ml.training.train` reads."""

    folder: Path

    @property
    def index(self) -> Path:
        return self.folder / "pack" / "index.parquet"

    @property
    def split(self) -> Path:
        return self.folder / "split.parquet"

    @property
    def taxonomy(self) -> Path:
        return self.folder / "taxonomy.parquet"

    def spoiled(self, folder: Path, *photo_ids: str) -> "World":
        """A copy in which these photographs cannot be decoded."""
        shutil.copytree(self.folder, folder)
        index = pq.read_table(self.index)
        with (folder / "pack" / "pack-00000.bin").open("r+b") as pack:
            for photo_id, offset in zip(index["photo_id"].to_pylist(), index["offset"].to_pylist(), strict=True):
                if photo_id in photo_ids:
                    pack.seek(offset)
                    pack.write(b"no JPEG")
        return World(folder=folder)

    def job(
        self,
        folder: Path,
        *,
        backbone: str = "tf_efficientnet_lite0",
        recipe: Recipe = STEADY,
        device: Device = PROCESSOR,
        auxiliary: bool = False,
        validation: Validation | None = None,
        **changes: object,
    ) -> Job:
        """A training of two short epochs that repeats itself in parts: norms frozen, no dropout, a smooth optimiser."""
        torch.manual_seed(1)
        chosen = self.spec(folder, backbone=backbone, **changes)
        spec = NetworkSpec(
            backbone=backbone, classes=SPECIES, image_size=chosen.image_size, views=recipe.views,
            dropout=recipe.dropout, auxiliary=auxiliary, head=recipe.head,
        )  # fmt: skip
        pack = Pack(self.index)
        return Job(
            spec=chosen,
            recipe=recipe,
            network=build(spec),
            photos=read_split(self.split, pack=pack, side="train"),
            loader=Loader(pack, spec, device=device, workers=1),
            device=device,
            reporter=Reporter(lambda _: None),
            stop=threading.Event(),
            validation=validation,
        )

    def spec(self, output: Path, **changes: object) -> TrainSpec:
        """A specification of seconds: EfficientNet-Lite0 at 32 pixels, from nothing."""
        values = {
            "network": "baseline",
            "split": self.split,
            "taxonomy": self.taxonomy,
            "photos": self.index,
            "output": output,
            "spec_hash": "0123456789abcdef",
            "backbone": "tf_efficientnet_lite0",
            "weights": "none",
            "recipe": "sample",
            "image_size": 32,
            "seed": 7,
            "workers": 1,
            "tracking": TrackingSpec(
                uri=f"sqlite:///{self.folder / 'mlflow.db'}",
                experiment="tests",
                parent_run_id="f" * 32,
                stage="baseline",
                tags={"dagster.run_url": "http://127.0.0.1:3000/runs/1"},
            ),
        }
        return TrainSpec.model_validate(values | changes)


def photograph(species: int, number: int) -> bytes:
    """A JPEG of 80 x 64 pixels whose colour tells the species."""
    random = np.random.default_rng((species, number))
    pixels: NDArray[np.uint8] = random.integers(0, 60, (64, 80, 3), dtype=np.uint8)
    pixels[..., species] += 150
    return bytes(simplejpeg.encode_jpeg(pixels, quality=90))


def make_world(folder: Path) -> World:
    """Write the pack, the split and the taxonomy below `folder`."""
    made = World(folder=folder)
    empty_store(folder / "mlflow.db")
    (folder / "pack").mkdir()
    rows, split, offset = [], [], 0
    with (folder / "pack" / "pack-00000.bin").open("wb") as pack:
        for species in range(SPECIES):
            for number in range(PER_SPECIES):
                jpeg = photograph(species, number)
                pack.write(jpeg)
                photo_id = f"{species}{number:02d}"
                rows.append(
                    {"photo_id": photo_id, "pack": "pack-00000.bin", "offset": offset, "length": len(jpeg),
                     "width": 80, "height": 64}
                )  # fmt: skip
                offset += len(jpeg)
                validation = number >= 6
                half = ("calibration", "evaluation")[number % 2] if validation else None
                split.append(
                    {"photo_id": photo_id, "occurrence_key": photo_id, "observation_id": photo_id, "class_id": species,
                     "split": "validation" if validation else "train", "half": half, "path": f"{photo_id}.jpg"}
                )  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), made.index)
    pq.write_table(pa.Table.from_pylist(split), made.split)
    pq.write_table(pa.Table.from_pylist(_nodes()), made.taxonomy)
    return made


def _nodes() -> list[dict[str, object]]:
    """One lineage down to the genus, three species below it."""
    lineage = [
        _node(depth, parent=depth - 1 if depth else None, depth=depth, rank=rank, leaves=range(SPECIES))
        for depth, rank in enumerate(("root", *RANKS[:-1]))
    ]
    species = [_node(7 + leaf, parent=6, depth=7, rank="species", leaves=range(leaf, leaf + 1))
               for leaf in range(SPECIES)]  # fmt: skip
    return lineage + species


def _node(node: int, *, parent: int | None, depth: int, rank: str, leaves: range) -> dict[str, object]:
    return {
        "node_id": node, "parent_id": parent, "depth": depth, "rank": rank, "name": f"{rank} {node}",
        "taxon_key": str(node), "checklist_key": "x", "placeholder": False,
        "class_id": leaves.start if rank == "species" else None, "leaf_begin": leaves.start, "leaf_end": leaves.stop,
        "photos": PER_SPECIES * len(leaves),
    }  # fmt: skip
