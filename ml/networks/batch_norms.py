"""Batch norms of a network: the momentum and epsilon of a recipe, and no counters of batches."""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.module import _IncompatibleKeys


def set_batch_norms(module: nn.Module, *, momentum: float | None, eps: float | None) -> None:
    """Set momentum and epsilon of all batch norms below `module`; None keeps the architecture's.

    Their counters `num_batches_tracked` are dropped: where the momentum is set they decide nothing, and each costs a
    kernel in every step. Weights with counters, which other code and earlier versions write, load all the same.
    """
    for norm in module.modules():
        if isinstance(norm, _BatchNorm):
            norm.momentum = momentum or norm.momentum
            norm.eps = eps or norm.eps
            if norm.momentum is not None:
                norm.num_batches_tracked = None


def load_without_counters(module: nn.Module) -> None:
    """Let `module.load_state_dict` pass over counters of batches: torch adds them to weights that have none."""
    module.register_load_state_dict_post_hook(_pass_over_counters)  # type: ignore[no-untyped-call]


def _pass_over_counters(module: nn.Module, keys: _IncompatibleKeys) -> None:
    del module
    keys.unexpected_keys[:] = [key for key in keys.unexpected_keys if not key.endswith("num_batches_tracked")]


def has_batch_norms(module: object) -> bool:
    """Whether there is a batch norm below `module`; a step that is a method has none."""
    return isinstance(module, nn.Module) and any(isinstance(each, _BatchNorm) for each in module.modules())
