"""A registered version that has learnt four colours: each shows another side of an answer. And a folder of examples."""

import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from mlflow.tracking import MlflowClient
from PIL import Image
from safetensors.torch import load_file, save_file

from ml.serving.classifier import Classifier
from ml.serving.register import run as register_run
from ml.spec import CalibrateResult, RegisterSpec
from tests.ml.specificity_fixtures import QUIET, register_spec

SPECIES: Final = ("Nestor notabilis", "Nestor meridionalis", "Morus serrator", "Morus alba")
TAUGHT: Final[Mapping[str, tuple[float, ...]]] = {
    "red": (0.97, 0.01, 0.01, 0.01),
    "green": (0.60, 0.36, 0.03, 0.01),
    "blue": (0.40, 0.14, 0.45, 0.01),
    "yellow": (0.05, 0.05, 0.10, 0.80),
}
"""What the network makes of a photograph of one colour: sure of a species; of a genus; of a class; and alarming."""


def photograph(*colours: str, form: str = "JPEG", size: tuple[int, int] = (160, 120)) -> bytes:
    """An encoded photograph of vertical stripes, as many as there are colours."""
    image, stream = Image.new("RGB", size), io.BytesIO()
    for position, colour in enumerate(colours):
        begin, end = (round(size[0] * each / len(colours)) for each in (position, position + 1))
        image.paste(colour, (begin, 0, end, size[1]))
    image.save(stream, format=form, quality=95)
    return stream.getvalue()


def taught(folder: Path, *, places: bool = False) -> RegisterSpec:
    """Register a version whose last layer was solved for `TAUGHT`; it is the champion.

    With `places` each species has a range and a season (`tests.ml.placed`).
    """
    spec = register_spec(folder, places=places)
    weights = load_file(spec.weights)
    classifier = Classifier({"network": str(spec.network), "weights": str(spec.weights)})
    looks = classifier.look([classifier.views(photograph(colour)) for colour in TAUGHT])
    temperature = CalibrateResult.read(spec.specificity).temperature
    wanted = np.log(np.array(list(TAUGHT.values()))) * temperature
    # As many equations as colours, and many more weights: the shortest solution.
    solved = np.linalg.pinv(looks.embeddings.astype(np.float64)) @ wanted
    weights["head.weight"] = torch.from_numpy(solved.T.astype(np.float32).copy())
    weights["head.bias"] = torch.zeros_like(weights["head.bias"])
    save_file(weights, spec.weights)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own, from logging a model
        register_run(spec, reporter=QUIET)
    client_of(spec).set_registered_model_alias(spec.model_name, "champion", "1")
    return spec


def client_of(spec: RegisterSpec) -> MlflowClient:
    """The registry of a version."""
    assert spec.tracking is not None
    return MlflowClient(tracking_uri=spec.tracking.uri, registry_uri=spec.tracking.uri)


def replace_champion(spec: RegisterSpec) -> str:
    """Register the same files as the next version, and make it the champion. Returns its number."""
    client = client_of(spec)
    before = client.get_model_version_by_alias(spec.model_name, "champion")
    after = client.create_model_version(
        spec.model_name, source=str(before.source), run_id=before.run_id, tags=before.tags
    )
    client.set_registered_model_alias(spec.model_name, "champion", after.version)
    return str(after.version)


def example_table(folder: Path, taxonomy: Path) -> Path:
    """Two example photographs of each species, as `naturewatch page` prepares them."""
    keys = {row["name"]: row["taxon_key"] for row in pq.read_table(taxonomy).to_pylist()}
    rows = [
        {
            "photo_id": f"{keys[name]}-{number}", "taxon_key": keys[name], "species": name, "path": f"{colour}.jpg",
            "creator": "Mary Smith", "licence": "CC0",
            "licence_url": "https://creativecommons.org/publicdomain/zero/1.0/",
            "link": f"https://www.inaturalist.org/observations/{number}",
        }
        for name, colour in zip(SPECIES, TAUGHT, strict=True)
        for number in range(2)
    ]  # fmt: skip
    for colour in TAUGHT:
        (folder / f"{colour}.jpg").write_bytes(photograph(colour))
    pq.write_table(pa.Table.from_pylist(rows), folder / "examples.parquet")
    return folder / "examples.parquet"
