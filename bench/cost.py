"""What the paper's scale costs: parameters, multiply-adds, memory and hours of each recipe, counted, not trained."""

from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from bench.harness import Goal, Report
from ml.networks.description import NetworkSpec
from ml.networks.network import Network, build, count_parameters
from ml.training.recipes import RECIPES, Recipe

SPECIES: Final = 19_027
TRAINING_PHOTOS: Final = 971_313
"""80 % of the paper's 1,214,141."""
SUSTAINED: Final = (10e12, 50e12, 100e12)
"""Operations a second that a device keeps up in training: a card of 2017, a good workstation card, a data centre's."""
PASSES: Final = 3
"""A forward and a backward pass cost three forward passes; with recomputing four."""


def run(*, folder: Path, runs: int) -> Report:  # noqa: ARG001 (the harness' signature; counting needs no repeats)
    """Count for every recipe of the paper."""
    rows, goals = [], []
    for name, recipe in RECIPES["paper"].items():
        network = build(
            NetworkSpec(
                backbone="inception_resnet_v2", classes=SPECIES, image_size=299, views=recipe.views, auxiliary=True
            )
        )
        operations = multiply_adds(network)
        rows.append({"recipe": name, **costs(network, recipe=recipe, operations=operations)})
        if name in {"baseline", "multi_view"}:
            goals += sizes(network, name=name, operations=operations)
    return Report(
        part="cost",
        title=f"InceptionResNetV2 at 299 pixels, {SPECIES:,} species, {TRAINING_PHOTOS:,} training photographs.",
        rows=rows,
        goals=goals,
        notes=[
            "hours: 2 x multiply-adds x three passes over what a device sustains; without loading and evaluation",
            "GiB for states: weights, gradients and Adam's two moments in float32",
            "GiB per 16: what autograd keeps of 16 photographs in float32, without / with recomputing",
            "knowledge_transfer needs genus_stage before it, whose head is smaller than counted here",
        ],
    )


def costs(network: Network, *, recipe: Recipe, operations: float) -> dict[str, object]:
    """One line of the table."""
    passes = recipe.epochs * TRAINING_PHOTOS
    total = 2 * PASSES * operations * passes
    parameters = count_parameters(network)
    return {
        "epochs": recipe.epochs,
        "steps": f"{round(recipe.epochs * (TRAINING_PHOTOS // recipe.batch)):,}",
        "parameters": f"{parameters / 1e6:.1f} M",
        "GMAC": f"{operations / 1e9:.2f}",
        "GiB for states": f"{16 * parameters / 2**30:.2f}",
        "GiB per 16": " / ".join(
            f"{16 * kept(network, recompute=recompute) / 2**30:.1f}" for recompute in (False, True)
        ),
        **{f"hours at {speed / 1e12:.0f} TFLOP/s": f"{total / speed / 3600:.1f}" for speed in SUSTAINED},
    }


def multiply_adds(network: Network) -> float:
    """Multiply-adds of one photograph's forward pass without the auxiliary classifier."""
    spec = network.spec
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.zeros(1, len(spec.views), 3, spec.image_size, spec.image_size))
    return float(counter.get_total_flops()) / 2


def kept(network: Network, *, recompute: bool) -> float:
    """Bytes per photograph that a training pass keeps for the backward pass, parameters not counted."""
    network.train().recompute = recompute
    own = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    seen: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    spec, photos = network.spec, 2
    pixels = torch.zeros(photos, len(spec.views), 3, spec.image_size, spec.image_size)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        outputs = network.outputs(pixels)
    del outputs
    return sum(seen.values()) / photos


def sizes(network: Network, *, name: str, operations: float) -> list[Goal]:
    """What the paper's numbers of parameters and operations promise."""
    auxiliary: nn.Module | None = network.auxiliary
    assert auxiliary is not None  # noqa: S101 (built so)
    parameters = (count_parameters(network) - count_parameters(auxiliary)) / 1e6
    expected, multiplies = {"baseline": (83.6, 13.2), "multi_view": (112.6, 24.9)}[name]
    return [
        Goal(name=f"{name}: parameters off {expected} M", value=abs(parameters - expected), bound=0.05, kind="at most"),
        Goal(
            name=f"{name}: auxiliary head off 17.2 M",
            value=abs(count_parameters(auxiliary) / 1e6 - 17.2),
            bound=0.05,
            kind="at most",
        ),
        Goal(
            name=f"{name}: multiply-adds off {multiplies} G",
            value=abs(operations / 1e9 - multiplies),
            bound=0.1,
            kind="at most",
        ),
    ]
