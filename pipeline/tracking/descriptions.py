"""What MLflow's UI says, in words, of an experiment, a registered model and a run: names and descriptions in Markdown.

What a person has written there stays. All follows from a run's tags, so that runs of earlier versions get theirs.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, cast

from ml.spec import MODEL_DESCRIPTION, NETWORK_TITLES, NetworkName, run_name
from pipeline.config.settings import Settings
from pipeline.tracking.tags import ANCESTOR, NETWORK

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

NOTE: Final = "mlflow.note.content"
"""The tag of an experiment or a run that MLflow's UI shows as its description."""
DATASET_STAGE: Final = "dataset"
"""Tag `naturewatch.stage` of the parent run."""
COMPARISON_STAGE: Final = "comparison"
"""Tag `naturewatch.stage` of the run that holds the networks side by side."""
CANDIDATE_STAGE: Final = "candidate"
"""Tag `naturewatch.stage` of the run that a model version belongs to."""
SPECIFICITY: Final = "specificity_"
"""Begins the tag `naturewatch.stage` of a calibration; the network follows."""
EXPERIMENT: Final = (
    "Datasets of NatureWatch and the networks trained on them: the `+` before a dataset unfolds its runs.\n\n"
    "Each run called *dataset* is one version of the data. The runs below it are what was made of it: one for each "
    "network, for the calibration of its specificity, for the comparison of all networks, and for each model "
    "version in the registry. A run's tab *Artifacts* holds its reports, figures and tables; its tag `dagster.run_url` "
    "leads to the Dagster run that made it."
)
DEFAULT: Final = "MLflow makes this experiment by itself, and NatureWatch leaves it empty. Its runs are in *{name}*."


def title_of(stage: str) -> str:
    """What a stage does, for people: `two views`, `specificity of two views`."""
    if stage.startswith(SPECIFICITY):
        return f"specificity of {title_of(stage.removeprefix(SPECIFICITY))}"
    return NETWORK_TITLES.get(cast("NetworkName", stage), stage)


def name_of(tags: Mapping[str, str], *, started_ms: int) -> str:
    """The name of a run, by its tags: `two views: sample 2026-11-26`.

    Args:
        tags: The run's.
        started_ms: When it began, in milliseconds since 1970.
    """
    stage = tags["naturewatch.stage"]
    title = title_of(stage)
    if stage == DATASET_STAGE:
        title += f" {tags['naturewatch.dataset_version'][:8]}"
    if stage == CANDIDATE_STAGE and "naturewatch.network" in tags:
        title += f", {title_of(tags['naturewatch.network'])}"
    return run_name(scope=tags.get("naturewatch.scope", ""), title=title, started_ms=started_ms)


def description_of(stage: str, tags: Mapping[str, str]) -> str:
    """What a run is, in Markdown: its subject and scope, what its numbers are, where its report is.

    Args:
        stage: The run's tag `naturewatch.stage`.
        tags: At least `naturewatch.scope` and `naturewatch.dataset_version`.
    """
    data = f"dataset version `{tags['naturewatch.dataset_version']}` of the scope **{tags['naturewatch.scope']}**"
    if stage == DATASET_STAGE:
        source = tags.get("naturewatch.source")
        return (
            f"The photographs that networks are trained on: {data}.\n\n"
            + (f"Source: {source}\n\n" if source else "")
            + "The counts are rows after each step of the pipeline (`count/...`) and rows that a rule removed "
            "(`rejected/...`). Page, pictures and tables: tab *Artifacts*. The networks trained on this version, "
            "their calibrations and their comparison are nested in this run."
        )
    if stage == COMPARISON_STAGE:
        return (
            f"All networks side by side, trained and calibrated on {data}.\n\n"
            "Report with tables and figures: tab *Artifacts*, `comparison`."
        )
    if stage == CANDIDATE_STAGE:
        return (
            f"A version of the registered model: a network trained on {data}, with its thresholds.\n\n"
            "Its model card: tab *Artifacts*, folder `card`, and the page of the model version."
        )
    if stage.startswith(SPECIFICITY):
        network = title_of(tags.get(NETWORK, stage.removeprefix(SPECIFICITY)))
        return (
            f"How precise the answers of the network *{network}* may be, for {data}.\n\n"
            "The threshold is chosen on one half of the validation photographs (`calibration/...`) and judged on the "
            "other (`evaluation/...`); `at_90/...` is what is kept when 90 % right answers are asked for. Depth counts "
            "ranks: kingdom 1, genus 6, species 7. Report: tab *Artifacts*, `operating_points`."
        )
    began = f", going on from version {tags[ANCESTOR]} of the registered model" if ANCESTOR in tags else ""
    return (
        f"The network *{title_of(tags.get(NETWORK, stage))}*, trained on {data}{began}.\n\n"
        "`epoch/...` and `step/...` are curves over training; validation is measured there on the half of the "
        "validation photographs on which thresholds are chosen. `final/...` is what the finished network reaches on "
        "all validation photographs, `final/train/...` on training photographs. Figures and tables: tab *Artifacts*."
    )


def describe(connected: "MlflowClient", experiment_id: str, *, settings: Settings, own_store: bool) -> None:
    """Describe the experiment, the registered model and runs of earlier versions, where they are not described yet.

    Args:
        connected: A client of the store.
        experiment_id: The experiment's identifier.
        settings: The configuration.
        own_store: Whether the store is NatureWatch's alone, and not a server that others may use.
    """
    _describe_experiment(connected, experiment_id, EXPERIMENT)
    default = connected.get_experiment_by_name("Default") if own_store else None
    if default is not None and str(default.experiment_id) != experiment_id:
        _describe_experiment(connected, str(default.experiment_id), DEFAULT.format(name=settings.registry.experiment))
    name = settings.registry.model_name.replace("'", "''")
    for model in connected.search_registered_models(f"name = '{name}'"):
        if not model.description:
            connected.update_registered_model(model.name, MODEL_DESCRIPTION)
    for run in _named_by_stage(connected, experiment_id):
        run_id, tags = run.info.run_id, run.data.tags
        connected.update_run(run_id, name=name_of(tags, started_ms=run.info.start_time))
        if NOTE not in tags:
            connected.set_tag(run_id, NOTE, description_of(tags["naturewatch.stage"], tags))


def _describe_experiment(connected: "MlflowClient", experiment_id: str, words: str) -> None:
    if NOTE not in connected.get_experiment(experiment_id).tags:
        connected.set_experiment_tag(experiment_id, NOTE, words)


def _named_by_stage(connected: "MlflowClient", experiment_id: str) -> "list[Run]":
    """Runs that an earlier version named: by their stage alone, or `dataset 92a64784`."""
    stages = [*NETWORK_TITLES, *(f"{SPECIFICITY}{name}" for name in NETWORK_TITLES), COMPARISON_STAGE, CANDIDATE_STAGE]
    # One question for each name: servers know no `OR`, and only recent ones know `IS NULL`.
    conditions = [*(f"= '{stage}'" for stage in stages), f"LIKE '{DATASET_STAGE} ________'"]
    found: list[Run] = []
    for condition in conditions:
        page = connected.search_runs([experiment_id], filter_string=f"attributes.run_name {condition}")
        found += page
        while page.token:
            page = connected.search_runs(
                [experiment_id], filter_string=f"attributes.run_name {condition}", page_token=page.token
            )
            found += page
    return [run for run in found if {"naturewatch.stage", "naturewatch.scope"} <= run.data.tags.keys()]
