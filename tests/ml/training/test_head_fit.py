"""Heads on frozen features: the optimum that scikit-learn finds, large problems as small ones, every kind of head."""

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from ml.child.pipes import Reporter
from ml.child.progress import meter
from ml.errors import CheckpointError, InterruptedTrainingError, TrainingError
from ml.networks.description import HeadName
from ml.networks.embeddings import Embeddings
from ml.networks.heads import CosineHead, head_of
from ml.networks.network import load, save
from ml.spec import RESULT_FILE
from ml.training import head_fit, head_solvers, train
from ml.training.feature_rows import Held, moments_of
from ml.training.head_fit import EXACT_BYTES, embeddings_of, exact_bytes, fit_head
from ml.training.head_solvers import Problem, solve_exactly, solve_in_batches
from ml.training.job import Job
from ml.training.recipes import FROZEN, Probe
from tests.ml.world import PROCESSOR, World

CLASSES = 5
PROBE = Probe(views=1, weight_decay=0.01, iterations=60)
SILENT = Reporter(lambda _: None)


@pytest.fixture
def features() -> Tensor:
    """Of very different scales and offsets, as those of a network are."""
    drawn = torch.randn(200, 8, generator=torch.Generator().manual_seed(1))
    return drawn * torch.logspace(-2, 2, 8) + torch.arange(8)


@pytest.fixture
def labels(features: Tensor) -> Tensor:
    noise = torch.randn(200, CLASSES, generator=torch.Generator().manual_seed(2))
    standardised = (features - features.mean(0)) / features.std(0)
    return (standardised[:, :CLASSES] + noise).argmax(1)


def standardised(features: Tensor, labels: Tensor) -> Held:
    rows = Held(features, labels, torch.zeros_like(labels))
    moments = moments_of(rows, columns=features.shape[1], device=PROCESSOR, chunk=7)
    torch.testing.assert_close(moments.mean, features.mean(0))
    torch.testing.assert_close(moments.deviation, features.std(0, correction=0))
    return Held((features - moments.mean) / moments.deviation, labels, rows.folds)


def problem_of(
    rows: Held, *, weight_decay: float, kind: HeadName = "linear", pull: Tensor | None = None, classes: int = CLASSES
) -> Problem:
    head = head_of(kind, features=rows.features.shape[1], classes=classes)
    if isinstance(head, CosineHead):
        head.scale.requires_grad_(False)  # noqa: FBT003 (torch's own order)
    with torch.no_grad():
        head.bias.zero_()
        head.weight.copy_(torch.zeros_like(head.weight) if pull is None else pull)
    return Problem(head=head, rows=rows, weight_decay=weight_decay, pull=pull, device=PROCESSOR, stop=threading.Event())


def loss_of(problem: Problem) -> float:
    """The mean cross entropy and the penalty."""
    rows = problem.rows
    assert isinstance(rows, Held)
    entropy = nn.functional.cross_entropy(problem.head(rows.features), rows.labels)
    return (entropy + problem.penalty()).item()


def in_batches(problem: Problem, *, passes: int, file: Path | None = None, batch: int = 64) -> None:
    with meter("head", total=0, reporter=SILENT) as progress:
        solve_in_batches(problem, passes=passes, seed=1, progress=progress, file=file, batch=batch)


@pytest.mark.parametrize("weight_decay", [0.001, 0.1])
def test_it_finds_the_optimum_that_scikit_learn_finds(features: Tensor, labels: Tensor, weight_decay: float) -> None:
    rows = standardised(features, labels)
    problem = problem_of(rows, weight_decay=weight_decay)
    solve_exactly(problem, iterations=500)
    # Its loss is a sum over photographs, ours a mean.
    peer = LogisticRegression(C=1 / (weight_decay * len(features)), max_iter=5000, tol=1e-8)
    peer.fit(rows.features.double().numpy(), labels.numpy())
    expected = torch.from_numpy(peer.predict_proba(rows.features.double().numpy())).float()
    torch.testing.assert_close(problem.head(rows.features).softmax(1).detach(), expected, atol=2e-3, rtol=0)


