"""A network on both sides: one pass to disk gives the numbers of all photographs at once; pictures are pictures."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from ml.child.pipes import Reporter
from ml.devices import joined
from ml.errors import DataError, InterruptedTrainingError
from ml.evaluation import predict as evaluate
from ml.evaluation.accuracy_figures import accuracy_by_class_size, training_curves
from ml.evaluation.drawing import save_figure
from ml.evaluation.metrics import Answers, flat, measure
from ml.evaluation.predict import predict
from ml.evaluation.predictions import open_probabilities
from ml.evaluation.report import Assessment, assess, sample
from ml.images.loader import Loader
from ml.images.pack import Pack, Photos, read_split
from ml.networks.description import NetworkSpec
from ml.networks.network import Network, create
from ml.taxonomy import Taxonomy
from tests.ml.world import World

QUIET = Reporter(lambda _: None)


@pytest.fixture(scope="module")
def network(world: World) -> Network:
    torch.manual_seed(1)
    return create(NetworkSpec(backbone="tf_efficientnet_lite0", image_size=32), Taxonomy.read(world.taxonomy))


def run(
    world: World,
    network: Network,
    output: Path,
    *,
    photos: Photos | None = None,
    pack: Pack | None = None,
    **changes: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    pack = pack or Pack(world.index)
    validation = photos or read_split(world.split, pack=pack, side="validation")
    with joined() as device:
        common: dict[str, Any] = {
            "loader": Loader(pack, network.spec, device=device, workers=1),
            "device": device,
            "reporter": QUIET,
            "stop": threading.Event(),
        }
        if "distributions" in changes:
            return predict(network, photos=validation, title="x", output=output, **(common | changes))
        train = read_split(world.split, pack=pack, side="train")
        return assess(
            network, validation=validation, train=train, taxonomy=Taxonomy.read(world.taxonomy), seed=1, title="x",
            output=output, **(common | changes),
        )  # fmt: skip


@pytest.fixture(scope="module")
def assessed(world: World, network: Network, tmp_path_factory: pytest.TempPathFactory) -> Assessment:
    found: Assessment = run(world, network, tmp_path_factory.mktemp("assessed"))
    return found


def test_the_file_says_what_the_numbers_say(world: World, assessed: Assessment) -> None:
    table = pq.read_table(assessed.predictions)
    whole = Answers(
        labels=table["class_id"].to_numpy().astype(np.int64),
        top_ids=np.array(table["top_class_ids"].to_pylist()),
        top_probabilities=np.array(table["top_probabilities"].to_pylist(), dtype=np.float32),
    )
    lineage = Taxonomy.read(world.taxonomy).lineages_at(7)[:, 1:]
    expected = flat(measure(whole, lineage=lineage, sizes=np.full(3, 6)))
    assert expected == {name: assessed.numbers[name] for name in expected}
    assert assessed.numbers["validation_photos"] == 6
    assert assessed.numbers["train_photos"] == 18
    rows = pq.read_table(assessed.metrics_table).to_pylist()
    logged = {(f"train_{row['metric']}" if row["side"] == "train" else row["metric"]): row["value"] for row in rows}
    assert logged["top1"] == assessed.numbers["top1"]
    assert logged["train_ece"] == assessed.numbers["train_ece"]
    text = assessed.text.read_text(encoding="utf-8")
    shares = [100 * assessed.numbers[name] for name in ("top1", "train_top1")]
    assert f"| top-1 | {shares[0]:.1f} % | {shares[1]:.1f} % |" in text


@pytest.mark.parametrize("batch", [1, 4, 64])
def test_the_answers_do_not_depend_on_the_batches(
    world: World, network: Network, assessed: Assessment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(evaluate, "BATCH", batch)
    run(world, network, tmp_path / "v.parquet", distributions=True)
    ours, theirs = open_probabilities(tmp_path / "v.parquet")[:], open_probabilities(assessed.predictions)[:]
    assert np.allclose(ours.astype(float), theirs.astype(float), atol=2e-3)
    columns = ["photo_id", "class_id", "half"]
    assert pq.read_table(tmp_path / "v.parquet", columns=columns) == pq.read_table(
        assessed.predictions, columns=columns
    )


def test_unreadable_photographs_leave_no_row(world: World, network: Network, tmp_path: Path) -> None:
    pack = Pack(world.index)
    photos = read_split(world.split, pack=pack, side="validation")
    pack._offsets = pack._offsets.copy()
    pack._offsets[photos.rows[2]] += 100
    found = run(world, network, tmp_path / "v.parquet", photos=photos, pack=pack, distributions=True)
    assert found.unreadable == 1
    assert len(found.photos) == len(found.answers.labels) == pq.read_metadata(tmp_path / "v.parquet").num_rows == 5
    with pytest.raises(DataError, match="none of the 1 photographs"):
        run(world, network, tmp_path / "n.parquet", photos=photos.take(np.array([2])), pack=pack, distributions=True)
    assert not (tmp_path / "n.parquet").exists()


def test_an_interrupt_leaves_nothing(world: World, network: Network, tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(InterruptedTrainingError):
        run(world, network, tmp_path / "v.parquet", stop=stop, distributions=True)
    assert list(tmp_path.iterdir()) == []


def test_a_sample_of_the_training_side_keeps_its_order_and_depends_on_the_seed_only() -> None:
    ids = [f"{number:03d}" for number in range(200)]
    photos = Photos(photo_ids=ids, labels=np.arange(200), halves=[None] * 200, rows=np.arange(200))
    first, again, other = (sample(photos, seed=seed, most=50).photo_ids for seed in (1, 1, 2))
    assert first == again == sorted(first)
    assert len(set(first)) == 50
    assert first != other
    assert sample(photos, seed=1, most=200) is photos


def test_pictures(assessed: Assessment, tmp_path: Path) -> None:
    row = {"phase": "train", "epoch": 1, "train_loss": 1.0, "train_accuracy": 0.5, "learning_rate": 0.01}
    history = [row | {"phase": "probe", "epoch": 0, "learning_rate": 0.0}, row, row | {"epoch": 2}]
    drawn = training_curves(history, title="baseline", rank="species", top1=0.5)
    curves = save_figure(drawn, tmp_path / "curves.png")
    empty = Answers(labels=np.array([0]), top_ids=np.array([[0]]), top_probabilities=np.ones((1, 1), np.float32))
    measured = measure(empty, lineage=np.array([[1, 2, 3]], dtype=np.int32), sizes=np.array([700]))
    drawn = accuracy_by_class_size({"validation": measured, "train": []}, title="x")
    sizes = save_figure(drawn, tmp_path / "sizes.png")
    for path in (*assessed.figures.values(), curves, sizes):
        with Image.open(path) as picture:
            assert picture.format == "PNG"
            assert picture.width > 900
        assert path.with_suffix(".svg").read_bytes().startswith(b"<?xml")
