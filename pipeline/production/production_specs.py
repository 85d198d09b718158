"""The specifications of a production training: from nothing or from the champion, and of its calibration."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ml.spec import (
    NETWORK_TITLES,
    RESULT_FILE,
    CalibrateResult,
    CalibrateSpec,
    NetworkName,
    TrainResult,
    TrainSpec,
    WarmStart,
)
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest, content_hash
from pipeline.errors import ChildError
from pipeline.files import atomic_path, digest_of, work_folder
from pipeline.history.class_maps import build_class_map, kept_tree
from pipeline.launching.calibration_inputs import identity_of
from pipeline.launching.specs import (
    bare_spec,
    calibration_of,
    deciding,
    hash_of_calibration,
    result_of,
    train_specs,
)
from pipeline.paths import Paths
from pipeline.production.record import How, Production
from pipeline.tracking.runs import tracking_spec
from pipeline.tracking.tags import ANCESTOR, HOW, NETWORK

CONTINUING_CODE: Final = "1"
"""Raised by hand when a change of how training goes on from a network should train again on unchanged data."""
STAGE: Final = "production"
"""Tag `naturewatch.stage` of a training that went on from the champion, and the folder of such trainings."""


@dataclass(frozen=True, kw_only=True)
class Ancestor:
    """A registered version on this machine, from which training goes on."""

    version: str
    network: Path
    """`network.json`."""
    weights: Path
    """`weights.safetensors`."""
    taxonomy: Path
    """`taxonomy.parquet`: its classes."""
    identity: str
    """Spec hash of its training; of a version of earlier code, that of its registration."""


def training_folder(paths: Paths, *, network: NetworkName, training: str, how: How) -> Path:
    """Where a training is kept: one that went on from another lies apart from the research networks.

    Args:
        paths: The paths of the scope.
        network: What was trained.
        training: Its spec hash.
        how: How it came about.
    """
    return paths.model(STAGE if how == "continued" else network, training)


def full_specs(
    settings: Settings, manifest: DatasetManifest, *, network: NetworkName, tags: Mapping[str, str], workers: int | None
) -> list[TrainSpec]:
    """The trainings that make a network from nothing, one after the other: those of research, with the first seed."""
    before: list[NetworkName] = ["genus_stage"] if network == "knowledge_transfer" else []
    seed, said = settings.training.seed, {**tags, HOW: "full"}
    return [
        spec
        for name in (*before, network)
        for spec in train_specs(settings, manifest, network=name, seed=seed, tags=said, workers=workers)
    ]


def continued_spec(
    settings: Settings,
    manifest: DatasetManifest,
    *,
    network: NetworkName,
    ancestor: Ancestor,
    tags: Mapping[str, str],
    workers: int | None,
) -> TrainSpec:
    """The training that goes on from a registered version; writes the class map that leads from its classes to these.

    Its hash covers what decides the outcome: the ancestor, the class map, the dataset version, settings and code.
    """
    paths = settings.paths
    with work_folder(paths.work("production")) as scratch:
        tree = kept_tree(paths, ancestor.taxonomy)
        built = build_class_map(paths, settings, tree=tree, output=scratch / "class_map.parquet")
        start = WarmStart(
            network=ancestor.network, weights=ancestor.weights, taxonomy=ancestor.taxonomy, class_map=built
        )
        spec_hash = digest_of(
            CONTINUING_CODE, deciding(settings, manifest, network=network), ancestor.identity, tree,
            content_hash(built), start.mixing, start.share,
        )  # fmt: skip
        output = training_folder(paths, network=network, training=spec_hash, how="continued")
        with atomic_path(output / "class_map.parquet") as partial:
            shutil.copyfile(built, partial)
    title = f"{NETWORK_TITLES[network]}, continued from version {ancestor.version}"
    said = {**tags, HOW: "continued", ANCESTOR: ancestor.version, NETWORK: network}
    spec = bare_spec(
        settings,
        network=network,
        spec_hash=spec_hash,
        output=output,
        tracking=tracking_spec(settings, manifest, stage=STAGE, title=title, tags=said),
    )
    start = start.model_copy(update={"class_map": output / "class_map.parquet"})
    return spec.model_copy(update={"warm_start": start, "workers": workers if spec.workers is None else spec.workers})


def is_trained(spec: TrainSpec) -> bool:
    """Whether a training has come to its end and its weights are there, so that no process need be started for it."""
    try:
        return result_of(TrainResult, spec.output / RESULT_FILE).weights.is_file()
    except ChildError:
        return False


def is_calibrated(spec: CalibrateSpec) -> bool:
    """Whether a calibration has come to its end, with the places that are known now, and can be read.

    No process need be started for it then.
    """
    try:
        return identity_of(result_of(CalibrateResult, spec.output / RESULT_FILE)) == spec.spec_hash
    except ChildError:
        return False


def calibration_spec(
    settings: Settings, manifest: DatasetManifest, production: Production, *, tags: Mapping[str, str]
) -> CalibrateSpec:
    """The calibration of the production training; that of a research network is the same one.

    Raises:
        ChildError: the training has no result.
    """
    continued, title = production.how == "continued", NETWORK_TITLES[production.network]
    if continued:
        title += f", continued from version {production.ancestor}"
    return calibration_of(
        settings,
        production.training(settings.paths),
        network=production.network,
        spec_hash=hash_of_calibration(settings, training=production.spec_hash),
        output=_calibrated(settings, production),
        tracking=tracking_spec(
            settings,
            manifest,
            stage=f"specificity_{STAGE if continued else production.network}",
            title=f"specificity of {title}",
            tags={**tags, NETWORK: production.network} if continued else tags,
        ),
    )


def production_calibration(settings: Settings, production: Production) -> CalibrateResult:
    """The finished calibration of the production training.

    Raises:
        ChildError: it is missing, damaged, or was written by another version.
    """
    return result_of(CalibrateResult, _calibrated(settings, production) / RESULT_FILE)


def calibration_folder(settings: Settings, *, network: NetworkName, training: str, how: How) -> Path:
    """Where the calibration of a training is kept, as the settings ask for it; arguments as for `training_folder`."""
    kept = STAGE if how == "continued" else network
    return settings.paths.evaluation(kept, hash_of_calibration(settings, training=training))


def _calibrated(settings: Settings, production: Production) -> Path:
    return calibration_folder(settings, network=production.network, training=production.spec_hash, how=production.how)
