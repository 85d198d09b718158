"""Which model versions stay, and for whose sake: the policy, over plain facts. Asks no registry."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pipeline.config.upkeep import RetentionSettings
from pipeline.tracking import tags as version_tags


@dataclass(frozen=True, kw_only=True)
class Version:
    """What is known of one version of a registered model."""

    model: str
    """The registered model's name."""
    number: str
    created: dt.datetime
    """When it was registered (UTC)."""
    aliases: frozenset[str] = frozenset()
    tags: Mapping[str, str] = field(default_factory=dict)
    pinned: bool = False
    """Whether a person has said that no refresh may replace it."""
    run_id: str | None = None
    """The MLflow run that registered it."""
    model_id: str | None = None
    """MLflow's logged model, which holds its files."""

    @property
    def asked_for(self) -> bool:
        """Whether people or aliases ask for it, whatever its age."""
        return bool(self.aliases) or self.pinned or version_tags.KEEP in self.tags

    @property
    def dataset(self) -> str | None:
        """The dataset version that it was trained on."""
        return self.tags.get(version_tags.DATA_VERSION) or None

    @property
    def promoted(self) -> dt.datetime | None:
        """When it became the champion last; None where it never did, or before that was written down."""
        try:
            moment = dt.datetime.fromisoformat(self.tags[version_tags.PROMOTED_AT])
        except (KeyError, ValueError):
            return None
        return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def kept_versions(versions: Iterable[Version], *, policy: RetentionSettings, now: dt.datetime) -> dict[str, str]:
    """The versions that stay: number -> why.

    A version stays that has an alias or the tag `naturewatch.keep`, or is pinned; that is one of the newest; that was a
    champion lately, or one of the last; and every version that one of these was trained on from. A version was a
    champion until the one that replaced it was promoted, so it counts by that moment.

    Args:
        versions: All versions of the registered model.
        policy: The section `retention`.
        now: The present moment (UTC).
    """
    known = {version.number: version for version in versions}
    newest = sorted(known.values(), key=lambda version: int(version.number), reverse=True)
    kept: dict[str, str] = {}
    for version in newest:
        if version.aliases:
            kept[version.number] = " and ".join(f"alias {alias}" for alias in sorted(version.aliases))
        elif version.pinned:
            kept[version.number] = "pinned"
        elif version_tags.KEEP in version.tags:
            kept[version.number] = f"tag {version_tags.KEEP}"
    for number, why in _champions(known, policy=policy, now=now).items():
        kept.setdefault(number, why)
    for version in newest[: policy.versions]:
        kept.setdefault(version.number, f"one of the newest {policy.versions}")
    for number in list(kept):
        _keep_ancestors(number, known=known, kept=kept)
    return {version.number: kept[version.number] for version in newest if version.number in kept}


def _champions(known: Mapping[str, Version], *, policy: RetentionSettings, now: dt.datetime) -> dict[str, str]:
    """Earlier champions that stay."""
    since = now - dt.timedelta(days=policy.champion_days)
    reigns = sorted(
        ((version.promoted, version) for version in known.values() if version.promoted is not None),
        key=lambda reign: (reign[0], int(reign[1].number)),
        reverse=True,
    )
    kept: dict[str, str] = {}
    for place, (promoted, version) in enumerate(reigns):
        replaced = version.tags.get(version_tags.REPLACED)
        if promoted >= since:
            kept[version.number] = f"champion within {policy.champion_days} days"
            if replaced is not None and replaced in known:
                kept.setdefault(replaced, f"champion within {policy.champion_days} days")
        elif place <= policy.champions:
            # The first is the present champion, or was the last one.
            kept.setdefault(version.number, f"one of the last {policy.champions} champions")
        if place < policy.champions and replaced is not None and replaced in known:
            kept.setdefault(replaced, f"the champion before version {version.number}")
    return kept


def _keep_ancestors(number: str, *, known: Mapping[str, Version], kept: dict[str, str]) -> None:
    """Keep what a version was trained on from, back to the training from nothing."""
    younger = number
    while True:
        ancestor = known[younger].tags.get(version_tags.ANCESTOR)
        if ancestor is None or ancestor not in known or ancestor in kept:
            return
        kept[ancestor] = f"version {younger} was trained on from it"
        younger = ancestor
