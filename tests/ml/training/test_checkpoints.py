"""Checkpoints: the very state of training comes back, an unfinished one is never seen, and no code of a file is run."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim import Optimizer

from ml.errors import CheckpointError
from ml.networks.description import NetworkSpec
from ml.networks.network import Network, build
from ml.training.checkpoints import FILE, Best, Position, Restored, Trained, Writer, restore
from ml.training.optimiser import Rates, create
from ml.training.recipes import Recipe
from tests.ml.world import PROCESSOR, STEADY

ADAMW = STEADY.model_copy(update={"optimiser": "adamw", "eps": 1e-8})
SCALER = PROCESSOR.scaler()


def beginning(recipe: Recipe) -> tuple[Network, Optimizer]:
    torch.manual_seed(1)
    network = build(NetworkSpec(backbone="resnet10t", classes=3, image_size=32))
    PROCESSOR.place(network)
    return network, create(network, recipe)


def step(network: Network, optimiser: Optimizer, *, number: int) -> None:
    torch.manual_seed(number)
    optimiser.zero_grad()
    network(torch.rand(4, 3, 32, 32)).square().sum().backward()
    Rates(optimiser, device=PROCESSOR).set(0.01, step=number)
    optimiser.step()


def writer(file: Path, *, spec_hash: str = "mine", seconds: float = 0.0) -> Writer:
    return Writer(file, spec_hash=spec_hash, seconds=seconds)


def keep(file: Path, network: Network, optimiser: Optimizer, *, step: int, spec_hash: str = "mine") -> None:
    written = writer(file, spec_hash=spec_hash)
    try:
        written.save(
            Trained(network=network, optimiser=optimiser, scaler=SCALER),
            position=Position(step=step, seen=8), history=[{"phase": "train", "train_loss": 0.5}],
        )  # fmt: skip
        written.wait()
    finally:
        written.close()


def load(file: Path, network: Network, optimiser: Optimizer) -> Restored | None:
    return restore(file, Trained(network=network, optimiser=optimiser, scaler=SCALER), spec_hash="mine")


@pytest.mark.parametrize("recipe", [STEADY, ADAMW], ids=["tf_adam", "adamw"])
def test_a_training_that_was_restored_takes_the_same_steps(tmp_path: Path, recipe: Recipe) -> None:
    file = tmp_path / FILE
    network, optimiser = beginning(recipe)
    assert load(file, network, optimiser) is None
    for number in range(2):
        step(network, optimiser, number=number)
    keep(file, network, optimiser, step=2)
    again, other = beginning(recipe)
    assert load(file, again, other) == (Position(step=2, seen=8), [{"phase": "train", "train_loss": 0.5}], None)
    for parameter, state in other.state.items():
        # Fused kernels walk through memory: the state must have the layout of its parameter.
        assert state["exp_avg"].stride() == state["exp_avg_sq"].stride() == parameter.stride()
    for number in range(2, 4):
        step(network, optimiser, number=number)
        step(again, other, number=number)
    ours, theirs = network.state_dict(), again.state_dict()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


def test_a_save_that_is_cut_off_leaves_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / FILE
    network, optimiser = beginning(STEADY)
    keep(file, network, optimiser, step=1)

    def cut_off(_: object, partial: Path) -> None:
        partial.write_bytes(b"half of a checkpoint")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", cut_off)
    with pytest.raises(KeyboardInterrupt):
        keep(file, network, optimiser, step=2)
    restored = load(file, network, optimiser)
    assert restored is not None
    assert restored.position.step == 1
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """A disk that takes a checkpoint once the event is set; half of it lies there before."""
    ready, original = threading.Event(), torch.save

    def save(state: object, partial: Path) -> None:
        partial.write_bytes(b"half of a checkpoint")
        assert ready.wait(timeout=60)
        original(state, partial)

    monkeypatch.setattr(torch, "save", save)
    return ready


def test_training_goes_on_while_its_state_is_written(tmp_path: Path, slow_disk: threading.Event) -> None:
    file = tmp_path / FILE
    network, optimiser = beginning(STEADY)
    trained = Trained(network=network, optimiser=optimiser, scaler=SCALER)
    step(network, optimiser, number=0)
    saved = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    written = writer(file)
    written.save(trained, position=Position(step=1), history=[])
    step(network, optimiser, number=1)
    assert not written.due, "one is in flight"
    assert not file.exists(), "half a file is never seen"
    slow_disk.set()
    written.wait()
    written.close()
    again, other = beginning(STEADY)
    load(file, again, other)
    assert all(torch.equal(saved[name], tensor) for name, tensor in again.state_dict().items()), "the state of then"


def test_a_disk_that_fails_ends_training_at_the_next_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object, __: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    network, optimiser = beginning(STEADY)
    written = writer(tmp_path / FILE)
    written.save(Trained(network=network, optimiser=optimiser, scaler=SCALER), position=Position(step=1), history=[])

    def steps() -> None:
        while True:
            written.check()

    with pytest.raises(OSError, match="No space left"):
        steps()
    written.check()
    written.close()


def test_checkpoints_take_at_most_a_hundredth_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, original = [1000.0], torch.save
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def save(state: object, partial: Path) -> None:
        now[0] += 2.0
        original(state, partial)

    monkeypatch.setattr(torch, "save", save)
    network, optimiser = beginning(STEADY)
    written = writer(tmp_path / FILE, seconds=60.0)
    due = [written.due]
    now[0] += 60
    due.append(written.due)
    written.save(Trained(network=network, optimiser=optimiser, scaler=SCALER), position=Position(step=1), history=[])
    written.wait()
    for waited in (190, 10):
        now[0] += waited
        due.append(written.due)
    written.close()
    assert due == [False, True, False, True], "before a minute, after it, two seconds in 192, two in 202"


def test_the_best_weights_and_the_average_come_back(tmp_path: Path) -> None:
    network, optimiser = beginning(STEADY)
    average, _ = beginning(STEADY)
    with torch.no_grad():
        average.head.bias.fill_(3.0)
    best = Best(step=1, loss=0.5, weights={name: tensor.clone() for name, tensor in network.state_dict().items()})
    written = writer(tmp_path / FILE)
    written.save(
        Trained(network=network, optimiser=optimiser, scaler=SCALER, average=average), position=Position(step=2),
        history=[], best=best,
    )  # fmt: skip
    written.wait()
    written.close()
    again, other = beginning(STEADY)
    empty, _ = beginning(STEADY)
    restored = restore(
        tmp_path / FILE, Trained(network=again, optimiser=other, scaler=SCALER, average=empty), spec_hash="mine"
    )
    assert torch.equal(empty.head.bias, torch.full((3,), 3.0))
    assert restored is not None
    assert restored.best is not None
    assert restored.best[:2] == (1, 0.5)
    assert all(torch.equal(tensor, restored.best.weights[name]) for name, tensor in best.weights.items())


def test_another_specifications_checkpoint_is_refused(tmp_path: Path) -> None:
    network, optimiser = beginning(STEADY)
    keep(tmp_path / FILE, network, optimiser, step=1, spec_hash="theirs")
    with pytest.raises(CheckpointError, match="belongs to specification theirs, not mine"):
        load(tmp_path / FILE, network, optimiser)


class Code:
    """What a pickle would run when it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("run"),)


def test_a_file_with_code_is_refused_and_the_code_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / FILE).parent.mkdir()
    torch.save({"spec_hash": "mine", "network": Code()}, tmp_path / FILE)
    with pytest.raises(CheckpointError, match="is damaged"):
        load(tmp_path / FILE, *beginning(STEADY))
    assert not (tmp_path / "run").exists()


def test_the_checkpoint_of_an_earlier_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    folder = (tmp_path / FILE).parent
    (folder / "step-000000007").mkdir(parents=True)
    (folder / "CURRENT").write_text("step-000000007")
    with pytest.raises(CheckpointError, match=f"{folder} was written by an earlier version .* remove that folder"):
        load(tmp_path / FILE, *beginning(STEADY))


def test_a_file_in_an_earlier_form_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / FILE).parent.mkdir()
    torch.save({"spec_hash": "mine", "position": {"step": 1}, "history": [], "network": {}}, tmp_path / FILE)
    with pytest.raises(CheckpointError, match=r"was written by an earlier version .* remove that folder"):
        load(tmp_path / FILE, *beginning(STEADY))
