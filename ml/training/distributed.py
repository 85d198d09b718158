"""One network in several processes: gradients averaged by torch, batch norms on their own or together."""

import inspect
from typing import cast

import torch
from timm.layers.norm_act import convert_sync_batchnorm
from torch import nn
from torch.nn.parallel import DistributedDataParallel

NO_BUFFERS = (
    "forward_sync_buffers"
    if "forward_sync_buffers" in inspect.signature(DistributedDataParallel.__init__).parameters
    else "broadcast_buffers"
)
"""The argument of torch that decides whether each step begins with the first process's buffers; its older versions call
it otherwise."""


def distribute(model: nn.Module) -> DistributedDataParallel:
    """Average the gradients of `model` over all processes while they are computed.

    Gradients are views of the buffers that torch sends, which saves a copy of each. Buffers, the statistics of batch
    norms, stay each process's own during an epoch (`ml.training.statistics.share_statistics`). The graph of a step is
    not declared static: the parts of a batch but the last are not sent, and a process without readable photographs
    takes a step of its own.
    """
    arguments = {"gradient_as_bucket_view": True, NO_BUFFERS: False}
    return DistributedDataParallel(model, **arguments)  # type: ignore[arg-type]


def synchronise_norms(network: nn.Module) -> None:
    """Let batch norms in training mode normalise by the photographs of all processes; on GPUs only.

    torch's synchronised norm counts its batches, whether the norm that it replaces did or not.
    """
    convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    for module in network.modules():
        if isinstance(module, nn.SyncBatchNorm) and module.track_running_stats and module.num_batches_tracked is None:
            like = cast("torch.Tensor", module.running_mean)
            module.num_batches_tracked = torch.zeros((), dtype=torch.int64, device=like.device)
