"""How much of a card's arithmetic a training uses: what the network multiplies and adds, over what the card can."""

import re
from typing import Final

import torch
from torch.utils.flop_counter import FlopCounterMode

from ml.devices import Device
from ml.networks.network import Network

PEAKS: Final[dict[str, dict[str, float]]] = {
    "H200": {"half": 989, "tf32": 495, "fp32": 67},
    "H100 PCIe": {"half": 756, "tf32": 378, "fp32": 51},
    "H100": {"half": 989, "tf32": 495, "fp32": 67},
    "A100": {"half": 312, "tf32": 156, "fp32": 19.5},
    "L40S": {"half": 362, "tf32": 183, "fp32": 91.6},
    "A10G": {"half": 70, "tf32": 35, "fp32": 35},
    "L4": {"half": 121, "tf32": 60, "fp32": 30.3},
    "T4": {"half": 65, "tf32": 8.1, "fp32": 8.1},
    "V100": {"half": 125, "tf32": 15.7, "fp32": 15.7},
}
"""TFLOP/s of dense products by words of the card's name (the longest that fits), from NVIDIA's data sheets: in bfloat16
or float16; in float32 rounded to 19 bits; in float32. The T4 and the V100 do not round: float32 in both."""
PASSES: Final = 3
"""Passes of a step, in arithmetic: forward, and twice as much backward. Where layers are frozen it is less."""


def peak_of(card: str, *, dtype: torch.dtype, rounded: bool) -> float | None:
    """What a card can compute in a second, in FLOP.

    Args:
        card: Its name, as the driver says it.
        dtype: What products are computed in.
        rounded: Whether those of float32 may be rounded to TF32.

    Returns:
        None for a card that is not in the table.
    """
    words = set(re.split(r"[\s-]+", card))
    known = [name for name in PEAKS if words.issuperset(name.split())]
    if not known:
        return None
    kind = ("tf32" if rounded else "fp32") if dtype == torch.float32 else "half"
    return 1e12 * PEAKS[max(known, key=len)][kind]


def peak(device: Device) -> float | None:
    """What this process's card can compute in a second, in FLOP; None for a processor or an unknown card."""
    if device.device.type != "cuda":
        return None
    rounded = torch.get_float32_matmul_precision() != "highest"
    return peak_of(torch.cuda.get_device_name(device.device), dtype=device.dtype, rounded=rounded)


@torch.no_grad()
def step_flop(network: Network, *, device: Device) -> float:
    """FLOP of a training step for one photograph: each product and each sum counts, as in data sheets.

    The network is left in evaluation mode.
    """
    spec = network.spec
    blank = torch.zeros(1, len(spec.views), 3, spec.image_size, spec.image_size, device=device.device)
    network.eval()
    with FlopCounterMode(display=False) as counter:
        network.outputs(blank)
    return float(PASSES * counter.get_total_flops())
