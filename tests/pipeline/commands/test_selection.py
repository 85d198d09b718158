"""An asset selection is read whole, or refused with what was probably meant."""

import pytest

from pipeline.commands.selection import assets_of
from pipeline.definitions import defs
from pipeline.errors import ConfigurationError

GRAPH = defs.resolve_asset_graph()
RELEASE = {"production", "specificity_production", "candidate", "exam_answers", "champion", "report"}


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        ("photos", {"photos"}),
        ("key:photos or key:species", {"photos", "species"}),
        ("group:release", RELEASE),
        ("group:release and not key:champion", RELEASE - {"champion"}),
        ("key:candidate+", {"candidate", "exam_answers", "champion", "report"}),
        ("key:cand*", {"candidate"}),
    ],
)
def test_a_selection_is_what_it_names(selection: str, names: set[str]) -> None:
    assert {key.to_user_string() for key in assets_of(selection, graph=GRAPH)} == names


def test_a_star_is_everything_that_can_be_made() -> None:
    assert assets_of("*", graph=GRAPH) == GRAPH.materializable_asset_keys


def test_what_is_only_watched_cannot_be_made() -> None:
    with pytest.raises(ConfigurationError, match="selects no asset that a run makes"):
        assets_of("gbif_records", graph=GRAPH)


@pytest.mark.parametrize(
    ("selection", "reason"),
    [
        ("photoz", "did you mean photos?"),
        ("key:photos or key:splitt", 'key:"splitt" selects no asset; did you mean split?'),
        ("key:splitt+", "did you mean split?"),
        ("key:photos and not key:splitt", "did you mean split?"),
        ("group:ingets", "did you mean group:ingest?"),
        ("group:nonsense", "the groups are dataset, evaluation, ingest, release, training"),
        ("key:dataset", "group:dataset"),
        ("group:ingest and group:dataset", "selects no asset"),
        ("group:(", "cannot be read"),
        ("photos, species", "a name takes key:"),
    ],
)
def test_what_selects_nothing_is_refused_with_what_was_meant(selection: str, reason: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        assets_of(selection, graph=GRAPH)
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)
