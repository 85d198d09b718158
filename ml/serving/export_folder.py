"""What lies beside an exported model: taxonomy, thresholds, labels, and how to reproduce the served answers."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ml.files import replacing
from ml.networks.description import NetworkSpec
from ml.networks.inference import seen_boxes
from ml.serving.answering import Answering
from ml.serving.versions import Version
from ml.specificity.novelty import Novelty

COPIED: Final = ("taxonomy", "thresholds", "attribution", "model_card")
"""Artifacts of the version that the folder holds as they are."""
SCRIPT: Final = '''\
"""Answer for photographs: python answer.py PHOTO..."""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image, ImageOps

HERE = Path(__file__).parent
MODEL = json.loads((HERE / "model.json").read_text(encoding="utf-8"))
TREE = pq.read_table(HERE / "taxonomy.parquet").sort_by("node_id").to_pydict()
TABLE = pq.read_table(HERE / "thresholds.parquet")


def parts_of(photo):
    """The parts of a photograph that the model takes: bytes (parts, size, size, 3)."""
    image, parts = ImageOps.exif_transpose(Image.open(photo)).convert("RGB"), []
    for left, upper, right, lower in MODEL["parts"]:
        columns = sorted(round(edge * image.width) for edge in (left, right))
        rows = sorted(round(edge * image.height) for edge in (upper, lower))
        box = (columns[0], rows[0], max(columns[0] + 1, columns[1]), max(rows[0] + 1, rows[1]))
        part = image.crop(box).resize((MODEL["image_size"],) * 2, Image.Resampling.BILINEAR)
        parts.append(ImageOps.mirror(part) if left > right else part)
    return np.stack([np.asarray(part) for part in parts])


def run(pixels):
    """The model's outputs by name."""
    if MODEL["file"].endswith(".onnx"):
        import onnxruntime

        session = onnxruntime.InferenceSession(HERE / MODEL["file"], providers=["CPUExecutionProvider"])
        outputs = session.run(None, {"pixels": pixels})
    else:
        import torch

        outputs = torch.export.load(HERE / MODEL["file"]).module()(torch.from_numpy(pixels))
        outputs = [output.numpy(force=True) for output in outputs]
    return dict(zip(MODEL["outputs"], outputs))


def answer(probabilities):
    """The deepest taxon that is probable enough, with its probability and the threshold."""
    masses = np.array(
        [probabilities[begin:end].sum() for begin, end in zip(TREE["leaf_begin"], TREE["leaf_end"])]
    )
    depth = np.array(TREE["depth"])
    group = int((TABLE.schema.metadata or {}).get(b"group_depth", 0))
    taken_for = max(np.flatnonzero(depth == group), key=lambda node: masses[node])
    chosen = [row for row in TABLE.to_pylist() if abs(row["target"] - MODEL["target"]) < 1e-9]
    rows = {row["group_node_id"]: row["threshold"] for row in chosen}
    threshold = rows.get(int(taken_for), rows[0])
    enough = [node for node in range(len(masses)) if masses[node] >= threshold or node == 0]
    node = max(enough, key=lambda node: (depth[node], masses[node]))
    return {
        "taxon": TREE["name"][node], "rank": TREE["rank"][node], "taxon_key": TREE["taxon_key"][node],
        "probability": float(masses[node]), "threshold": threshold,
    }


def novelty(distance):
    """The shares of known and of unknown species' photographs that look at least this unlike."""
    table = pq.read_table(HERE / "novelty.parquet").to_pydict()
    row = int(np.searchsorted(np.array(table["distance"], dtype=np.float32), distance))
    return {"known": table["known"][row], "novel": table["novel"][row]}


if __name__ == "__main__":
    outputs = run(np.stack([parts_of(photo) for photo in sys.argv[1:]]))
    for number, photo in enumerate(sys.argv[1:]):
        found = answer(outputs["probabilities"][number].astype(float))
        if "distance" in outputs:
            found["novelty"] = novelty(outputs["distance"][number])
        print(json.dumps({"photo": photo, **found}))
