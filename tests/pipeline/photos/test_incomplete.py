"""The record of an incomplete fetch, as the sensor that tries again reads it."""

import datetime as dt
import json
from collections.abc import Callable

import pytest

from pipeline.config.settings import Settings
from pipeline.errors import TableError
from pipeline.photos.incomplete import IncompleteFetch, IncompleteHost, remember

MOMENT = dt.datetime(2026, 9, 21, 14, 13, tzinfo=dt.UTC)
RECORD = IncompleteFetch(
    recorded_at=MOMENT,
    retry_at=MOMENT + dt.timedelta(hours=6),
    missing=7,
    hosts=(IncompleteHost(host="a.test", photos=7, closed=True, reason="a.test refuses every photograph"),),
    reason="7 of 10 photographs could not be fetched",
)


def test_the_record_stays_until_a_complete_fetch_removes_it(make_settings: Callable[..., Settings]) -> None:
    paths = make_settings().paths
    assert IncompleteFetch.read(paths) is None
    remember(paths, None)
    remember(paths, RECORD)
    assert IncompleteFetch.read(paths) == RECORD
    assert json.loads(paths.incomplete_fetch.read_text())["retry_at"] == "2026-09-21T20:13:00Z"
    remember(paths, None)
    assert IncompleteFetch.read(paths) is None


@pytest.mark.parametrize("content", ["", "{}", '{"retry_at": "tomorrow"}'])
def test_a_damaged_record_is_named(make_settings: Callable[..., Settings], content: str) -> None:
    paths = make_settings().paths
    paths.incomplete_fetch.parent.mkdir(parents=True)
    paths.incomplete_fetch.write_text(content)
    with pytest.raises(TableError, match=r"incomplete\.json.*remove it"):
        IncompleteFetch.read(paths)
