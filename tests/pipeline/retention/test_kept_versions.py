"""Which model versions stay: the policy, case by case, and for any history."""

import datetime as dt
from typing import Any

import hypothesis
from hypothesis import strategies as st

from pipeline.config.upkeep import RetentionSettings
from pipeline.retention.kept_versions import Version, kept_versions
from pipeline.tracking import tags

NOW = dt.datetime(2026, 11, 26, tzinfo=dt.UTC)
POLICY = RetentionSettings(versions=1, champions=1, champion_days=366)


def version(number: int, *, promoted_days_ago: int | None = None, **changes: Any) -> Version:  # noqa: ANN401
    """A version with these tags (without their prefix) and facts."""
    facts = {name: changes.pop(name) for name in ("aliases", "pinned") if name in changes}
    own = {f"naturewatch.{name}": str(value) for name, value in changes.items()}
    if promoted_days_ago is not None:
        own[tags.PROMOTED_AT] = (NOW - dt.timedelta(days=promoted_days_ago)).isoformat()
    return Version(model="m", number=str(number), created=NOW, tags=own, **facts)


def kept(*versions: Version, policy: RetentionSettings = POLICY) -> dict[str, str]:
    return kept_versions(versions, policy=policy, now=NOW)


def test_aliases_pins_tags_and_the_newest_stay() -> None:
    versions = [
        version(1),
        version(2, aliases=frozenset({"champion"})),
        version(3, keep=""),
        version(4, pinned=True),
        version(5, aliases=frozenset({"mine", "challenger"})),
        version(6),
        version(7),
    ]
    assert kept(*versions) == {
        "7": "one of the newest 1",
        "5": "alias challenger and alias mine",
        "4": "pinned",
        "3": "tag naturewatch.keep",
        "2": "alias champion",
    }
    assert set(kept(*versions, policy=RetentionSettings(versions=2))) == {"7", "6", "5", "4", "3", "2"}


def test_numbers_count_and_not_letters() -> None:
    assert list(kept(*map(version, range(1, 12)))) == ["11"]


def test_a_champion_stays_until_a_year_after_it_was_replaced() -> None:
    replaced = version(1, promoted_days_ago=700), version(2, promoted_days_ago=300, replaced=1)
    assert set(kept(*replaced, version(3))) == {"1", "2", "3"}
    long_ago = (
        version(1, promoted_days_ago=2000),
        version(2, promoted_days_ago=1000, replaced=1),
        version(3, promoted_days_ago=900, replaced=2),
        version(4, promoted_days_ago=800, replaced=3, aliases=frozenset({"champion"})),
    )
    assert set(kept(*long_ago)) == {"4", "3"}
    assert set(kept(*long_ago, policy=RetentionSettings(versions=1, champions=2))) == {"4", "3", "2"}


def test_the_one_that_promote_previous_leads_to_stays_although_it_was_never_said_when_it_was_champion() -> None:
    versions = version(1), version(2), version(9, promoted_days_ago=900, replaced=1, aliases=frozenset({"champion"}))
    assert kept(*versions) == {"9": "alias champion", "1": "the champion before version 9"}


def test_what_a_version_was_trained_on_from_stays_back_to_the_first() -> None:
    versions = version(1), version(2, ancestor=1), version(3), version(4, ancestor=2), version(5, ancestor=99)
    assert kept(*versions) == {"5": "one of the newest 1"}
    assert kept(*versions[:4]) == {
        "4": "one of the newest 1",
        "2": "version 4 was trained on from it",
        "1": "version 2 was trained on from it",
    }


def test_a_date_that_nobody_can_read_is_none() -> None:
    assert set(kept(version(1, promoted_at="yesterday"), version(2))) == {"2"}


@st.composite
def histories(draw: st.DrawFn) -> list[Version]:
    """Versions with any tags, circles of ancestors and of replacements among them."""
    count = draw(st.integers(1, 12))
    one = st.none() | st.integers(1, count)
    found = []
    for number in range(1, count + 1):
        named = {name: draw(one) for name in ("ancestor", "replaced")}
        found.append(
            version(
                number,
                promoted_days_ago=draw(st.none() | st.integers(0, 1500)),
                aliases=draw(st.sampled_from([frozenset(), frozenset({"champion"})])),
                pinned=draw(st.booleans()),
                **{name: value for name, value in named.items() if value is not None},
                **draw(st.sampled_from([{}, {"keep": "1"}])),
            )
        )
    return found


@hypothesis.given(versions=histories(), policy=st.builds(RetentionSettings, versions=st.integers(1, 5)))
@hypothesis.settings(max_examples=80)
def test_whatever_happened_what_a_kept_version_leads_to_is_kept(
    versions: list[Version], policy: RetentionSettings
) -> None:
    known = {each.number: each for each in versions}
    found = kept(*versions, policy=policy)
    assert {each.number for each in versions if each.asked_for} <= found.keys()
    assert {str(len(versions))} <= found.keys() <= known.keys()
    for number in found:
        ancestor = known[number].tags.get(tags.ANCESTOR)
        assert ancestor is None or ancestor in found
        promoted = known[number].promoted
        if promoted is not None and (NOW - promoted).days < policy.champion_days:
            assert known[number].tags.get(tags.REPLACED) in {None, *found}
    # The order of the versions decides nothing.
    assert kept(*reversed(versions), policy=policy) == found