'''
"""`answer.py`: what is served, in a few lines without this package."""


DISTANCE: Final = """;
- `distance` (N): how unlike all known species a photograph looks. `novelty.parquet` turns it into shares, in the first
  row whose distance is not less: of photographs of known species (`known`) and of unknown genera (`novel`) that look at
  least so unlike"""


def copy_artifacts(artifacts: Mapping[str, str], *, folder: Path) -> None:
    """Copy those of `COPIED` that a version has, given by their paths, into `folder`, which is made.

    Raises:
        OSError: the folder cannot be written.
    """
    for name in COPIED:
        if name in artifacts:
            source = Path(artifacts[name])
            with replacing(folder / f"{name}{source.suffix}") as partial:
                shutil.copyfile(source, partial)


def describe(
    folder: Path, *, model: str, version: Version, answering: Answering, spec: NetworkSpec, outputs: Sequence[str]
) -> None:
    """Write `labels.json`, `model.json`, `answer.py`, `README.md` and, with a novelty score, `novelty.parquet`.

    Args:
        folder: Where to.
        model: Name of the model's file.
        version: Which version it is.
        answering: Its taxonomy and calibration.
        spec: Its network.
        outputs: Names of what the model returns.
    """
    tree = answering.taxonomy
    labels = [
        {"class_id": number, "name": tree.name[leaf], "taxon_key": tree.taxon_key[leaf], "lineage": tree.describe(leaf)}
        for number, leaf in enumerate(tree.leaves.tolist())
    ]
    facts = {
        "file": model,
        "name": version.name,
        "version": version.number,
        "image_size": spec.image_size,
        "parts": seen_boxes(spec),
        "outputs": list(outputs),
        "target": answering.calibration.target,
        "watch": [taxon.model_dump(include={"taxon", "node_id", "threshold"}) for taxon in answering.calibration.watch],
    }
    _write(folder / "labels.json", json.dumps(labels, indent=1, ensure_ascii=False))
    _write(folder / "model.json", json.dumps(facts, indent=1, ensure_ascii=False))
    _write(folder / "answer.py", SCRIPT)
    _write(folder / "README.md", readme(facts))
    if answering.novelty is not None:
        with replacing(folder / "novelty.parquet") as partial:
            pq.write_table(novelty_table(answering.novelty), partial)


def novelty_table(novelty: Novelty) -> pa.Table:
    """For rising distances the shares `known` and `novel`: those of the first row whose distance is not less hold."""
    distances = np.unique(np.concatenate([novelty.known, novelty.left_out]))
    return pa.table(
        {
            "distance": np.append(distances, np.float32(np.inf)),
            "known": novelty.p_values(np.append(distances, np.float32(np.inf))),
            "novel": novelty.found(np.append(distances, np.float32(np.inf))),
        }
    )


def readme(facts: Mapping[str, Any]) -> str:
    """What a stranger needs to know."""
    parts, size = len(facts["parts"]), facts["image_size"]
    distance = DISTANCE if "distance" in facts["outputs"] else ""
    return f"""# {facts["name"]}, version {facts["version"]}

`{facts["file"]}` takes `pixels`, bytes (N, {parts}, {size}, {size}, 3): RGB, the {parts} parts of each photograph.
N is any number. The parts of an upright photograph are in `model.json` as left, upper, right and lower edge, in
fractions of width and height: cut at the nearest whole pixel, resized to {size} x {size} without keeping the aspect
ratio, bilinear with antialiasing; where left is beyond right, then mirrored. It returns

- `probabilities` (N, species): calibrated, in the order of `labels.json`;
- `embedding` (N, F): the features that the probabilities are computed from{distance}.

The probability of a taxon is the sum over its species, `leaf_begin` to `leaf_end` in `taxonomy.parquet`. The answer is
the deepest taxon with a probability of at least the threshold. `thresholds.parquet` has one for each target accuracy
and group: the group of a photograph is its most probable taxon of the depth `group_depth` (metadata of the file), or
else node 0. The target that was calibrated for is {facts["target"]:g}.

`python answer.py PHOTO...` does all of this, with NumPy, PyArrow, Pillow, and ONNX Runtime or PyTorch. Licences and
rights holders of the training photographs are in `attribution.parquet`.
"""


def _write(path: Path, text: str) -> None:
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
