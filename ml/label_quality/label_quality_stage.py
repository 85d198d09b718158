"""How well each photograph's name fits (`python -m ml label_quality`), from its specification to `result.json`.

The classifiers are linear heads on the embeddings of the backbone with its pretrained weights. The champion's own
embeddings would know species better, but they were formed by the very names that are to be judged: a photograph under a
wrong name was pulled towards it, and its own training would vouch for it.
"""

import threading
import time
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from ml.child.pipes import Reporter
from ml.devices import Device, joined
from ml.errors import DataError
from ml.files import replacing
from ml.images.loader import Loader
from ml.images.pack import Pack, Photos, read_split
from ml.label_quality.out_of_sample import OutOfSample, Verdicts, Work
from ml.label_quality.photo_features import PhotoFeatures
from ml.networks import pretrained
from ml.networks.backbones import find
from ml.networks.description import NetworkSpec, Shape
from ml.networks.embeddings import Embeddings
from ml.networks.network import Network, build
from ml.spec import RANKS, RESULT_FILE, LabelQualityResult, LabelQualitySpec
from ml.taxonomy import Taxonomy
from ml.training.cross_validation import folds_of
from ml.training.output_folder import locked
from ml.training.recipes import FROZEN
from ml.training.seeds import seed_of

GENUS: Final = RANKS.index("genus") + 1
"""Depth of genera in the taxonomy."""
DIGITS: Final = 6
"""Of the numbers in `scores.parquet`: further ones differ between machines."""
HEADS: Final = "heads"
"""Folder of the heads, removed at the end."""
SCORES: Final = pa.schema(
    [
        ("photo_id", pa.string()), ("class_id", pa.int32()), ("fold", pa.int32()), ("rank", pa.int32()),
        ("suspicion", pa.float64()), ("self_confidence", pa.float64()), ("margin", pa.float64()),
        ("suggested_class_id", pa.int32()), ("suggested_probability", pa.float64()), ("is_issue", pa.bool_()),
    ]
)  # fmt: skip
"""`rank` counts from 1, the most suspicious first. It and all that follows are null where a photograph was not judged:
it cannot be read, or no other fold has its species."""


def run(spec: LabelQualitySpec, *, reporter: Reporter, stop: threading.Event) -> LabelQualityResult:
    """Judge every photograph; return at once when this specification's result is there.

    Args:
        spec: What to judge, and where to.
        reporter: Shows a person what happens.
        stop: Set to end early; features and heads that are finished are kept.

    Raises:
        MlError: the inputs are unusable, the folder is in use, or it was interrupted.
        TaxonomyError: `taxonomy.parquet` is unusable.
    """
    began = time.monotonic()
    with locked(spec.output):
        if (spec.output / RESULT_FILE).exists():
            reporter.info(f"{spec.output / RESULT_FILE} is there already; nothing to do")
            return LabelQualityResult.read(spec.output / RESULT_FILE)
        with joined() as device:
            sides, photos, verdicts, folds = _judged(spec, device=device, reporter=reporter, stop=stop)
            scores = write_scores(
                spec.output / "scores.parquet", sides=sides, photos=photos, folds=folds, found=verdicts
            )
            judged = int(verdicts.known.sum())
            right = (~verdicts.judgement.contradicted)[verdicts.known]
            result = LabelQualityResult(
                scores=scores,
                photos=sum(map(len, sides)),
                judged=judged,
                issues=int(verdicts.is_issue.sum()),
                accuracy=float(right.mean()) if judged else 0.0,
                seconds=time.monotonic() - began,
            )
        result.write(spec.output / RESULT_FILE)
    for head in (spec.output / HEADS).glob("*"):
        head.unlink()
    reporter.info(
        f"of {result.judged:,} photographs {result.accuracy:.1%} look most like the species they are under; "
        f"{result.issues:,} may have the wrong name"
    )
    return result


def _judged(
    spec: LabelQualitySpec, *, device: Device, reporter: Reporter, stop: threading.Event
) -> tuple[list[Photos], Photos, Verdicts, NDArray[np.int64]]:
    taxonomy, pack = Taxonomy.read(spec.taxonomy), Pack(spec.photos)
    sides = _sides(spec, taxonomy=taxonomy, pack=pack)
    network = network_of(spec, classes=taxonomy.class_count)
    device.tune(deterministic=False, search=False)
    device.place(network)
    embeddings = Embeddings(
        network, loader=Loader(pack, network.spec, device=device, workers=spec.workers),
        folder=spec.features / "embeddings", stop=stop, reporter=reporter,
    )  # fmt: skip
    source = PhotoFeatures(embeddings, folder=spec.features / "photographs")
    photos, computed = source.keep(*sides)
    reporter.info(f"features of {len(photos):,} photographs, {computed:,} of them computed now")
    if not len(photos):
        raise DataError(f"no photograph of {spec.split} can be read; materialise training_photos again")
    folds = folds_of(photos, observations=observations_of(photos, split=spec.split), seed=spec.seed, folds=spec.folds)
    work = Work(
        photos=photos, folds=folds, source=source, columns=network.head.in_features, classes=taxonomy.class_count,
        genera=taxonomy.labels_at(GENUS), output=spec.output / HEADS, seed=spec.seed, device=device,
        reporter=reporter, stop=stop,
    )  # fmt: skip
    return sides, photos, OutOfSample(work).run(), folds


