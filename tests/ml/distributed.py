"""What torchrun starts in `test_distributed`: `ml.train` with a recipe that gives the same weights in parts.

`--bad-rank R --bad-step S` makes the loss of one process infinite at one step.
"""

import argparse
import os
import sys

import torch
from torch import Tensor

from ml import recipes, train
from ml.objective import Objective
from tests.ml.world import STEADY


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--spec", required=True)
    parser.add_argument("--bad-rank", type=int)
    parser.add_argument("--bad-step", type=int)
    options = parser.parse_args()
    recipes.RECIPES["sample"]["baseline"] = STEADY
    if options.bad_rank is not None and int(os.environ["RANK"]) == options.bad_rank:
        _spoil(options.bad_step)
    return train.main(["--spec", options.spec])


def _spoil(step: int) -> None:
    forward, calls = Objective.forward, iter(range(10**9))

    def spoiled(self: Objective, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        loss, logits = forward(self, pixels, labels)
        return (loss * torch.inf if next(calls) == step else loss), logits

    Objective.forward = spoiled  # type: ignore[method-assign]


if __name__ == "__main__":
    sys.exit(main())
