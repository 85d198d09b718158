"""One step: recorded, it is the eager one; it waits for no copy; any number of photographs can be in a part."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from ml.devices import Device
from ml.images.augmentation import ORDERS, Augmentation, change_colours, distort_together
from ml.images.views import standardise
from ml.networks.description import NetworkSpec
from ml.networks.network import Network, build
from ml.training import optimiser
from ml.training.optimiser import Rates
from ml.training.recipes import Recipe
from ml.training.step import CORRECT, COUNT, LOSSES, NORM, WARM_UP, Objective, Step, recordable
from tests.ml.steady import PROCESSOR, STEADY

CARD = Device(device=torch.device("cuda"), rank=0, world=1)
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
BATCH, CLASSES, SIDE = 6, 4, 64


def beginning(
    recipe: Recipe, *, graph: bool, device: Device = PROCESSOR, accumulate: int = 1, auxiliary: bool = False
) -> tuple[Network, Step, Rates]:
    torch.manual_seed(1)
    network = build(
        NetworkSpec(backbone="resnet10t", classes=CLASSES, image_size=SIDE, views=recipe.views, auxiliary=auxiliary)
    )
    device.place(network)
    network.train()
    updates = optimiser.create(network, recipe)
    step = Step(
        Objective(network, loss=nn.CrossEntropyLoss(), auxiliary_weight=0.4), optimiser=updates,
        scaler=device.scaler(), device=device, accumulate=accumulate, compiled=False, graph=graph,
    )  # fmt: skip
    return network, step, Rates(updates, device=device)


def batches(sizes: list[int], *, device: Device = PROCESSOR, views: int = 1) -> Iterator[tuple[Tensor, Tensor]]:
    for number, size in enumerate(sizes):
        random = torch.Generator().manual_seed(number)
        pixels = torch.randn(size, views, 3, SIDE, SIDE, generator=random)
        yield pixels.to(device.device), torch.randint(CLASSES, (size,), generator=random).to(device.device)


def train(sizes: list[int], *, device: Device = PROCESSOR, recipe: Recipe = STEADY, **how: Any) -> Any:  # noqa: ANN401
    """The numbers of each step, and the weights after the last."""
    network, step, rates = beginning(recipe, device=device, **how)
    numbers = []
    for number, (inputs, targets) in enumerate(batches(sizes, device=device, views=len(recipe.views))):
        torch.manual_seed(number)
        rates.set(0.5 if recipe.optimiser == "tf_adam" else 1e-3, step=number)
        numbers.append(step.take(inputs, targets, whole=BATCH, stop=False, save=False).read())
    return np.array(numbers), {name: tensor.cpu() for name, tensor in network.state_dict().items()}


ADAMW = STEADY.model_copy(update={"optimiser": "adamw", "eps": 1e-8})
TWO_VIEWS = STEADY.model_copy(update={"views": (1.0, 0.5)})
RECIPES = pytest.mark.parametrize("recipe", [STEADY, ADAMW, TWO_VIEWS], ids=["tf_adam", "adamw", "two views"])


@RECIPES
@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_step_on_fixed_tensors_is_the_eager_step(recipe: Recipe, accumulate: int) -> None:
    # An unreadable photograph leaves a smaller batch, which is computed eagerly between the others.
    sizes = [BATCH] * (WARM_UP + 2) + [BATCH - 1, 0, BATCH, BATCH]
    eager, weights = train(sizes, recipe=recipe, graph=False, accumulate=accumulate)
    replayed, same = train(sizes, recipe=recipe, graph=True, accumulate=accumulate)
    assert np.array_equal(eager, replayed)
    assert all(torch.equal(tensor, same[name]) for name, tensor in weights.items())
    assert eager[:, COUNT].tolist() == sizes
    assert (eager[:6, NORM] > 0).all()


@needs_gpu
@RECIPES
def test_a_recorded_step_has_the_losses_of_the_eager_one(recipe: Recipe) -> None:
    device = Device(device=torch.device("cuda"), rank=0, world=1, precision="fp32")
    device.tune(deterministic=True)
    sizes = [BATCH] * (WARM_UP + 4) + [BATCH - 1, BATCH, BATCH]
    eager, _ = train(sizes, recipe=recipe, graph=False, device=device)
    replayed, _ = train(sizes, recipe=recipe, graph=True, device=device)
    np.testing.assert_allclose(replayed[:, LOSSES], eager[:, LOSSES], rtol=1e-4)
    assert (replayed[:, CORRECT] == eager[:, CORRECT]).all()


@needs_gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
def test_nothing_in_a_step_waits_for_the_gpu() -> None:
    recipe = TWO_VIEWS
    _, step, rates = beginning(recipe, device=CARD, graph=True)
    bytes_ = torch.randint(256, (BATCH, 2, SIDE, SIDE, 3), dtype=torch.uint8).pin_memory()
    draws = np.random.default_rng(1).random((BATCH, 10))
    taken = []
    for number in range(WARM_UP + 4):
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error" if number > WARM_UP else "default")
        try:
            rates.set(0.1, step=number)
            inputs = prepared(bytes_, draws=draws, device=CARD)
            targets = CARD.send(torch.zeros(BATCH, dtype=torch.int64))
            taken.append(step.take(inputs, targets, whole=BATCH, stop=False, save=False))
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert all(np.isfinite(each.read()).all() for each in taken)


def prepared(pixels: Tensor, *, draws: np.ndarray[Any, Any], device: Device) -> Tensor:
    changed = change_colours(device.pixels(pixels), draws=draws, augmentation=Augmentation())
    return standardise(changed, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


class Copies(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts copies between the processor and the device, and readings of numbers back."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.there = self.back = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name in {"_local_scalar_dense", "nonzero", "is_nonzero"}:
            self.back += 1
        if name in {"_to_copy", "copy_"}:
            source = args[1] if name == "copy_" else args[0]
            self.there += source.device.type == "cpu" and result.device.type != "cpu"
            self.back += source.device.type != "cpu" and result.device.type == "cpu"
        return result


@contextmanager
def counted() -> Iterator[Copies]:
    with Copies() as copies:
        yield copies


def test_a_devices_pixels_are_prepared_with_three_copies_and_no_reading() -> None:
    """On the device "meta", which computes nothing, the code runs as on a GPU."""
    device = Device(device=torch.device("meta"), rank=0, world=1)
    pixels = torch.zeros(BATCH, 2, SIDE, SIDE, 3, dtype=torch.uint8)
    draws = np.random.default_rng(1).random((BATCH, 10))
    prepared(pixels, draws=draws, device=device)  # constants are copied once
    with counted() as copies:
        inputs = prepared(pixels, draws=draws, device=device)
    assert inputs.shape == (BATCH, 2, 3, SIDE, SIDE)
    # The bytes, the places of each order, the amounts.
    assert (copies.there, copies.back) == (3, 0)


@RECIPES
def test_the_update_itself_copies_and_reads_nothing(recipe: Recipe) -> None:
    network, step, rates = beginning(recipe, graph=False)
    inputs, targets = next(batches([BATCH], views=len(recipe.views)))
    rates.set(0.1, step=0)
    with counted() as copies:
        step._update(inputs, targets)
    # Of no tensor a number is read, which a GPU would have to finish for.
    assert copies.back == 0
    assert next(network.parameters()).grad is not None


def test_photographs_changed_together_are_those_changed_one_by_one() -> None:
    random = np.random.default_rng(5)
    pixels, draws = torch.from_numpy(random.random((9, 2, 3, 7, 6), dtype=np.float32)), random.random((9, 10))
    expected = change_colours(pixels, draws=draws, augmentation=Augmentation())
    limits = np.array((32 / 255, 0.5, 0.5, 0.2))
    together = distort_together(
        pixels, order=(draws[:, 5] * len(ORDERS)).astype(int), changed=torch.empty_like(pixels),
        amounts=np.array((0, 1, 1, 0)) + (2 * draws[:, 6:] - 1) * limits,
    )  # fmt: skip
    torch.testing.assert_close(together, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("photos", [1, 2, 3])
@pytest.mark.parametrize("accumulate", [1, 2, 5])
def test_one_photograph_in_a_share_or_a_part_is_learnt(photos: int, accumulate: int) -> None:
    # The auxiliary classifier's maps are of one pixel: with one photograph there is nothing to normalise by.
    numbers, weights = train([photos, photos], graph=False, accumulate=accumulate, auxiliary=True)
    assert np.isfinite(numbers).all()
    assert (numbers[:, NORM] > 0).all()
    assert all(tensor.isfinite().all() for tensor in weights.values())


def test_a_step_is_recorded_on_one_gpu_in_a_precision_that_needs_no_scaling() -> None:
    def possible(kind: str, *, world: int = 1, precision: str = "bf16", recompute: bool = False) -> bool:
        device = Device(device=torch.device(kind), rank=0, world=world, precision=precision)  # type: ignore[arg-type]
        return recordable(device, recompute=recompute)

    assert possible("cuda")
    assert possible("cuda", precision="fp32")
    assert not possible("cpu")
    assert not possible("cuda", world=2)
    assert not possible("cuda", precision="fp16")
    assert not possible("cuda", recompute=True)
