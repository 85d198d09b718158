"""How torch is asked to average gradients: in place, without sending buffers, whatever its version calls that."""

import os
import subprocess
import sys
from pathlib import Path

import torch
from torch import nn

from ml.training.distributed import synchronise_norms

ROOT = Path(__file__).resolve().parents[3]
TWO = """
import warnings
warnings.simplefilter("error")
import torch
from torch import nn
from ml.devices import joined
from ml.training.distributed import distribute

with joined() as device:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    model = distribute(network)
    torch.manual_seed(device.rank)
    for _ in range(3):
        model.zero_grad(set_to_none=True)
        model(torch.randn(8, 3)).square().mean().backward()
    gradient = network[0].weight.grad
    both = [torch.empty_like(gradient) for _ in range(2)]
    torch.distributed.all_gather(both, gradient)
    assert torch.equal(*both), "averaged"
    assert network[0].weight.grad.untyped_storage().data_ptr() == network[2].weight.grad.untyped_storage().data_ptr()
    statistics = [torch.empty(4) for _ in range(2)]
    torch.distributed.all_gather(statistics, network[1].running_mean)
    assert not torch.equal(*statistics), "each process keeps its own until they are shared"
    print(f"process {device.rank} is done")
"""


def test_gradients_are_views_of_what_is_sent_and_statistics_stay_apart(tmp_path: Path) -> None:
    script = tmp_path / "two.py"
    script.write_text(TWO, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    # Two processes write to one pipe: a line's end may come after the other's line.
    assert all(f"process {rank} is done" in done.stdout for rank in range(2)), done.stdout


def test_synchronised_norms_count_their_batches_as_torch_needs() -> None:
    plain = nn.BatchNorm2d(4)
    plain.num_batches_tracked = None
    network = nn.Sequential(nn.Conv2d(3, 4, 1), plain)
    synchronise_norms(network)
    norm = network[1]
    assert isinstance(norm, nn.SyncBatchNorm)
    # One process: torch falls back on the plain norm, after it has counted.
    network(torch.randn(2, 3, 4, 4))
    assert norm.num_batches_tracked == 1
