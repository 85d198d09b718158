"""How old an asset may be before the UI warns: policies that follow the schedule. They warn, and stop nothing."""

import datetime as dt
import itertools
from typing import Final

import dagster as dg
from dagster._utils.schedules import cron_string_iterator

from pipeline.config.settings import load_settings

DAY: Final = dt.timedelta(days=1)
"""What a run may take, photographs included, and a person to notice."""
TICKS: Final = 60
"""Ticks of the schedule that are looked at: more than a year of a weekly one."""


def longest_pause(cron: str) -> dt.timedelta:
    """The longest time between two ticks of a schedule."""
    moments = cron_string_iterator(dt.datetime(2026, 1, 1, tzinfo=dt.UTC).timestamp(), cron, "UTC")
    ticks = itertools.islice(moments, TICKS)
    return max(after - before for before, after in itertools.pairwise(ticks))


PAUSE: Final = longest_pause(load_settings().refresh.cron)
POLICIES: Final = {
    # The clock renews it at every tick: a warning says that one was missed, a failure that the next one was, too.
    "occurrences": dg.FreshnessPolicy.time_window(warn_window=PAUSE + DAY, fail_window=2 * PAUSE + DAY),
    # It is renewed only where the dataset changed and the gate let the model pass.
    "champion": dg.FreshnessPolicy.time_window(warn_window=5 * PAUSE, fail_window=13 * PAUSE),
}
"""By asset. `champion`: of a weekly schedule, a month and a quarter in which users got no new model."""


def watched(spec: dg.AssetSpec) -> dg.AssetSpec:
    """An asset with its policy, if it has one."""
    policy = POLICIES.get(spec.key.to_user_string())
    return spec if policy is None else spec.replace_attributes(freshness_policy=policy)
