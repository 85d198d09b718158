"""Whatever JSON comes over HTTP as answers and options becomes a file or one sentence."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ml.exports import FORMATS, ExportError, ExportOptions, write
from tests.ml.exports.test_camtrap_dp import METADATA, ROW
from tests.ml.exports.test_darwin_core import GREY_WARBLER, answered

TEXT = st.text(st.characters(exclude_categories=()), max_size=5) | st.sampled_from(
    ["a.jpg", "root", "species", "x/../y"]
)
VALUE: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
SOUND = answered(GREY_WARBLER)
OPTIONS: dict[str, Any] = {
    "deployments": [ROW], "metadata": METADATA, "captured": {"IMG_1.jpg": "2026-11-02T06:07:08Z"},
    "identified": datetime(2026, 11, 26, tzinfo=UTC).isoformat(), "timezone": "Z",
    "occurrences": {}, "region": [0, 0, 1, 1],
    "model_uri": "x:y", "references": "z",
}  # fmt: skip


@st.composite
def changed(draw: st.DrawFn, sound: dict[str, Any]) -> Any:  # noqa: ANN401 (JSON)
    """The object with other values in a few places, at any depth."""
    changes = {name: draw(VALUE | changed_deep(sound[name])) for name in draw(st.sets(st.sampled_from(sorted(sound))))}
    return {**sound, **changes}


def changed_deep(value: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401 (JSON)
    if isinstance(value, dict) and value:
        return changed(value)
    if isinstance(value, list) and value:
        return st.lists(changed_deep(value[0]), max_size=3)
    return VALUE


@settings(max_examples=80, deadline=None)
@given(answer=changed(SOUND) | VALUE, options=changed(OPTIONS) | VALUE, name=st.sampled_from(sorted(FORMATS)))
def test_anything_becomes_a_file_or_a_sentence(answer: Any, options: Any, name: str) -> None:  # noqa: ANN401 (JSON)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"out{FORMATS[name].suffix}")
        try:
            written = write(format=name, answers=[answer], path=path, options=ExportOptions.of(options))
        except ExportError as error:
            assert str(error)  # noqa: PT017 (either will do)
            assert list(Path(folder).iterdir()) == []
        else:
            assert written.answered + written.unanswered == 1
            assert path.stat().st_size > 0
