"""Which training is released next: kept, adopted, continued from the champion, or made from nothing. Pure functions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from ml.spec import NetworkName
from pipeline.production.production_specs import Ancestor
from pipeline.production.record import How

FIRST: Final[NetworkName] = "knowledge_transfer"
"""The network of a first refresh, where neither the configuration nor a champion names one."""


@dataclass(frozen=True, kw_only=True)
class Champion:
    """The model version that users get, as far as it decides what is trained next."""

    version: str
    dataset_version: str | None
    """What it was trained on; None where its tags do not say."""
    network: NetworkName | None
    """None where its tags name no network of this program."""
    training: str | None = None
    """Spec hash of its training; None for a version of earlier code."""
    how: How = "full"
    ancestor: str | None = None
    full_photos: int | None = None
    """Training photographs of the last training from nothing among it and its ancestors; None where nobody knows."""
    first_weights: str | None = None
    """`training.weights` of that training; None where nobody knows."""
    top1: float | None = None
    """Validation top-1 of its training; None where the training's files are gone."""
    files: Ancestor | None = None
    """What training goes on from."""
    lost: str | None = None
    """Why its files cannot be used; None where they can."""
    differs: tuple[str, ...] = ()
    """What is configured otherwise than it was trained, for people: `image size 128 instead of 112`."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that decides."""

    dataset_version: str
    photos: int
    """Training photographs of this dataset version."""
    champion: Champion | None
    research: Mapping[NetworkName, float]
    """Validation top-1 of the research networks on this dataset version, as configured; empty unless all are trained
    and calibrated."""
    network: NetworkName | None
    """`refresh.network`."""
    full_growth: float
    """`refresh.full_growth`."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What is to be done, and why."""

    what: Literal["keep", "adopt", "continue", "full"]
    network: NetworkName
    reason: str


def choose(facts: Facts) -> Decision:
    """Decide which training is released next.

    The first rule that applies counts:

    1. The research networks were trained on this dataset version: the best of them (or `refresh.network`), unless the
       champion was trained on it as well and is as good on its validation photographs.
    2. There is no champion, its files are lost, or it was trained otherwise than configured: from nothing.
    3. The champion was trained on this dataset version: it stays.
    4. The training photographs have grown by `refresh.full_growth` since the last training from nothing: from nothing.
    5. Otherwise training goes on from the champion.
    """
    champion = facts.champion
    usable = champion if champion is not None and _why_unusable(champion) is None else None
    present = usable is not None and usable.dataset_version == facts.dataset_version and usable.top1 is not None
    rival = usable.top1 if usable is not None and present else None
    if facts.research:
        best = max(facts.research, key=facts.research.__getitem__) if facts.network is None else facts.network
        if rival is None or rival < facts.research[best]:
            return _adopt(best, facts, than=None if rival is None else usable)
    if usable is None or usable.network is None:
        return _full(facts, because=_why_unusable(champion) or "")
    if present:
        return Decision(
            what="keep",
            network=usable.network,
            reason=f"version {usable.version}, the champion, was trained on this dataset version already",
        )
    return _grown(facts, usable, network=usable.network)


def _grown(facts: Facts, champion: Champion, *, network: NetworkName) -> Decision:
    """From the champion, or from nothing, by how much there is to learn since the last training from nothing."""
    if not champion.full_photos:
        return _full(facts, because=f"nobody knows how much version {champion.version}, the champion, was trained on")
    growth = facts.photos / champion.full_photos - 1
    change = f"training photographs have {'grown' if growth >= 0 else 'shrunk'} by {abs(growth):.0%} since the last "
    change += "training from nothing"
    if growth > facts.full_growth:
        return _full(facts, because=f"{change} (refresh.full_growth is {facts.full_growth:.0%})")
    reason = f"training goes on from version {champion.version}, the champion: {change}"
    return Decision(what="continue", network=network, reason=reason)


def _adopt(network: NetworkName, facts: Facts, *, than: Champion | None = None) -> Decision:
    share = f"{facts.research[network]:.1%} right"
    if facts.network is not None:
        reason = f"{network}, which refresh.network names, was trained for the comparison ({share})"
    else:
        reason = f"{network} is the best network of the comparison ({share})"
    if than is not None:
        reason += f", better than version {than.version}, the champion ({than.top1:.1%})"
    return Decision(what="adopt", network=network, reason=reason)


def _full(facts: Facts, *, because: str) -> Decision:
    network = facts.network or (facts.champion and facts.champion.network) or FIRST
    return Decision(what="full", network=network, reason=f"trained from nothing: {because}")


def _why_unusable(champion: Champion | None) -> str | None:
    """Why nothing can be made of the champion; None where training can go on from it."""
    if champion is None:
        return "there is no champion yet"
    called = f"version {champion.version}, the champion,"
    if champion.lost is not None or champion.files is None:
        return f"{called} cannot be gone on from: {champion.lost}"
    if champion.network is None:
        return f"{called} does not say which network it is"
    if champion.differs:
        return f"{called} was trained otherwise than configured: {', '.join(champion.differs)}"
    return None
