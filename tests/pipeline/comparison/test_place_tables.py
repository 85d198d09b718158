"""Place and season in words and tables: of networks that know places, and nothing of those that do not."""

import dataclasses
from html import unescape
from pathlib import Path

import pytest

from ml.spec import CalibrateResult
from pipeline.comparison.networks import NETWORKS
from pipeline.comparison.place_tables import gain_sentence, group_sentence, left_out, local_sentence
from pipeline.comparison.report import build_comparison
from pipeline.config.settings import Settings
from pipeline.launching.specs import calibrated
from pipeline.registry import card_words
from pipeline.registry.card_facts import card_facts
from pipeline.registry.card_page import card_page
from pipeline.registry.model_card import model_card
from tests.pipeline.place_results import accuracy_row, accuracy_rows, give_places
from tests.pipeline.trained import adopted, dataset, train_all


def rows(**changes: float) -> list[dict[str, object]]:
    return [dataclasses.asdict(one) for one in accuracy_rows(**changes)]


def test_the_gain_is_told_with_its_interval() -> None:
    assert gain_sentence(rows()) == (
        "Of 1,200 photographs that chose nothing, the most probable species is right for 50.0 % by the photograph "
        "alone, for 55.0 % with its place (+5.0 points, 95 % interval +3.0 to +7.0), and for 57.0 % with its place and "
        "date (+7.0 points, 95 % interval +5.0 to +9.0)."
    )
    assert group_sentence(rows()) == (
        "Among classes it adds most to Aves (+9.0 points, +7.0 to +11.0) and least to Magnoliopsida (+1.0 points, -1.0 "
        "to +3.0)."
    )
    few = [row | ({"photos": 29} if row["group"] == "Aves" else {}) for row in rows()]
    assert group_sentence(few) == ""


@pytest.mark.parametrize(
    ("far", "said"),
    [
        (0.065, "+6.5 points (+4.5 to +8.5) remain of +7.0: the gain comes from where and when species live"),
        (0.03, "+3.0 points (+1.0 to +5.0) remain of +7.0: part of the gain comes from records of the same spot"),
        (0.01, "+1.0 points (-1.0 to +3.0) remain of +7.0: the gain comes from records nearby"),
    ],
)
def test_one_sentence_says_how_local_the_gain_is(far: float, said: str) -> None:
    assert local_sentence(rows(far=far)).startswith(
        f"With all records within 50 km of each photograph left out, {said}"
    )


def test_a_gain_within_chance_is_called_so_and_no_curve_is_no_sentence() -> None:
    unsure = [dataclasses.asdict(accuracy_row("place", 0.01, grouping="left_out", km=km)) for km in (0, 50)]
    assert local_sentence(unsure).endswith("what it adds is within chance here.")
    assert (local_sentence([]), left_out([])) == ("", None)


def test_comparison_and_card_with_and_without_places(tmp_path: Path) -> None:
    settings = Settings(name="test", data_root=tmp_path)
    manifest = dataset(settings.paths)
    train_all(settings, manifest, dict.fromkeys(NETWORKS, 3.0))

    def card() -> tuple[str, str]:
        production = adopted(settings, manifest, network="multi_view")
        facts = card_facts(settings, manifest, production=production, commit="0123abcd")
        return model_card(facts), card_page(facts)

    before = build_comparison(settings, manifest)
    for text in (before.page.read_text("utf-8"), before.html.read_text("utf-8"), *card()):
        assert "Place and season" not in text
        assert "place_prior" not in text
    found: CalibrateResult = calibrated(settings, manifest, network="multi_view")
    report = found.report.read_text("utf-8")
    found.report.write_text(f"{report}\n## Place and season\n\nwhat the report says itself\n", encoding="utf-8")
    give_places(found, found.report.parent)
    after = build_comparison(settings, manifest)
    text = after.page.read_text("utf-8").partition("## Place and season")[2]
    for line in (
        "| two views | the photograph alone | 50.0 % (47.0 to 53.0) |  | 90.5 % (89.0 to 92.0) | 6.25 |",
        "| two views | with its place and date | 57.0 % (54.0 to 60.0) | +7.0 (+5.0 to +9.0) | 90.5 % (89.0 to 92.0) |",
        f"*two views*: {local_sentence(rows())}",
    ):
        assert line in text
    assert "one view (baseline)" not in text.partition("\n\n")[2].partition("\n\n")[0]
    page = after.html.read_text("utf-8").partition('<section aria-labelledby="places">')[2].partition("</section>")[0]
    assert page.count("data:image/png") == 1
    assert "57.0\N{NO-BREAK SPACE}%<br>" in page
    assert local_sentence(rows()) in page
    words, html = card()
    section = words.partition("\n## Place and season\n")[2].partition("\n## ")[0]
    assert local_sentence(rows()) in section
    assert "what the report says itself" not in words
    assert words.count("## Place and season") == 1
    for sentence in (*card_words.PLACE_MISUSES, card_words.PLACE_DATA):
        assert sentence in section
        assert sentence in unescape(html).replace("\N{NO-BREAK SPACE}", " ")
    page = html.partition('<section aria-labelledby="places">')[2].partition("</section>")[0]
    assert page.count("data:image/png") == 2
    assert "+5.0 to +9.0</span>" in page
