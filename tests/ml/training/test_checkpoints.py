"""Checkpoints: the very state of training comes back, an unfinished one is never seen, and no code of a file is run."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import Optimizer

from ml.errors import CheckpointError
from ml.networks.description import NetworkSpec
from ml.networks.network import Network, build
from ml.training.checkpoints import FILE, Position, restore, save
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


def keep(file: Path, network: nn.Module, optimiser: Optimizer, *, step: int, spec_hash: str = "mine") -> None:
    save(
        file, network=network, optimiser=optimiser, scaler=SCALER, position=Position(step=step, seen=8),
        history=[{"phase": "train", "train_loss": 0.5}], spec_hash=spec_hash,
    )  # fmt: skip


def load(file: Path, network: nn.Module, optimiser: Optimizer) -> Any:  # noqa: ANN401
    return restore(file, network=network, optimiser=optimiser, scaler=SCALER, spec_hash="mine")


@pytest.mark.parametrize("recipe", [STEADY, ADAMW], ids=["tf_adam", "adamw"])
def test_a_training_that_was_restored_takes_the_same_steps(tmp_path: Path, recipe: Recipe) -> None:
    file = tmp_path / FILE
    network, optimiser = beginning(recipe)
    assert load(file, network, optimiser) is None
    for number in range(2):
        step(network, optimiser, number=number)
    keep(file, network, optimiser, step=2)
    again, other = beginning(recipe)
    assert load(file, again, other) == (Position(step=2, seen=8), [{"phase": "train", "train_loss": 0.5}])
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
    position, _ = load(file, network, optimiser)
    assert position.step == 1
    assert [path.name for path in file.parent.iterdir()] == [file.name]


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
