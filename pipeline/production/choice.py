"""Which training is released next: kept, adopted, continued from the champion, or made from nothing. Pure functions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    research: Mapping[NetworkName, float] = field(default_factory=dict)
    """Validation top-1 of the research networks on this dataset version, as configured; empty unless all are trained
    and calibrated."""
    network: NetworkName | None = None
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
    usable = champion is not None and champion.lost is None and not champion.differs
    present = champion is not None and champion.dataset_version == facts.dataset_version and champion.top1 is not None
    if facts.research:
        best = facts.network or max(facts.research, key=lambda name: facts.research[name])
        if champion is None or champion.top1 is None or not (usable and present):
            return _adopt(best, facts)
        if champion.top1 < facts.research[best]:
            return _adopt(best, facts, than=champion)
    if champion is None or champion.network is None or not usable:
        return _full(facts, because=_why_unusable(champion))
    if present:
        return Decision(
            what="keep",
            network=champion.network,
            reason=f"version {champion.version}, the champion, was trained on this dataset version already",
        )
    growth = _growth(facts, champion)
    if growth is None:
        return _full(facts, because=f"nobody knows how much version {champion.version}, the champion, was trained on")
    if growth > facts.full_growth:
        return _full(
            facts,
            because=f"training photographs have grown by {growth:.0%} since the last training from nothing "
            f"(refresh.full_growth is {facts.full_growth:.0%})",
        )
    return Decision(
        what="continue",
        network=champion.network,
        reason=f"training goes on from version {champion.version}, the champion: training photographs have "
        f"{'grown' if growth >= 0 else 'shrunk'} by {abs(growth):.0%} since the last training from nothing",
    )


def _growth(facts: Facts, champion: Champion) -> float | None:
    return None if not champion.full_photos else facts.photos / champion.full_photos - 1


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


def _why_unusable(champion: Champion | None) -> str:
    if champion is None:
        return "there is no champion yet"
    called = f"version {champion.version}, the champion,"
    if champion.lost is not None:
        return f"{called} cannot be gone on from: {champion.lost}"
    if champion.network is None:
        return f"{called} does not say which network it is"
    return f"{called} was trained otherwise than configured: {', '.join(champion.differs)}"
