"""The shorter recipe of a refresh, which goes on from a trained network instead of beginning from nothing."""

import math
from typing import Final

from ml.training.cross_validation import FOLDS
from ml.training.recipes import Probe, Recipe, Segment, rate_at

FITTED: Final = Probe(views=1, weight_decay=0.01, iterations=30)
"""How the head is fitted where the recipe says nothing, before a refresh shortens it; that of the recipe `sample`."""
PULL: Final = 0.1
"""Of the penalty from nothing, where the head is pulled to rows that were learnt: new species must get away from
their genus. A tenth tells as many of their photographs as training from nothing, all of it a sixth fewer."""


def refreshed(recipe: Recipe, *, share: float = 1 / 3) -> Recipe:
    """The last `share` of `recipe`'s epochs, at the rates that they have there.

    A trained network has been through the high rates that find a solution; for a few new photographs it needs the low
    ones that settle it. Of the paper's two-view schedule (2 epochs at 0.1, 1.5 at 0.01, 0.5 at 0.001 and 0.5 at 0.0001)
    a third is half an epoch at each of the last three rates. A half cosine is entered at the rate that it has there,
    and falls to zero along a shorter one.

    The head is fitted first, from the rows that were moved and for `share` of the iterations, whether or not the recipe
    does so from nothing: rows of new species find their place before the low rates begin, which move them too little.
    On real photographs that decides whether new species are known at all; docs/adr has the measurements, in its record
    of how a refresh begins.

    All photographs are gone through alike. New ones alone would make the network forget the others.

    Args:
        recipe: How the network is trained from nothing.
        share: Of the epochs and iterations, between 0 and 1.
    """
    wanted, end = share * recipe.epochs, recipe.epochs
    steady = recipe.model_copy(update={"warmup": 0.0})
    kept: list[Segment] = []
    for segment in reversed(recipe.segments):
        length = min(segment.epochs, wanted)
        if length > 0:
            begin = end - segment.epochs if length == segment.epochs else end - length
            kept.insert(0, segment.model_copy(update={"epochs": length, "rate": rate_at(steady, done=begin)}))
        wanted, end = wanted - length, end - segment.epochs
    probe = _shorter(recipe.probe or FITTED, share=share)
    if recipe.segments and not isinstance(probe.weight_decay, tuple):
        probe = probe.model_copy(update={"weight_decay": PULL * probe.weight_decay})
    return recipe.model_copy(update={"name": f"{recipe.name}, refresh", "segments": tuple(kept), "probe": probe})


def _shorter(probe: Probe, *, share: float) -> Probe:
    """`share` of all iterations, for as many fits as a refresh makes: it chooses by one fold instead of all."""
    values = len(probe.weight_decay) if isinstance(probe.weight_decay, tuple) else 1
    before, now = (FOLDS * values + 1, values + 1) if values > 1 else (1, 1)
    return probe.model_copy(
        update={
            "iterations": max(1, math.floor(probe.iterations * min(1.0, share * before / now))),
            "passes": max(1, math.floor(probe.passes * share)),
        }
    )
