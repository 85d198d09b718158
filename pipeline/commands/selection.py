"""Reads an asset selection in Dagster's syntax, and reports the parts that select nothing."""

import difflib
import warnings
from collections.abc import Iterator

import dagster as dg
from dagster._core.definitions.asset_selection import (
    ChainedAssetSelection,
    OperandListAssetSelection,
    SubtractAssetSelection,
)
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from pipeline.errors import ConfigurationError


def assets_of(selection: str, *, graph: AssetGraph) -> frozenset[dg.AssetKey]:
    """The assets of a selection.

    Args:
        selection: As `*`, `photos`, `key:photos+` or `group:ingest or group:dataset`.
        graph: The assets to select from.

    Raises:
        ConfigurationError: the selection is malformed or empty, or a part of it selects nothing.
    """
    try:
        with warnings.catch_warnings():
            # Dagster's parser of selections is marked as beta.
            warnings.simplefilter("ignore", category=dg.BetaWarning)
            parsed = dg.AssetSelection.from_string(selection)
    except (dg.DagsterError, ValueError) as error:
        raise ConfigurationError(
            f"the selection {selection!r} cannot be read; in one of several parts a name takes key:, as in "
            "'key:photos or group:dataset'"
        ) from error
    for part in _parts(parsed):
        if not part.resolve(graph, allow_missing=True):
            text = part.to_selection_str()
            raise ConfigurationError(
                f"the selection {selection!r} cannot be used: {text} selects no asset{_near(text, graph=graph)}"
            )
    keys = parsed.resolve(graph)
    if not keys:
        raise ConfigurationError(f"the selection {selection!r} selects no asset")
    keys &= graph.materializable_asset_keys
    if not keys:
        raise ConfigurationError(f"the selection {selection!r} selects no asset that a run makes: it is only watched")
    return frozenset(keys)


def _parts(selection: dg.AssetSelection) -> Iterator[dg.AssetSelection]:
    """The innermost selections, which name assets, groups, kinds, ..."""
    match selection:
        case OperandListAssetSelection():
            inner = list(selection.operands)
        case SubtractAssetSelection():
            inner = [selection.left, selection.right]
        case ChainedAssetSelection():
            inner = [selection.child]
        case _:
            yield selection
            return
    for each in inner:
        yield from _parts(each)


def _near(text: str, *, graph: AssetGraph) -> str:
    """Names similar to the one that selects nothing, or else all groups."""
    assets = {key.to_user_string() for key in graph.get_all_asset_keys()}
    groups = {graph.get(key).group_name for key in graph.get_all_asset_keys()}
    attribute, _, value = text.rpartition(":")
    name = value.strip("\"'*+")
    names = [f"group:{group}" for group in difflib.get_close_matches(name, groups, n=2)]
    if attribute != "group":
        names = [*difflib.get_close_matches(name, assets, n=3), *names]
    return f"; did you mean {' or '.join(names)}?" if names else f"; the groups are {', '.join(sorted(groups))}"
