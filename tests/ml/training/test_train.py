"""`python -m ml train`: from a specification to a result, killed and resumed to the same weights, tracked."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from mlflow.tracking import MlflowClient
from safetensors.torch import load_file, save_file

from ml.__main__ import main
from ml.child.pipes import Reporter
from ml.child.tracking import child_run, find_run
from ml.devices import joined
from ml.errors import CheckpointError, DataError, InterruptedTrainingError, TrackingError, TrainingError
from ml.evaluation.class_means import ClassMeans
from ml.evaluation.predictions import EMBEDDING, StoredProbabilities, open_probabilities
from ml.images.augmentation import Augmentation
from ml.images.pack import Pack, read_split
from ml.networks.description import NetworkSpec
from ml.networks.network import build, load
from ml.serving.classifier import Classifier
from ml.spec import RANKS, RESULT_FILE, TrainResult, TrainSpec
from ml.taxonomy import Taxonomy
from ml.training import recipes, train
from ml.training.checkpoints import FILE
from ml.training.output_folder import INPUTS_FILE
from ml.training.recipes import Probe, Recipe, Segment
from ml.training.start import first_network
from tests.ml.training.test_loop import stop_after
from tests.ml.world import World

pytestmark = pytest.mark.filterwarnings(
    # MLflow's own tables, on the SQLAlchemy that installs today.
    "ignore:The ``noload`` loader strategy is deprecated",
)

FAST = Recipe(
    name="fast", batch=4, optimiser="adamw", eps=1e-8, weight_decay=0.01, dropout=0.2, batch_norm_momentum=0.1,
    batch_norm_eps=None, batch_norm_frozen=False, trainable=1.0, warmup=0.1,
    probe=Probe(views=2, weight_decay=0.01, iterations=5), augmentation=Augmentation(),
    segments=(Segment(epochs=2, rate=1e-3), Segment(epochs=0.5, rate=1e-4)),
)  # fmt: skip


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> Recipe:
    monkeypatch.setitem(recipes.RECIPES["sample"], "baseline", FAST)
    return FAST


def run(spec: TrainSpec, *, stop: threading.Event | None = None, said: list[str] | None = None) -> TrainResult:
    with joined() as device:
        result = train.run(
            spec, device=device, reporter=Reporter((said if said is not None else []).append),
            stop=stop or threading.Event(),
        )  # fmt: skip
    assert result is not None
    return result


def test_a_specification_becomes_a_result(world: World, tmp_path: Path, fast: Recipe) -> None:
    spec = world.spec(tmp_path / "out")
    result = run(spec)
    assert TrainResult.read(tmp_path / "out" / RESULT_FILE) == result
    probabilities = open_probabilities(result.probabilities)[:]
    predictions = pq.read_table(result.predictions)
    assert probabilities.shape == (6, 3)
    assert probabilities.dtype == np.float16
    assert np.allclose(probabilities.astype(np.float64).sum(1), 1, atol=2e-3)
    assert predictions["predicted_class_id"].to_pylist() == probabilities.argmax(1).tolist()
    assert pq.read_metadata(result.train_predictions).num_rows == result.metrics["train_photos"] == 18
    names = {"top1", "top5", "macro_top1", "ece", *(f"accuracy_{rank}" for rank in RANKS)}
    assert names | {f"train_{name}" for name in names} <= set(result.metrics)
    assert result.metrics["accuracy_genus"] == 1.0
    assert result.metrics["accuracy_species"] == result.metrics["top1"]
    assert result.prototypes is not None
    means = ClassMeans.read(result.prototypes)
    assert means.photos.tolist() == [6, 6, 6]
    assert StoredProbabilities(result.predictions, column="embedding").shape == (6, means.means.shape[1])
    history = pq.read_table(result.history)
    assert history["phase"].to_pylist() == ["probe", "train", "train", "train"]
    assert history["step"].to_pylist() == [0, 4, 8, 10]
    for picture in result.figures.values():
        assert picture.read_bytes().startswith(b"\x89PNG")
    load(result.network, result.weights)
    assert not (tmp_path / "out" / "checkpoints").exists()
    said: list[str] = []
    assert run(spec, said=said) == result
    assert "nothing to do" in said[0]


@pytest.mark.parametrize(
    "changes",
    [{"probe": None}, {"segments": ()}, {"probe": None, "trainable": 0.25, "reuse_frozen": True}],
    ids=["photographs", "embeddings", "frozen layers"],
)
def test_whatever_training_learns_from_several_looks_are_evaluated_as_they_are_served(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    short = {"segments": (Segment(epochs=0.5, rate=1e-3),), "views": (1.0, 0.5), "batch_norm_frozen": True}
    monkeypatch.setitem(recipes.RECIPES["sample"], "baseline", FAST.model_copy(update=short | changes))
    result = run(world.spec(tmp_path / "out", test_time="mirror", tracking=None))
    assert (NetworkSpec.read(result.network).test_time, NetworkSpec.read(result.network).precision) == (
        "mirror", "fp32"
    )  # fmt: skip
    served, pack = Classifier({"network": str(result.network), "weights": str(result.weights)}), Pack(world.index)
    photos = read_split(world.split, pack=pack, side="validation")
    looks = served.look([served.views(pack.jpeg(int(row))) for row in photos.rows])
    assert len(served.views(pack.jpeg(0))) == 4
    assert np.allclose(looks.probabilities, StoredProbabilities(result.probabilities)[:], atol=2**-11)
    embeddings = StoredProbabilities(result.predictions, column=EMBEDDING)[:]
    assert np.allclose(looks.embeddings, embeddings, rtol=1e-4, atol=1e-5)


def test_the_run_in_mlflow_is_nested_tagged_and_found_again(world: World, tmp_path: Path, fast: Recipe) -> None:
    spec = world.spec(tmp_path / "out", spec_hash="tracked")
    result = run(spec)
    assert spec.tracking is not None
    client = MlflowClient(spec.tracking.uri)
    assert find_run(client, tracking=spec.tracking, spec_hash="tracked") == result.mlflow_run_id
    logged = client.get_run(result.mlflow_run_id)
    assert logged.info.status == "FINISHED"
    assert logged.data.tags["mlflow.parentRunId"] == spec.tracking.parent_run_id
    assert logged.data.tags["dagster.run_url"] == "http://127.0.0.1:3000/runs/1"
    assert logged.data.params["backbone"] == "tf_efficientnet_lite0"
    assert logged.data.metrics["final/top1"] == result.metrics["top1"]
    assert logged.data.metrics["final/train/top1"] == result.metrics["train_top1"]
    steps = [metric.step for metric in client.get_metric_history(result.mlflow_run_id, "epoch/loss")]
    assert steps == [4, 8, 10]
    tables = {file.path for file in client.list_artifacts(result.mlflow_run_id)}
    assert {f"{name}.{kind}" for name in ("history", "metrics", "confusions") for kind in ("parquet", "csv")} <= tables
    assert result.report is not None
    assert result.report.name in tables
    assert (result.hardware or "").endswith(" threads")
    assert result.seconds is not None
    assert result.seconds > 0
    assert TrainResult.read(spec.output / RESULT_FILE) == result
    assert {"training_curves.png", "accuracy_by_rank.png", "accuracy_by_class_size.png"} == {
        Path(file.path).name for file in client.list_artifacts(result.mlflow_run_id, "figures")
    }
    (tmp_path / "out" / RESULT_FILE).unlink()
    assert run(spec).mlflow_run_id == result.mlflow_run_id, "a retry continues its run"


def test_steps_and_validation_are_in_mlflow(world: World, tmp_path: Path, fast: Recipe) -> None:
    spec = world.spec(tmp_path / "out", spec_hash="steps", log_steps=3)
    result = run(spec)
    assert spec.tracking is not None
    client = MlflowClient(spec.tracking.uri)
    found = {
        name: client.get_metric_history(result.mlflow_run_id, name)
        for name in (
            "step/loss", "step/learning_rate", "step/gradient_norm", "epoch/validation_loss", "epoch/validation_top1"
        )
    }  # fmt: skip
    for name in ("step/loss", "step/gradient_norm"):
        assert all(metric.value > 0 for metric in found[name])
    rates = [(metric.step, metric.value) for metric in found["step/learning_rate"]]
    assert rates[0][0] == 3
    for step, rate in rates:
        assert rate == pytest.approx(recipes.rate_at(fast, done=(step - 1) / 4))
    history = pq.read_table(result.history).to_pylist()
    for name, column in (
        ("epoch/validation_loss", "validation_loss"),
        ("epoch/validation_top1", "validation_accuracy"),
    ):
        assert [metric.value for metric in found[name]] == [row[column] for row in history[1:]]
        assert len(found[name]) > 1, "it is a curve"
    assert history[0]["phase"] == "probe"
    assert history[0]["validation_loss"] is None, "the probe is not validated"


def test_the_stages_of_a_transfer_draw_weights_of_their_own(world: World, tmp_path: Path) -> None:
    taxonomy = Taxonomy.read(world.taxonomy)
    genus, species, other = (
        first_network(world.spec(tmp_path, network=network), recipe=FAST.model_copy(update={"rank": rank}),
                      taxonomy=taxonomy).backbone.get_submodule("conv_stem").weight
        for network, rank in (("genus_stage", "genus"), ("knowledge_transfer", "species"), ("baseline", "species"))
    )  # fmt: skip
    assert isinstance(genus, torch.Tensor)
    assert isinstance(species, torch.Tensor)
    assert isinstance(other, torch.Tensor)
    assert not torch.equal(genus, species)
    assert torch.equal(species, other), "networks of one rank are compared on equal terms"


def test_an_interrupted_run_is_killed_and_a_failed_one_failed(world: World, tmp_path: Path) -> None:
    tracking = world.spec(tmp_path).tracking
    assert tracking is not None
    for error, status in ((InterruptedTrainingError, "KILLED"), (ValueError, "FAILED")):
        with pytest.raises(error), child_run(tracking, spec_hash=status) as tracked:
            raise error("enough")
        assert tracked.client.get_run(tracked.run_id).info.status == status
    with child_run(tracking, spec_hash="p") as again:
        again.log_params({"seed": 1})
        with pytest.raises(TrackingError, match="other values of seed"):
            again.log_params({"seed": 2})


@pytest.fixture(autouse=True)
def _kernels_of_choice() -> Iterator[None]:
    """A training that asks for the same bits each time asks for them in its process."""
    yield
    torch.use_deterministic_algorithms(mode=False)


@pytest.fixture(scope="module")
def whole(world: World, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """A training that nothing disturbed."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(recipes.RECIPES["sample"], "baseline", FAST)
        return run(world.spec(tmp_path_factory.mktemp("whole"), spec_hash="resume", deterministic=True))


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("after", [1, 3, 4, 8, 9])
def test_a_run_stopped_after_any_step_ends_in_the_same_weights(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: TrainResult, after: int
) -> None:
    stop = threading.Event()
    spec = world.spec(tmp_path / "parts", spec_hash="resume", deterministic=True)
    with monkeypatch.context() as patched:
        stop_after(patched, after, stop=stop)
        with pytest.raises(InterruptedTrainingError, match=f"after step {after} of 10"):
            run(spec, stop=stop)
    parts = run(spec)
    assert_same(load_file(whole.weights), load_file(parts.weights))
    assert np.array_equal(open_probabilities(whole.probabilities)[:], open_probabilities(parts.probabilities)[:])
    columns = ["epoch", "step", "train_loss", "train_accuracy"]
    assert pq.read_table(whole.history, columns=columns) == pq.read_table(parts.history, columns=columns)


