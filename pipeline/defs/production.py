"""Group `release`, first half: the one network that users get, made at a cost in proportion to what changed."""

from typing import Final

import dagster as dg

from pipeline.comparison.networks import NETWORKS
from pipeline.dataset.manifest import DatasetManifest
from pipeline.defs.evaluation import COMPARED
from pipeline.defs.evaluation import DATASET as JUDGED
from pipeline.defs.logged import dataset_pages, pages
from pipeline.defs.metadata import Metadata, result
from pipeline.defs.mlflow_runs import mlflow_answers, run_tags
from pipeline.defs.scope_resource import Scope
from pipeline.defs.stages import (
    calibration_metadata,
    calibration_version,
    run_stage,
    training_metadata,
    weights_version,
)
from pipeline.defs.together import PROCESSOR, TRAININGS
from pipeline.files import digest_of
from pipeline.launching.gpus import decoding_workers, reserved
from pipeline.pages.dataset_page import show_accuracy
from pipeline.production.choice import choose
from pipeline.production.plan import facts_of, plan
from pipeline.production.production_specs import calibration_spec, is_calibrated, is_trained, production_calibration
from pipeline.production.record import Production
from pipeline.registry.ancestor import champion_facts
from pipeline.tracking.runs import dataset_run

RESEARCH: Final = dg.AssetSelection.assets("genus_stage", *COMPARED, "comparison")
"""The paper's networks side by side: trained from nothing, and not with every refresh."""
REFRESH: Final = dg.AssetSelection.all() - RESEARCH
"""From GBIF's download to the served model, with one network."""


@dg.asset(
    kinds={"pytorch", "mlflow"},
    deps=[
        "clean_occurrences", "taxonomy", "class_map", "split", "genus_photos", "training_photos", "manifest", *COMPARED,
        "comparison",
    ],
    pool=TRAININGS,
    code_version="1",
)  # fmt: skip
def production(
    context: dg.AssetExecutionContext, scope: Scope, pipes: dg.PipesSubprocessClient
) -> dg.MaterializeResult[None]:
    """The training that is released next.

    The best of the comparison, where it is of this dataset version; otherwise training goes on from the champion in a
    third of the steps; without a champion, or with many more photographs than at the last training from nothing, it
    begins from nothing. Where nothing changed, nothing is trained.
    """
    settings = scope.settings()
    mlflow_answers(settings)
    manifest, champion = DatasetManifest.read(settings.paths), champion_facts(settings)
    decision = choose(facts_of(settings, manifest, champion))
    context.log.info(decision.reason)
    processes = settings.training.processes
    made = plan(
        settings, manifest, champion, decision,
        tags=run_tags(settings, context), workers=decoding_workers(processes=processes),
    )  # fmt: skip
    waiting = [spec for spec in made.specs if not is_trained(spec)]
    if waiting:
        with reserved(processes=processes, what=f"{settings.name}: production", say=context.log.info) as devices:
            for spec in waiting:
                run_stage(spec, stage="train", context=context, pipes=pipes, processes=processes, variables=devices)
    record, trained = made.record, made.record.training(settings.paths)
    record.write(settings.paths)
    # The species table of the dataset page says from now on how often each species is right.
    if waiting and (shown := show_accuracy(settings.paths, settings)) is not None:
        pages(settings, dataset_run(settings, manifest, tags={}), dataset_pages(shown))
    version = digest_of(record.model_dump(mode="json", exclude={"reason"}), weights_version([trained]))
    metadata = {**_origin(record), **training_metadata(settings, [trained])}
    return result(context, settings, data_version=version, metadata=metadata)


@dg.asset(op_tags=PROCESSOR, kinds={"numpy", "mlflow"}, deps=[*JUDGED, "production"], code_version="1")
def specificity_production(
    context: dg.AssetExecutionContext, scope: Scope, pipes: dg.PipesSubprocessClient
) -> dg.MaterializeResult[None]:
    """The threshold of `production` that meets the target accuracy, measured on photographs not used for it."""
    settings = scope.settings()
    mlflow_answers(settings)
    manifest, record = DatasetManifest.read(settings.paths), Production.read(settings.paths)
    spec = calibration_spec(settings, manifest, record, tags=run_tags(settings, context))
    if not is_calibrated(spec):
        run_stage(spec, stage="calibrate", context=context, pipes=pipes)
    found = production_calibration(settings, record)
    metadata = calibration_metadata(settings, [found])
    return result(context, settings, data_version=calibration_version([found]), metadata=metadata)


def _origin(record: Production) -> dict[str, Metadata]:
    """Where the training comes from, for people."""
    beginnings = {
        "adopted": "from nothing, for the comparison",
        "continued": f"from version {record.ancestor}",
        "full": "from nothing",
    }
    return {
        "why": record.reason,
        "network": NETWORKS[record.network].title,
        "trained": beginnings[record.how],
        "training photographs at the last training from nothing": record.full_photos,
    }
