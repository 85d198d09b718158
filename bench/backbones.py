"""What backbones cost: parameters, multiply-adds, the width of the embedding. `python -m bench.backbones [NAME...]`.

Counted on the device "meta", without weights and without memory.
"""

import sys
from typing import Final

import timm
import torch
from torch.utils.flop_counter import FlopCounterMode

from ml.networks.backbones import create_bare

NAMES: Final = (
    "inception_resnet_v2", "tf_efficientnet_lite0", "convnext_tiny", "convnext_base", "eva02_base_patch14_448",
    "vit_base_patch16_dinov3", "vit_large_patch14_clip_224",
)  # fmt: skip
"""The last is the image tower of BioCLIP 2."""


def row(name: str) -> str:
    """One line of a Markdown table."""
    configuration = timm.get_pretrained_cfg(name)
    side = configuration.input_size[-1] if configuration is not None else 224
    with torch.device("meta"):
        backbone = create_bare(name, image_size=side, arguments={})
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            embedding = backbone.eval()(torch.zeros(1, 3, side, side))
    parameters = sum(parameter.numel() for parameter in backbone.parameters())
    cells = (
        f"`{name}`", f"{parameters / 1e6:.1f} M", f"{counter.get_total_flops() / 2e9:.2f}",
        f"{embedding.shape[-1]:,}", str(side), configuration.license if configuration is not None else "",
    )  # fmt: skip
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> None:
    """Print the table."""
    print("| backbone | parameters | GMAC | embedding | pixels | licence of its weights |")
    print("|---|---:|---:|---:|---:|---|")
    for name in sys.argv[1:] or NAMES:
        print(row(name))


if __name__ == "__main__":
    main()