def test_a_process_killed_mid_way_is_resumed_to_the_same_weights(world: World, tmp_path: Path) -> None:
    whole, parts = (
        world.spec(tmp_path / name, spec_hash=name, recipe="paper", deterministic=True) for name in ("whole", "parts")
    )
    run(whole)
    command = [sys.executable, "-m", "ml", "train", "--spec", str(parts.write(tmp_path / "spec.json"))]
    environment = os.environ | {"PYTHONWARNINGS": "default"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as disturbed:
        deadline = time.monotonic() + 120
        while not (parts.output / FILE).exists():
            assert time.monotonic() < deadline, "no checkpoint within two minutes"
            assert disturbed.poll() is None, "it ended before its first checkpoint"
            time.sleep(0.005)
        disturbed.kill()
    assert not (parts.output / RESULT_FILE).exists()
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0
    assert_same(load_file(whole.output / "weights.safetensors"), load_file(parts.output / "weights.safetensors"))


def test_the_papers_backbone_trains(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = recipes.PAPER.model_copy(update={"batch": 6, "segments": (Segment(epochs=2 / 3, rate=0.01),)})
    monkeypatch.setitem(recipes.RECIPES["paper"], "baseline", short)
    result = run(
        world.spec(tmp_path, spec_hash="inception", backbone="inception_resnet_v2", recipe="paper", image_size=75)
    )
    assert pq.read_table(result.history)["step"].to_pylist() == [2]
    assert np.isfinite(open_probabilities(result.probabilities)[:]).all()


def test_a_loss_that_is_not_finite_names_the_batch(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wild = FAST.model_copy(update={"segments": (Segment(epochs=3, rate=1e30),), "probe": None, "warmup": 0.0})
    monkeypatch.setitem(recipes.RECIPES["sample"], "baseline", wild)
    with pytest.raises(TrainingError, match=r"the loss is (nan|inf) at step \d+ of 12; .* photographs: \d{3}, "):
        run(world.spec(tmp_path, spec_hash="wild"))


def test_two_trainers_never_share_a_folder(world: World, tmp_path: Path) -> None:
    with (tmp_path / ".lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(TrainingError, match="another process is training into"):
            run(world.spec(tmp_path))


def test_another_specifications_leavings_are_not_used(world: World, tmp_path: Path, fast: Recipe) -> None:
    first = run(world.spec(tmp_path, spec_hash="one"))
    second = run(world.spec(tmp_path, spec_hash="two", seed=8))
    assert first.mlflow_run_id != second.mlflow_run_id
    assert json.loads((tmp_path / INPUTS_FILE).read_text()) == {"spec_hash": "two"}


def test_a_damaged_checkpoint_says_what_to_remove(world: World, tmp_path: Path, fast: Recipe) -> None:
    spec = world.spec(tmp_path, spec_hash="damaged")
    stop = threading.Event()
    stop.set()
    with pytest.raises(InterruptedTrainingError):
        run(spec, stop=stop)
    file = tmp_path / FILE
    for content in (b"", b"no checkpoint", file.read_bytes()[:5000]) if file.exists() else (b"", b"no checkpoint"):
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
        with pytest.raises(CheckpointError, match=f"is damaged .* remove {file.parent}"):
            run(spec)


def test_labels_beyond_the_taxonomy_are_refused(world: World, tmp_path: Path) -> None:
    table = pq.read_table(world.split)
    grown = table.set_column(table.column_names.index("class_id"), "class_id", [[9] * len(table)])
    pq.write_table(grown, tmp_path / "split.parquet")
    with pytest.raises(DataError, match="class ids from 9 to 9, but the taxonomy has 3 leaves"):
        run(world.spec(tmp_path / "out", split=tmp_path / "split.parquet"))


def test_the_command_fails_with_one_line(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = world.spec(tmp_path / "out", spec_hash="fails", weights="package", backbone="inception_resnet_v2")
    before = signal.getsignal(signal.SIGTERM)
    assert main(["train", "--spec", str(spec.write(tmp_path / "spec.json"))]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: training.weights package holds")
    assert main(["train", "--spec", str(tmp_path / "absent.json")]) == 1
    assert capsys.readouterr().err == f"error: cannot read {tmp_path}/absent.json: No such file or directory\n"
    assert signal.getsignal(signal.SIGTERM) is before


def assert_same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


def test_knowledge_goes_from_the_genus_stage_to_the_species(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = FAST.model_copy(update={"views": (1.0, 0.5), "segments": (Segment(epochs=1, rate=1e-3),)})
    monkeypatch.setitem(recipes.RECIPES["sample"], "genus_stage", quick.model_copy(update={"rank": "genus"}))
    monkeypatch.setitem(recipes.RECIPES["sample"], "knowledge_transfer", quick)
    rare = tmp_path / "genus_photos.parquet"
    pq.write_table(pa.table({"photo_id": ["000"], "node_id": pa.array([6], pa.int32())}), rare)
    said: list[str] = []
    genus = run(world.spec(tmp_path / "genus", network="genus_stage", rare_photos=rare, spec_hash="genus"), said=said)
    assert any("1 classes of rank genus, 19 training and 6 validation" in line for line in said)
    assert NetworkSpec.read(genus.network).rank == "genus"
    species = run(
        world.spec(
            tmp_path / "species",
            network="knowledge_transfer",
            parent=tmp_path / "genus" / RESULT_FILE,
            spec_hash="species",
        )
    )
    network = load(species.network, species.weights)
    assert network.head.out_features == 3
    assert network.spec.views == (1.0, 0.5)
    assert network(torch.zeros(1, 2, 3, 32, 32)).shape == (1, 3)


def test_a_transferred_network_starts_from_its_parent(world: World, tmp_path: Path) -> None:
    spec = NetworkSpec(backbone="tf_efficientnet_lite0", classes=1, rank="genus", image_size=32)
    parent = build(spec)
    spec.write(tmp_path / "network.json")
    save_file(parent.state_dict(), tmp_path / "weights.safetensors")
    TrainResult(
        mlflow_run_id="0" * 32, weights=tmp_path / "weights.safetensors", network=tmp_path / "network.json",
        probabilities=tmp_path / "p", predictions=tmp_path / "v", history=tmp_path / "h", figures={}, metrics={},
        train_predictions=tmp_path / "t", metrics_table=tmp_path / "m", confusions=tmp_path / "c",
    ).write(tmp_path / RESULT_FILE)  # fmt: skip
    network = first_network(
        world.spec(tmp_path, network="knowledge_transfer", parent=tmp_path / RESULT_FILE, mixing=1.0),
        recipe=recipes.RECIPES["sample"]["baseline"],
        taxonomy=Taxonomy.read(world.taxonomy),
    )
    assert torch.equal(network.head.weight, parent.head.weight.expand(3, -1))
    ours, theirs = (each.backbone.get_submodule("conv_stem").state_dict() for each in (network, parent))
    assert torch.equal(ours["weight"], theirs["weight"])