def test_the_stronger_the_penalty_the_nearer_to_the_former_stages_head(features: Tensor, labels: Tensor) -> None:
    rows = standardised(features, labels)
    prior = torch.randn(CLASSES, 8, generator=torch.Generator().manual_seed(3))
    distances = []
    for weight_decay in (0.01, 0.1, 1.0, 10.0):
        problem = problem_of(rows, weight_decay=weight_decay, pull=prior)
        solve_exactly(problem, iterations=500)
        distances.append((problem.head.weight - prior).norm().item())
        # The bias is not pulled: at the optimum it makes every class as frequent as it is.
        frequencies = problem.head(rows.features).softmax(1).mean(0)
        torch.testing.assert_close(frequencies, torch.bincount(labels) / len(labels), atol=1e-3, rtol=0)
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.2 < distances[0]


@pytest.mark.parametrize("kind", ["linear", "cosine"])
@pytest.mark.parametrize("weight_decay", [0.01, 0.1])
def test_mini_batches_reach_the_loss_of_the_exact_solution_within_a_hundredth(
    kind: HeadName, weight_decay: float
) -> None:
    drawn = torch.Generator().manual_seed(4)
    centres = torch.randn(20, 32, generator=drawn)
    labels = torch.randint(20, (1500,), generator=drawn)
    correlated = torch.randn(32, 32, generator=drawn)
    rows = standardised(centres[labels] + torch.randn(1500, 32, generator=drawn) @ correlated / 2, labels)
    pull = None if kind == "linear" else nn.functional.normalize(centres, dim=1)
    exact, batches = (problem_of(rows, weight_decay=weight_decay, kind=kind, pull=pull, classes=20) for _ in range(2))
    start = loss_of(exact)
    solve_exactly(exact, iterations=300)
    in_batches(batches, passes=20)
    assert loss_of(exact) < 0.8 * start, "there is something to find"
    assert loss_of(batches) == pytest.approx(loss_of(exact), rel=0.01)


