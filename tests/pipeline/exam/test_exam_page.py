"""The page on the exam says what was decided and why, for every kind of decision."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from PIL import Image

from ml.spec import ExamResult, VersionAnswers
from pipeline.config.settings import Settings
from pipeline.exam.exam_page import ExamReport, build_exam_page
from pipeline.exam.judgement import decide
from tests.pipeline.exam.answered import SPECIES, answers, mistaken, write_tree
from tests.pipeline.pages.browser import chromium
from tests.pipeline.report_pages import stumbling_blocks


@pytest.fixture
def page(settings: Settings, tmp_path: Path) -> Callable[..., tuple[ExamReport, str]]:
    write_tree(settings)

    def make(
        challenger: VersionAnswers, champion: VersionAnswers | None, best: VersionAnswers | None = None
    ) -> tuple[ExamReport, str]:
        result = ExamResult(challenger=challenger, champion=champion, best=best)
        found = decide(settings, result, exam=4, versions={})
        report = build_exam_page(settings, found, dataset_version="abc", written=date(2026, 11, 26))
        return report, " ".join(report.html.read_text(encoding="utf-8").replace("\N{NO-BREAK SPACE}", " ").split())

    return make


def test_a_refusal_is_shown_with_its_reasons_numbers_and_pictures(
    page: Callable[..., tuple[ExamReport, str]], tmp_path: Path
) -> None:
    report, html = page(
        answers(tmp_path, "7", wrong=mistaken(0.3), unknown=[SPECIES[3]]),
        answers(tmp_path, "5", wrong=mistaken(0.25)),
        answers(tmp_path, "2", wrong=mistaken(0.2)),
    )
    assert "Version 7 was refused; version 5 stays." in html
    assert "Against the champion, version 5" in html
    assert "Against the best of the last year, version 2" in html
    assert "and at most 1.0 may be lost" in html
    assert html.count(">failed<") >= 2
    assert "Both answered 300 photographs of 3 species that both know." in html
    assert '<th scope="row">version 5</th> <td class="number">1</td> <td class="number">100</td>' in html
    assert list(report.pictures) == [
        "Against the champion, version 5",
        "Against the best of the last year, version 2",
    ]
    for picture in report.pictures.values():
        with Image.open(picture) as drawn:
            assert drawn.width > 900
        assert picture.with_suffix(".svg").exists()


def test_the_first_champion_has_its_own_numbers(page: Callable[..., tuple[ExamReport, str]], tmp_path: Path) -> None:
    report, html = page(answers(tmp_path, "1", wrong=mistaken(0.25)), None)
    assert "Version 1 passed." in html
    assert "version 1 is the first champion" in html
    assert "top-1 75.0 % (" not in html, "the table has it, and no list beside it"
    assert '<th scope="row">top-1</th> <td class="number">75.0 %</td>' in html
    assert not report.pictures


def test_nothing_stops_a_reader_on_the_way_to_the_report(
    page: Callable[..., tuple[ExamReport, str]], tmp_path: Path
) -> None:
    report, html = page(answers(tmp_path, "7", wrong=mistaken(0.3)), answers(tmp_path, "5", wrong=mistaken(0.2)))
    assert '<a href="report.html">Report</a>' in html
    with chromium() as browser:
        assert stumbling_blocks(browser, report.html) == []


def test_versions_without_anything_in_common_have_a_page_too(
    page: Callable[..., tuple[ExamReport, str]], tmp_path: Path
) -> None:
    report, html = page(answers(tmp_path, "2", unknown=SPECIES[:2]), answers(tmp_path, "1", unknown=SPECIES[2:]))
    assert "have answered no photograph of the exam of a species that both know" in html
    assert "Both answered 0 photographs" in html
    assert not report.pictures