def network_of(spec: LabelQualitySpec, *, classes: int) -> Network:
    """The network whose embeddings a training with the recipe `frozen` computes, too, from the same weights.

    Raises:
        MlError: the weights cannot be had.
    """
    torch.manual_seed(seed_of(spec.seed, "label quality"))
    network = build(
        NetworkSpec(
            **find(spec.backbone).described(),
            classes=classes,
            image_size=spec.image_size,
            **FROZEN.model_dump(include=set(Shape.model_fields)),
        )
    )
    pretrained.initialise(network, source=spec.weights)
    return network.eval()


def write_scores(path: Path, *, sides: list[Photos], photos: Photos, folds: NDArray[np.int64], found: Verdicts) -> Path:
    """Write `scores.parquet`: every photograph of `sides`, the most suspicious first, those without a verdict last.

    Args:
        path: The file.
        sides: All photographs.
        photos: Those that have features, in the order of `folds` and `found`.
        folds: The fold of each.
        found: The verdict on each.
    """
    judgement = found.judgement
    numbers = {
        "suspicion": judgement.suspicion, "self_confidence": judgement.self_confidence, "margin": judgement.margin,
        "suggested_probability": judgement.suggested_probability,
    }  # fmt: skip
    rounded = {name: np.round(values, DIGITS) for name, values in numbers.items()}
    # Equal scores go by the identifier, so that equal contents make equal files.
    ids = np.array(photos.photo_ids, dtype=object)
    order = np.lexsort((ids.astype(str), rounded["self_confidence"], -rounded["suspicion"]))
    order = order[found.known[order]]
    rank = np.zeros(len(photos), dtype=np.int32)
    rank[order] = np.arange(1, len(order) + 1)
    known = found.known
    table = pa.table(
        {
            "photo_id": photos.photo_ids,
            "class_id": photos.labels.astype(np.int32),
            "fold": folds.astype(np.int32),
            "rank": pa.array(rank, mask=~known),
            **{name: pa.array(values, mask=~known) for name, values in rounded.items()},
            "suggested_class_id": pa.array(
                judgement.suggested.astype(np.int32), mask=~known | (judgement.suggested < 0)
            ),
            "is_issue": pa.array(found.is_issue, mask=~known),
        }
    ).select(SCORES.names)
    table = pa.concat_tables([table.cast(SCORES), _unread(sides, known=set(photos.photo_ids))])
    table = table.sort_by([("rank", "ascending"), ("photo_id", "ascending")])
    with replacing(path) as partial:
        pq.write_table(table, partial, compression="zstd")
    return path


def _unread(sides: list[Photos], *, known: set[str]) -> pa.Table:
    """Photographs without features, which nothing is known about."""
    rows = [
        {"photo_id": photo_id, "class_id": int(label)}
        for side in sides
        for photo_id, label in zip(side.photo_ids, side.labels, strict=True)
        if photo_id not in known
    ]
    return pa.Table.from_pylist(rows, schema=SCORES)


def _sides(spec: LabelQualitySpec, *, taxonomy: Taxonomy, pack: Pack) -> list[Photos]:
    """The photographs of both sides; a side may be empty."""
    names = pq.read_table(spec.split, columns=["split"])["split"].unique().to_pylist()
    sides = [read_split(spec.split, pack=pack, side=side) for side in ("train", "validation") if side in names]
    if not sides:
        raise DataError(f"{spec.split} has no photographs")
    for side in sides:
        if int(side.labels.min()) < 0 or int(side.labels.max()) >= taxonomy.class_count:
            raise DataError(f"{spec.split} has class ids that {spec.taxonomy} lacks; materialise both again")
    return sides


def observations_of(photos: Photos, *, split: Path) -> list[str]:
    """The observation of each photograph, as `split.parquet` says."""
    table = pq.read_table(split, columns=["photo_id", "observation_id"]).to_pydict()
    of = dict(zip(table["photo_id"], table["observation_id"], strict=True))
    return [str(of[photo_id]) for photo_id in photos.photo_ids]