def test_an_interrupted_fit_in_mini_batches_ends_in_the_same_bits(
    features: Tensor, labels: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, file = standardised(features, labels), tmp_path / "head.pt"
    whole, begun, resumed = (problem_of(rows, weight_decay=0.1) for _ in range(3))
    in_batches(whole, passes=4)
    step, taken = head_solvers._step, []

    def stop_in_the_third_pass(problem: Problem, **changes: object) -> None:
        taken.append(1)
        if len(taken) == 9:
            problem.stop.set()
        step(problem, **changes)  # type: ignore[arg-type]

    monkeypatch.setattr(head_solvers, "_step", stop_in_the_third_pass)
    with pytest.raises(InterruptedTrainingError):
        in_batches(begun, passes=4, file=file)
    in_batches(resumed, passes=4, file=file)
    assert len(taken) == 16, "four passes of four steps each; none is taken twice"
    assert torch.equal(resumed.head.weight, whole.head.weight)
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(CheckpointError, match=r"head\.pt is damaged"):
        in_batches(resumed, passes=4, file=file)


def frozen_job(world: World, folder: Path, *, head: HeadName = "linear", probe: Probe = PROBE) -> Job:
    return world.job(
        folder,
        backbone="test_convnext",
        recipe=FROZEN.model_copy(update={"head": head, "probe": probe}),
        features=folder.parent / "shared",
    )


KINDS: tuple[HeadName, ...] = ("linear", "cosine", "prototype")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_head_is_an_ordinary_network_on_disk(world: World, tmp_path: Path, kind: HeadName) -> None:
    job = frozen_job(world, tmp_path / "out", head=kind)
    _, accuracy = fit_head(job, PROBE)
    assert accuracy > 0.9, "the colours tell the species"
    read = load(*save(job.network, folder=tmp_path))
    assert read.spec.head == kind
    groups = [np.arange(len(job.photos))]
    (batch,) = job.loader.batches(job.photos, groups=groups)
    inputs = job.loader.inputs(batch.pixels, positions=batch.positions)
    with torch.no_grad():
        logits = read(inputs)
        assert float((logits.argmax(1) == batch.labels).float().mean()) == pytest.approx(accuracy)
        # The head as written takes features as they are: what standardised them while it was fitted is folded in.
        embeddings = embeddings_of(job)
        (pooled,) = embeddings.batches(job.photos, groups=groups)
        torch.testing.assert_close(read(embeddings.inputs(pooled.pixels, positions=pooled.positions)), logits)
    if kind != "linear":
        assert isinstance(read.head, CosineHead)
        assert float(logits.max()) <= read.head.scale.item() + 1e-4


@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_a_large_problem_is_read_from_disk_and_solved_alike(
    world: World, tmp_path: Path, kind: HeadName, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = PROBE.model_copy(update={"weight_decay": 0.1, "iterations": 300, "passes": 1000, "scale": 8.0})
    exact, streamed = (frozen_job(world, tmp_path / name, head=kind, probe=probe) for name in ("exact", "streamed"))
    said: list[str] = []
    streamed.reporter = Reporter(said.append)
    loss, _ = fit_head(exact, probe)
    monkeypatch.setattr(head_fit, "EXACT_BYTES", 0)
    monkeypatch.setattr("ml.networks.embeddings.PIECE", 4)
    found, _ = fit_head(streamed, probe)
    assert any("in mini-batches" in line and "read from disk" in line for line in said)
    assert found == pytest.approx(loss, rel=0.01)


def test_the_bound_of_exact_solutions_is_that_of_its_memory() -> None:
    assert exact_bytes(photos=80_000, features=1_280, classes=500) <= EXACT_BYTES
    assert exact_bytes(photos=1_000_000, features=1_280, classes=20_000) > EXACT_BYTES


def test_heads_of_one_backbone_share_embeddings(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fit_head(frozen_job(world, tmp_path / "linear"), PROBE)
    files = sorted((tmp_path / "shared" / "embeddings").iterdir())

    def never(*_: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(Embeddings, "_joined", never)
    fit_head(frozen_job(world, tmp_path / "cosine", head="cosine"), PROBE)
    assert sorted((tmp_path / "shared" / "embeddings").iterdir()) == files


def test_the_penalty_is_chosen_by_photographs_of_the_training_side_alone(world: World, tmp_path: Path) -> None:
    probe = PROBE.model_copy(update={"weight_decay": (1e-3, 1e3)})
    job = frozen_job(world, tmp_path / "out", probe=probe)
    said: list[str] = []
    job.reporter = Reporter(said.append)
    asked: list[str] = []
    batches = job.loader.batches
    job.loader.batches = lambda photos, **rest: asked.extend(photos.photo_ids) or batches(photos, **rest)  # type: ignore[method-assign, func-returns-value]
    fit_head(job, probe)
    assert any("weight decay 0.001 of 0.001, 1000 is the best" in line for line in said)
    assert set(asked) == set(job.photos.photo_ids), "only training photographs were looked at"
    alone = frozen_job(world, tmp_path / "alone", probe=PROBE.model_copy(update={"weight_decay": 1e-3}))
    fit_head(alone, alone.recipe.probe or PROBE)
    assert torch.equal(alone.network.head.weight, job.network.head.weight)


def test_a_fitted_head_is_not_fitted_again(world: World, tmp_path: Path) -> None:
    job, again = (frozen_job(world, tmp_path / "out") for _ in range(2))
    quality = fit_head(job, PROBE)
    again.photos = again.photos.take(np.arange(0))
    assert fit_head(again, PROBE) == quality
    assert set(load_file(tmp_path / "out" / "head.safetensors")) == {"weight", "bias", "quality"}
    assert torch.equal(again.network.head.weight, job.network.head.weight)


Change = Callable[[Job], None]


def one_photograph(job: Job) -> None:
    job.photos = job.photos.take(np.array([3]))


def one_photograph_in_a_class(job: Job) -> None:
    job.photos = job.photos.take(np.flatnonzero((job.photos.labels != 1) | (np.arange(len(job.photos)) == 6)))


def a_class_without_photographs(job: Job) -> None:
    job.photos = job.photos.take(np.flatnonzero(job.photos.labels != 1))


def one_photograph_in_each_class(job: Job) -> None:
    job.photos = job.photos.take(np.array([0, 6, 12]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "change",
    [one_photograph, one_photograph_in_a_class, a_class_without_photographs, one_photograph_in_each_class],
    ids=lambda change: change.__name__,
)
@pytest.mark.parametrize("most", [EXACT_BYTES, 0], ids=["exact", "streamed"])
def test_few_photographs_end_no_fit(
    world: World, tmp_path: Path, kind: HeadName, change: Change, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head_fit, "EXACT_BYTES", most)
    probe = PROBE.model_copy(update={"weight_decay": (0.01, 0.1), "shrink": (0.0, 1.0), "passes": 60})
    job = frozen_job(world, tmp_path / "out", head=kind, probe=probe)
    change(job)
    fit_head(job, probe)
    assert all(tensor.isfinite().all() for tensor in job.network.head.state_dict().values())
    (batch,) = job.loader.batches(job.photos, groups=[np.arange(len(job.photos))])
    with torch.no_grad():
        answers = job.network.eval()(job.loader.inputs(batch.pixels, positions=batch.positions)).argmax(1)
    assert set(answers.tolist()) <= set(job.photos.labels.tolist()), "a class without photographs is no answer"


def test_photographs_without_finite_features_leave_a_trace(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = frozen_job(world, tmp_path / "out")
    said: list[str] = []
    job.reporter = Reporter(said.append)
    features = job.network.features

    def spoilt(pixels: Tensor) -> Tensor:
        found = features(pixels)
        found[2, 5] = torch.nan
        return found

    monkeypatch.setattr(job.network, "features", spoilt)
    fit_head(job, PROBE)
    assert f"skipped an unreadable photograph, {job.photos.photo_ids[2]}: its features are not finite numbers" in said
    assert any(f"on {len(job.photos) - 1} feature vectors of {len(job.photos)} photographs" in line for line in said)
    nothing = frozen_job(world, tmp_path / "nothing")
    monkeypatch.setattr(nothing.network, "features", lambda pixels: features(pixels) * torch.nan)
    nothing.spec = nothing.spec.model_copy(update={"features": tmp_path / "elsewhere"})
    with pytest.raises(TrainingError, match="none of the training photographs has an embedding"):
        fit_head(nothing, PROBE)


def test_being_asked_to_end_ends_a_fit_at_any_point(world: World, tmp_path: Path) -> None:
    job = frozen_job(world, tmp_path / "out")
    job.stop.set()
    with pytest.raises(InterruptedTrainingError, match="before computing features"):
        fit_head(job, PROBE)
    job.stop.clear()
    batches = job.loader.batches

    def stopped(*given: object, **rest: object) -> object:
        job.stop.set()
        return batches(*given, **rest)  # type: ignore[arg-type]

    job.loader.batches = stopped  # type: ignore[assignment, method-assign]
    with pytest.raises(InterruptedTrainingError, match="while computing features"):
        fit_head(job, PROBE)


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")
def test_the_frozen_recipes_go_from_genus_to_species(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    result = None
    for network, parent in (("genus_stage", None), ("knowledge_transfer", tmp_path / "genus_stage" / RESULT_FILE)):
        spec = world.spec(
            tmp_path / network, network=network, recipe="frozen", parent=parent, spec_hash=f"frozen {network}",
            features=tmp_path / "features",
        )  # fmt: skip
        result = train.run(spec, device=PROCESSOR, reporter=Reporter(said.append), stop=threading.Event())
        # Both stages have the same backbone: the second finds all embeddings, those of evaluation included.
        monkeypatch.setattr(Embeddings, "_joined", None)
    assert result is not None
    assert result.metrics["top1"] > 0.8
    assert load(result.network, result.weights).spec.views == (1.0, 0.5)
    assert not (tmp_path / "knowledge_transfer" / "head.safetensors").exists()
