"""When an asset is made anew without being asked for: conditions on data versions, and which asset has which."""

from typing import Any, Final

import dagster as dg
from dagster import AutomationCondition as When

FOLLOWS_TRAINING: Final = ("specificity_production", "candidate", "exam_answers", "champion")
"""What a new training of the production network is carried on to, in one run with it."""
COSTLY: Final = ("production", "suspects")
"""What learns from all photographs: a GPU's time is spent on a dataset that has changed, never on one that may."""
INGEST: Final = dg.AssetSelection.groups("ingest")
"""Records and photographs, which the clock starts."""
RESEARCH: Final = dg.AssetSelection.groups("training", "evaluation")
"""The networks of the paper and their comparison: a person may train them, and need not."""


def upstream_data_changed(*, within: dg.AssetSelection) -> When[dg.AssetKey]:
    """Whether something that the asset is made of has another content than when it was last asked for.

    It fires when

    - a dependency among `within` was made again with another data version, or
    - such a dependency is asked for at this moment: all that follows it is then made in the same run, or
    - the code version of the asset has changed.

    It does not fire when

    - a dependency was made again with the same data version: the same snapshot twice asks for nothing;
    - the run that made the dependency was to make this asset too, whether it came that far or not: a whole refresh is
      not repeated piece by piece, and what a person ends stays ended;
    - a dependency is missing: what never was made is first made by a person; the networks of the paper may be missing,
      as the production network does without them;
    - a blocking check of a dependency failed, or has never run; it fires once the check passes, or goes along when the
      dependency is made again, in a run that the check stops where it fails again;
    - this asset, or a dependency, is being made: it fires once that has ended. Of two dependencies that one run
      renews one after the other the asset hears once;
    - the run that it asked for has failed: a failure is repaired by a person, or followed by the next change.

    What is noticed while it may not fire is kept until it may, or until somebody has made the asset. Where a change
    and the making of the asset are noticed together, as after a time without the daemon, it fires: a run may then find
    that nothing is left to do, but no change is overlooked.

    Args:
        within: The dependencies that count.
    """
    changed = When.data_version_changed() & ~When.executed_with_root_target()
    return _fires_on(
        When.any_deps_match(changed | When.will_be_requested()).allow(within), label="upstream data changed"
    )


def finished_data_changed(*, within: dg.AssetSelection) -> When[dg.AssetKey]:
    """As `upstream_data_changed`, but only for what has been made: it never goes along in the run that makes it.

    For assets that spend a GPU's time, and for what reads a dataset beside a training of it: a dataset that is made
    again and comes out the same costs nothing.
    """
    changed = When.data_version_changed() & ~When.executed_with_root_target()
    fires = _fires_on(When.any_deps_match(changed).allow(within), label="finished upstream data")
    return (fires & ~When.any_deps_match(When.will_be_requested())).with_label("finished upstream data changed")


def _fires_on(news: When[Any], *, label: str) -> When[dg.AssetKey]:
    # As `since_last_handled`, except where news and an update of the asset are noticed together: which came first is
    # then not known, and the news would be lost. Runs of a scope follow one another (`pipeline.launching.run_lock`),
    # so an update that is noticed later was made with what had been noticed before.
    updated = (When.newly_updated() & ~news).with_label("updated since")
    handled = (When.newly_requested() | updated | When.initial_evaluation()).with_label("handled")
    # Checks go along with their asset: those of one that is asked for now stop the run where they fail. Dagster's
    # `all_deps_blocking_checks_passed` counts only checks with conditions of their own among what is asked for.
    passed = When.all_checks_match(When.check_passed(), blocking_only=True)
    checked = When.all_deps_match(When.will_be_requested() | passed).with_label("dependencies checked")
    return (
        (news | When.code_version_changed()).since(handled)
        & checked
        & ~When.any_deps_missing().ignore(RESEARCH)
        & ~When.any_deps_in_progress()
        & ~When.in_progress()
    ).with_label(label)


DATASET: Final = upstream_data_changed(within=dg.AssetSelection.groups("ingest", "dataset"))
"""Tables and pages of the dataset: one run makes all that follows from new photographs or records."""
TRAINING: Final = finished_data_changed(within=dg.AssetSelection.all() - INGEST)
"""What is in `COSTLY`: records and photographs count only by the dataset that is made of them. What a person has learnt
from the networks of the paper counts as a change: their best one may then be released, untrained."""
RELEASE: Final = upstream_data_changed(within=dg.AssetSelection.assets("production", *FOLLOWS_TRAINING))
"""From a training to the champion: it follows the training, and reads a dataset only through it."""
PLACED: Final = RELEASE | finished_data_changed(within=dg.AssetSelection.assets("places"))
"""A calibration: it follows the training, and places that have changed where nothing else has. A run that makes a
dataset anew does not calibrate a network of the one before."""

REPORT: Final = upstream_data_changed(within=dg.AssetSelection.assets("exam_answers", "champion"))
"""The report: once it is decided about a version."""


def automated(spec: dg.AssetSpec) -> dg.AssetSpec:
    """An asset with its condition.

    None for the group `ingest`, which the clock starts, nor for the networks of the paper and their comparison, which
    a person starts.
    """
    name = spec.key.to_user_string()
    if name in COSTLY:
        condition: When[dg.AssetKey] | None = TRAINING
    elif name == "specificity_production":
        condition = PLACED
    elif name in FOLLOWS_TRAINING:
        condition = RELEASE
    elif name == "report":
        condition = REPORT
    else:
        condition = DATASET if spec.group_name == "dataset" else None
    return spec.replace_attributes(automation_condition=condition)
