"""A check shows what it measured; one that fails names the rows that broke it."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from pipeline.config.settings import Settings, load_settings
from pipeline.defs import checks
from pipeline.defs.scope_resource import Scope
from tests.pipeline import tiny


@pytest.fixture
def scope(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    file = tmp_path / "scope.yaml"
    file.write_text(f"name: birds\ndata_root: {tmp_path / 'data'}\nsplit: {{min_images: 5}}\n")
    monkeypatch.setenv("NATUREWATCH_CONFIG", str(file))
    return load_settings()


def shown(check: dg.AssetChecksDefinition) -> tuple[bool, dict[str, Any]]:
    result = check(Scope())
    assert isinstance(result, dg.AssetCheckResult)
    return result.passed, {name: value.value for name, value in result.metadata.items()}


def contract_of(table: str) -> dg.AssetChecksDefinition:
    (found,) = (check for check in checks.contracts if check.check_key.asset_key == dg.AssetKey(table))
    return found


def test_a_contract_that_is_kept_says_how_much_was_checked(scope: Settings) -> None:
    tiny.write(scope.paths, "species", [tiny.species("Turdus merula", key="1")])
    passed, metadata = shown(contract_of("species"))
    assert passed
    assert metadata["rows"] == 1
    assert metadata["promises broken"] == 0
    assert "broken" not in metadata


def test_a_contract_that_is_broken_names_the_rows(scope: Settings) -> None:
    tiny.write(scope.paths, "species", [tiny.species("Turdus merula", key="1", photos=2, observations=3)])
    passed, metadata = shown(contract_of("species"))
    assert not passed
    assert metadata["promises broken"] == 1
    assert "taxon_key 1" in metadata["broken"]


def test_the_fewest_photographs_stand_beside_the_limit(scope: Settings) -> None:
    rows = [tiny.species("Turdus merula", key="1", photos=9), tiny.species("Nestor notabilis", key="2", photos=3)]
    tiny.write(scope.paths, "species", rows)
    passed, metadata = shown(checks.species_have_enough_photographs)
    assert not passed
    assert (metadata["species"], metadata["fewest photographs of a species"]) == (2, 3)
    assert metadata["limit (split.min_images)"] == 5
    assert metadata["broken"] == "- Nestor notabilis (2) has 3 photographs"
