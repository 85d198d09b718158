"""From a decision to what is done: the trainings to run, and the record of the one that is released next."""

from collections.abc import Mapping
from dataclasses import dataclass

from ml.spec import NetworkName, TrainSpec
from pipeline.comparison.networks import NETWORKS
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.errors import ChildError
from pipeline.launching.specs import calibrated, train_hash, trained
from pipeline.production.choice import Champion, Decision, Facts
from pipeline.production.production_specs import continued_spec, full_specs, training_folder
from pipeline.production.record import How, Production


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the asset `production` does."""

    specs: list[TrainSpec]
    """The trainings to run, one after the other; empty where there is nothing to train."""
    record: Production
    """The training that is released next: the last of `specs`, or one that is there already."""


def facts_of(settings: Settings, manifest: DatasetManifest, champion: Champion | None) -> Facts:
    """Gather all that decides which training is released next."""
    return Facts(
        dataset_version=manifest.dataset_version,
        photos=manifest.counts["train"],
        champion=champion,
        research=_research(settings, manifest),
        network=settings.refresh.network,
        full_growth=settings.refresh.full_growth,
    )


def plan(
    settings: Settings,
    manifest: DatasetManifest,
    champion: Champion | None,
    decision: Decision,
    *,
    tags: Mapping[str, str],
    workers: int | None,
) -> Plan:
    """Turn a decision into specifications and a record.

    Args:
        settings: The configuration.
        manifest: The dataset version.
        champion: What was decided about.
        decision: What is to be done.
        tags: Tags for the runs in MLflow.
        workers: How many processes decode photographs where the configuration does not say.
    """
    network, paths = decision.network, settings.paths
    how: How = "full" if decision.what == "full" else "adopted"
    training = train_hash(settings, manifest, network=network)
    ancestor, full_photos, first_weights = None, manifest.counts["train"], settings.training.weights
    specs: list[TrainSpec] = []
    if champion is not None and decision.what in {"keep", "continue"}:
        full_photos = champion.full_photos or full_photos
        first_weights = champion.first_weights or first_weights
    if decision.what == "keep" and champion is not None and champion.training is not None:
        how, training, ancestor = champion.how, champion.training, champion.ancestor
    elif decision.what == "continue" and champion is not None and champion.files is not None:
        specs = [
            continued_spec(settings, manifest, network=network, ancestor=champion.files, tags=tags, workers=workers)
        ]
        how, training, ancestor = "continued", specs[0].spec_hash, champion.version
    elif decision.what == "full":
        specs = full_specs(settings, manifest, network=network, tags=tags, workers=workers)
    folder = training_folder(paths, network=network, training=training, how=how)
    record = Production(
        how=how,
        network=network,
        spec_hash=training,
        folder=folder.relative_to(paths.data_root),
        dataset_version=manifest.dataset_version,
        ancestor=ancestor,
        full_photos=full_photos,
        first_weights=first_weights,
        reason=decision.reason,
    )
    return Plan(specs=specs, record=record)


def _research(settings: Settings, manifest: DatasetManifest) -> dict[NetworkName, float]:
    """Validation top-1 of the research networks with the first seed; empty unless all are trained and calibrated."""
    found: dict[NetworkName, float] = {}
    for name in NETWORKS:
        try:
            calibrated(settings, manifest, network=name)
            found[name] = trained(settings, manifest, network=name).metrics["top1"]
        except ChildError:
            return {}
    return found
