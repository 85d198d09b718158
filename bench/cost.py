"""What the paper's scale costs: parameters, operations and memory as counted, hours as measured steps of cards say."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from bench import cards
from bench.cards import Measurement
from bench.harness import Goal, Report
from ml.networks.description import NetworkSpec
from ml.networks.network import Network, build, count_parameters
from ml.training.recipes import RECIPES, Recipe

BACKBONE: Final = "inception_resnet_v2"
NAME: Final = "InceptionResNetV2"
IMAGE_SIZE: Final = 299
SPECIES: Final = 19_027
TRAINING_PHOTOS: Final = 971_313
"""80 % of the paper's 1,214,141."""
LOADED_PER_CORE: Final = 200
"""Photographs a second that a core decodes, cuts and copies: two views of 299 pixels from JPEGs of 912 x 684, as
measured beside an H100 on 2026-11-26 (200 to 223 per CPU-second)."""


def run(*, folder: Path, runs: int) -> Report:  # noqa: ARG001 (the harness' signature; counting needs no repeats)
    """Count for every recipe of the paper, and tell how long it takes on every card that was measured."""
    measurements = cards.read()
    counted: dict[int, dict[str, object]] = {}
    rows, goals = [], []
    for name, recipe in RECIPES["paper"].items():
        views = len(recipe.views)
        if views not in counted:
            network = build(
                NetworkSpec(
                    backbone=BACKBONE, classes=SPECIES, image_size=IMAGE_SIZE, views=recipe.views, auxiliary=True
                )
            )
            operations = multiply_adds(network)
            counted[views] = counts(network, operations=operations)
            goals += sizes(network, name=name, operations=operations)
        steps = steps_of(recipe, photos=TRAINING_PHOTOS)
        rows.append(
            {
                "recipe": name,
                "epochs": recipe.epochs,
                "steps": f"{steps:,}",
                **counted[views],
                **hours_on_cards(recipe, measurements=measurements, steps=steps),
            }
        )
    return Report(
        part="cost",
        title=f"{NAME} at {IMAGE_SIZE} pixels, {SPECIES:,} species, {TRAINING_PHOTOS:,} training photographs.",
        rows=rows,
        goals=goals,
        notes=[
            "hours: steps x the measured time of a step (cards.yaml), eager / captured as a CUDA graph",
            "`at most` is of a larger batch, whose step takes at least as long",
            *unknown_card(measurements),
            "loading and evaluation are not in the hours; cores: what loads photographs as fast as the card takes them",
            f"a core loads {LOADED_PER_CORE} photographs a second (two views of 299 pixels, JPEGs of 912 x 684)",
            "with fewer cores, loading decides: hours = epochs x photographs / (cores x that rate) / 3600",
            "GiB for states: weights, gradients and Adam's two moments in float32",
            "GiB per 16: what autograd keeps of 16 photographs in float32, without / with recomputing",
            "knowledge_transfer needs genus_stage before it, whose head is smaller than counted here",
        ],
    )


def counts(network: Network, *, operations: float) -> dict[str, object]:
    """What is counted of a network."""
    parameters = count_parameters(network)
    return {
        "parameters": f"{parameters / 1e6:.1f} M",
        "GMAC": f"{operations / 1e9:.2f}",
        "GiB for states": f"{16 * parameters / 2**30:.2f}",
        "GiB per 16": " / ".join(
            f"{16 * kept(network, recompute=recompute) / 2**30:.1f}" for recompute in (False, True)
        ),
    }


def steps_of(recipe: Recipe, *, photos: int) -> int:
    """Steps of a recipe over so many training photographs; an epoch is of whole batches."""
    return round(recipe.epochs * (photos // recipe.batch))


def hours_on_cards(recipe: Recipe, *, measurements: Sequence[Measurement], steps: int) -> dict[str, object]:
    """Hours of so many steps on each card, eager / captured, and the cores that load as fast as the faster of them."""
    columns: dict[str, object] = {}
    for card in dict.fromkeys(each.card for each in measurements):
        told, fastest = [], 0.0
        for path in ("eager", "captured"):
            own = [
                each
                for each in measurements
                if (each.card, each.path) == (card, path)
                and each.is_of(backbone=BACKBONE, image_size=IMAGE_SIZE, views=len(recipe.views))
            ]
            step = cards.step_of(own, batch=recipe.batch)
            if step is None:
                told.append("not measured")
                continue
            prefix = "" if step.batch == recipe.batch else "at most "
            told.append(f"{prefix}{steps * step.milliseconds / 3.6e6:.1f}")
            fastest = max(fastest, recipe.batch / step.milliseconds * 1000)
        columns[f"hours, {card}"] = " / ".join(told)
        columns[f"cores, {card}"] = math.ceil(fastest / LOADED_PER_CORE) if fastest else ""
    return columns


def unknown_card(measurements: Sequence[Measurement]) -> list[str]:
    """A sentence about this machine's card, where nothing is known of it."""
    if not torch.cuda.is_available():
        return []
    here = torch.cuda.get_device_name()
    if any(each.card == here for each in measurements):
        return []
    return [f"hours on this machine's {here} are left out: `make bench PART=gpu` measures it"]


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
