"""What lies beside an exported model: taxonomy, thresholds, labels, and how to reproduce the served answers."""

import json
import shutil
import textwrap
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
from ml.spec import Rule
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
DECIMALS = 12


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


def scores_of(best, along, gains, greatest):
    """For each depth the greatest threshold at which the answer is as deep: 1 for the root, and falling with depth."""
    best, depths = np.round(best, DECIMALS), np.arange(len(best))
    if MODEL["rule"] == "threshold":
        return best
    if MODEL["rule"] == "distance":
        preferred = (along[None] - along[:, None]) / np.maximum(depths[None] - depths[:, None], 1)
    else:
        certain = np.append(1.0, best[1:])
        gained = np.round((certain * gains)[None] - (certain * gains)[:, None], DECIMALS)
        total = gained + greatest * (certain[:, None] - certain[None])
        preferred = np.where(gained < 0, -1, np.where(total > 0, gained / np.where(total > 0, total, 1), 1))
    scores = [1.0] + [preferred[:depth, depth:].min(axis=0).max() for depth in depths[1:]]
    return np.round(scores, DECIMALS)


def answer(probabilities):
    """The deepest taxon that the rule prefers at the threshold, with its probability."""
    begin, end, depth = (np.array(TREE[name]) for name in ("leaf_begin", "leaf_end", "depth"))
    masses = np.array([probabilities[first:last].sum() for first, last in zip(begin, end)])
    along = masses.copy()
    along[0] = 0
    for node in range(1, len(along)):
        along[node] += along[TREE["parent_id"][node]]
    chosen_by = along if MODEL["rule"] == "distance" else masses
    # Of each depth one taxon; the first of equals.
    nodes = [max(np.flatnonzero(depth == level), key=lambda node: chosen_by[node]) for level in range(max(depth) + 1)]
    gains = depth if MODEL["reward"] == "depth" else np.log2(len(probabilities)) - np.log2(end - begin)
    group = int((TABLE.schema.metadata or {}).get(b"group_depth", 0))
    chosen = [row for row in TABLE.to_pylist() if abs(row["target"] - MODEL["target"]) < 1e-9]
    thresholds = {row["group_node_id"]: row["threshold"] for row in chosen}
    threshold = thresholds.get(int(nodes[group]), thresholds[0])
    scores = scores_of(masses[nodes], along[nodes], gains[nodes], gains.max())
    node = nodes[int((scores[1:] >= round(threshold, DECIMALS)).sum())]
    return {
        "taxon": TREE["name"][node], "rank": TREE["rank"][node], "taxon_key": TREE["taxon_key"][node],
        "probability": float(masses[node]), "threshold": threshold, "rule": MODEL["rule"],
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


RULES: Final[Mapping[Rule, str]] = {
    "threshold": "the deepest taxon with a probability of at least the threshold",
    "reward": "the taxon with the greatest (reward + R t / (1 - t)) x probability, the deepest of equals; t is the "
    "threshold, the reward of a taxon its {reward}{unit}, and R that of a species",
    "distance": "the taxon of depth d with the greatest S - t d, the deepest of equals; t is the threshold, and S the "
    "sum of the probabilities along the taxon's lineage without the root",
}
"""What the answer is under each rule (`ml.specificity.rules`)."""


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
        "rule": answering.thresholds.rule,
        "reward": answering.thresholds.reward,
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

{_paragraph(facts)}

`python answer.py PHOTO...` does all of this, with NumPy, PyArrow, Pillow, and ONNX Runtime or PyTorch. Licences and
rights holders of the training photographs are in `attribution.parquet`.
"""


def _paragraph(facts: Mapping[str, Any]) -> str:
    """How probabilities become an answer."""
    rule = RULES[facts["rule"]].format(
        reward=facts["reward"], unit=" in bits" if facts["reward"] == "information" else ""
    )
    group = "the taxon with the greatest S" if facts["rule"] == "distance" else "its most probable taxon"
    return textwrap.fill(
        "The probability of a taxon is the sum over its species, `leaf_begin` to `leaf_end` in `taxonomy.parquet`. The "
        f"answer is {rule}. `thresholds.parquet` has one for each target accuracy and group: the group of a photograph "
        f"is {group} of the depth `group_depth` (metadata of the file), or else node 0. The target that was calibrated "
        f"for is {facts['target']:g}.",
        width=120, break_on_hyphens=False,
    )  # fmt: skip


def _write(path: Path, text: str) -> None:
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
