"""Statistics of batch norms after a short training: those of the photographs, not of where the norms began."""

import functools
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ml.networks.trainable import set_training_mode
from ml.training.averaging import settle_statistics
from ml.training.job import Job
from ml.training.loop import fit
from tests.ml.world import STEADY, World

SHORT = STEADY.model_copy(update={"batch_norm_frozen": False, "batch": 6})


def first_norm(job: Job) -> nn.modules.batchnorm._BatchNorm:
    norm = job.network.backbone.get_submodule("bn1")
    assert isinstance(norm, nn.modules.batchnorm._BatchNorm)
    return norm


def settle(job: Job, *, steps: int, photos: int = 18) -> int:
    return settle_statistics(
        job.network, recipe=job.recipe, steps=steps, photos=job.photos, positions=np.arange(photos),
        changes=job.changes(0), loader=job.loader, device=job.device, stop=job.stop,
    )  # fmt: skip


def test_statistics_after_a_short_training_are_those_of_its_photographs(world: World, tmp_path: Path) -> None:
    job = world.job(tmp_path, recipe=SHORT)
    norm, seen = first_norm(job), []
    fit(job)
    kept = norm.running_mean.clone() if norm.running_mean is not None else torch.empty(0)
    handle = norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach().mean((0, 2, 3))))
    job.network.eval()
    with torch.no_grad():
        # The first batches of the last epoch, as training showed them: all its photographs, here.
        positions = np.concatenate(job.groups(1))
        (batch,) = job.loader.batches(job.photos, groups=[positions], changes=job.changes(1))
        job.network(job.loader.inputs(batch.pixels, positions=batch.positions, changes=job.changes(1)))
    handle.remove()
    assert torch.allclose(kept, seen[0], atol=1e-5)
    assert norm.momentum == 0.1


@pytest.mark.parametrize(("steps", "wanted"), [(43, 18), (44, 0)])
def test_statistics_are_taken_anew_while_a_hundredth_of_the_first_ones_is_left(
    world: World, tmp_path: Path, steps: int, wanted: int
) -> None:
    # 0.9 ** 43 = 0.0108 and 0.9 ** 44 = 0.0097.
    assert settle(world.job(tmp_path, recipe=SHORT), steps=steps) == wanted


def test_frozen_statistics_stay(world: World, tmp_path: Path) -> None:
    job = world.job(tmp_path, recipe=STEADY)
    before = first_norm(job).running_mean
    assert settle(job, steps=1) == 0
    assert first_norm(job).running_mean is before


def test_a_single_photograph_has_no_statistics_to_take(world: World, tmp_path: Path) -> None:
    assert settle(world.job(tmp_path, recipe=SHORT), steps=1, photos=1) == 0


@pytest.mark.parametrize("batch", [1, 6])
def test_batches_have_two_photographs_at_least(world: World, tmp_path: Path, batch: int) -> None:
    job = world.job(tmp_path, recipe=SHORT.model_copy(update={"batch": batch}))
    sizes: list[int] = []
    original = job.loader.batches
    job.loader.batches = functools.partial(recorded, original, sizes)  # type: ignore[method-assign]
    assert settle(job, steps=1, photos=17) == 17
    assert min(sizes) >= 2
    assert sum(sizes) == 17


def recorded(original, sizes, photos, *, groups, changes):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
    sizes.extend(map(len, groups))
    return original(photos, groups=groups, changes=changes)


def test_an_interruption_leaves_the_momentum_as_it_was(world: World, tmp_path: Path) -> None:
    job = world.job(tmp_path, recipe=SHORT)
    set_training_mode(job.network, branches=job.recipe.branches, batch_norm_frozen=False)
    job.stop = threading.Event()
    job.stop.set()
    with pytest.raises(Exception, match="interrupted while taking statistics"):
        settle(job, steps=1)
    assert first_norm(job).momentum == 0.1
