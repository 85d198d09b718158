"""What the experiments learn from: one pack of photographs, and for each seed a split that the pipeline makes."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FILE: Final = "datasets.json"
TABLES: Final = ("split", "taxonomy", "genus_photos")


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """The tables of one seed."""

    seed: int
    folder: Path
    """`split.parquet`, `taxonomy.parquet` and `genus_photos.parquet`."""
    index: Path
    """`index.parquet` of the photographs' pack."""
    version: str
    """The dataset version."""

    def table(self, name: str) -> Path:
        """One of the tables."""
        return self.folder / f"{name}.parquet"


def prepare(*, photos: Path, folder: Path, seeds: list[int], image_size: int) -> None:
    """Run the pipeline up to the split for each seed, and keep the tables; the photographs are fetched and packed once.

    Raises:
        subprocess.CalledProcessError: a run ended with an error, which it printed.
    """
    # Only who prepares needs the pipeline: a machine that only trains may lack it.
    from pipeline.config.settings import load_settings  # noqa: PLC0415
    from pipeline.dataset.manifest import DatasetManifest  # noqa: PLC0415
    from pipeline.paths import PROJECT_ROOT  # noqa: PLC0415

    found = {}
    for seed in seeds:
        chosen = {
            "NATUREWATCH_CONFIG": str(PROJECT_ROOT / "conf" / "sample.yaml"),
            "NATUREWATCH__NAME": "experiments",
            "NATUREWATCH__DATA_ROOT": str(folder / "data"),
            "NATUREWATCH__SOURCE__REPLICA__PHOTOS": str(photos),
            "NATUREWATCH__SPLIT__SEED": str(seed),
            "NATUREWATCH__TRAINING__IMAGE_SIZE": str(image_size),
        }
        os.environ.update(chosen)
        command = [str(Path(sys.executable).parent / "naturewatch"), "run", "--select", "group:ingest or group:dataset"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=PROJECT_ROOT)
        paths = load_settings(PROJECT_ROOT / "conf" / "sample.yaml").paths
        (folder / f"seed-{seed}").mkdir(exist_ok=True)
        for name in TABLES:
            shutil.copy(paths.table(name), folder / f"seed-{seed}")
        found[seed] = {
            "index": str(paths.pack_index.relative_to(folder)),
            "version": DatasetManifest.read(paths).dataset_version,
        }
    (folder / FILE).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def read(folder: Path) -> list[Dataset]:
    """The datasets that were prepared in `folder`, which may have been moved since; none when there are none."""
    if not (folder / FILE).exists():
        return []
    return [
        Dataset(seed=int(seed), folder=folder / f"seed-{seed}", index=folder / facts["index"], version=facts["version"])
        for seed, facts in json.loads((folder / FILE).read_text(encoding="utf-8")).items()
    ]
