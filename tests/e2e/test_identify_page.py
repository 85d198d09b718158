"""The page as a person uses it: photographs in, answers with their reasons out, and nothing leaves the machine."""

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, FileChooser, expect

from ml.page.export_api import FILES
from ml.page.page_settings import PageSettings
from ml.spec import RegisterSpec
from tests.e2e.conftest import Command
from tests.e2e.identify_page import Opened, batch, opened, payload
from tests.e2e.taught_model import TAUGHT, example_table, photograph, replace_champion, taught
from tests.ml.page.page_server import Running, serving

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> RegisterSpec:
    """The taught version, in a registry of its own."""
    return taught(tmp_path_factory.mktemp("taught"))


@pytest.fixture(scope="module")
def server(version: RegisterSpec, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One server for all tests."""
    folder = tmp_path_factory.mktemp("examples")
    assert version.tracking is not None
    settings = PageSettings(
        tracking_uri=version.tracking.uri, model_name=version.model_name, poll_seconds=0.3,
        examples=example_table(folder, version.taxonomy), photos=folder,
    )  # fmt: skip
    with serving(settings) as running:
        yield running


@pytest.fixture
def shown(browser: Browser, server: Running) -> Iterator[Opened]:
    """The page, just opened."""
    with opened(browser, server.address) as found:
        yield found


def test_a_photograph_gets_an_answer_with_its_reason(shown: Opened) -> None:
    shown.give(a_jpg=photograph("green"))
    expect(shown.answer()).to_have_text("Nestor 96 %")
    expect(shown.page.locator("#said")).to_contain_text("Answer: genus Nestor, 96 %")
    expect(shown.page.locator(".promise")).to_contain_text("Right 9 times in 10 at this setting.")
    expect(shown.page.locator(".stop")).to_have_text(
        "Stops at the genus: Nestor notabilis has 60 %, and 80 % are asked for."
    )
    steps = shown.page.locator(".tree li")
    expect(steps).to_have_count(7)
    expect(shown.page.locator(".tree .answered")).to_have_count(6)
    expect(shown.page.locator(".tree .last")).to_contain_text("the answer stops here")
    expect(steps.nth(6)).to_contain_text("Nestor notabilis, not answered")
    expect(steps.nth(6).locator(".share")).to_have_text("60 %")
    expect(shown.page.locator(".views img")).to_have_count(1)


def test_what_else_it_could_be_is_shown_with_author_licence_and_link(shown: Opened) -> None:
    shown.give(a_jpg=photograph("green"))
    species = shown.page.locator(".species > li")
    expect(species.locator(".species-name em")).to_have_text(
        ["Nestor notabilis", "Nestor meridionalis", "Morus serrator", "Morus alba"]
    )
    figure = species.first.locator("figure").first
    expect(figure.locator("figcaption")).to_contain_text("Mary Smith, CC0 · observation")
    expect(figure.get_by_role("link", name="CC0")).to_have_attribute(
        "href", "https://creativecommons.org/publicdomain/zero/1.0/"
    )
    expect(figure.get_by_role("link", name="Observation by Mary Smith")).to_be_visible()
    figure.scroll_into_view_if_needed()
    assert figure.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 160


def test_the_slider_moves_the_answer_without_a_request(shown: Opened) -> None:
    shown.give(a_jpg=photograph("green"))
    expect(shown.answer()).to_have_text("Nestor 96 %")
    expect(shown.page.locator(".example img").last).to_be_attached()
    shown.page.wait_for_load_state("networkidle")
    before, slider = len(shown.requests), shown.page.get_by_role("slider", name="Answers shall be right")
    slider.press("Home")
    expect(shown.answer()).to_have_text("Nestor notabilis 60 %")
    expect(shown.page.locator(".promise")).to_contain_text("Right 5 times in 10 at this setting.")
    expect(shown.page.locator(".stop")).to_contain_text("Goes down to the species")
    expect(shown.page.locator("#said")).to_contain_text("Answer: species Nestor notabilis, 60 %")
    slider.press("End")
    expect(shown.answer()).to_have_text("Not sure")
    expect(slider).to_have_attribute("aria-valuetext", "999 times in 1000")
    expect(shown.page.locator(".tree .answered")).to_have_count(0)
    assert len(shown.requests) == before


def test_every_step_of_the_slider_is_what_the_server_answers(shown: Opened, server: Running) -> None:
    shown.give(a_jpg=photograph("blue"))
    expect(shown.answer()).to_contain_text("Aves")
    slider = shown.page.get_by_role("slider")
    for target, presses in ((0.5, 0), (0.75, 25), (0.85, 10), (0.99, 14)):
        for key in ["ArrowRight"] * presses or ["Home"]:
            slider.press(key)
        answered = server.client.post(
            "/api/identify",
            files={"images": ("a.jpg", photograph("blue"))},
            data={"question": json.dumps({"target": target})},
        ).json()["answers"][0]
        expect(shown.answer()).to_contain_text("Not sure" if answered["depth"] == 0 else answered["taxon"])
        said, promised = shown.page.locator(".promise").inner_text(), answered["promise"]["text"]
        assert re.findall(r"\w+", said.casefold()) == re.findall(r"\w+", promised.casefold())


def test_a_taxon_that_is_known_is_found_by_its_first_letters_and_asked_about(shown: Opened) -> None:
    shown.give(a_jpg=photograph("blue"))
    expect(shown.answer()).to_have_text("Aves 99 %")
    box = shown.page.get_by_role("combobox", name="Only consider")
    box.press_sequentially("sulid")
    option = shown.page.get_by_role("option", name="Sulidae")
    expect(option).to_contain_text("family")
    expect(box).to_have_attribute("aria-expanded", "true")
    box.press("ArrowDown")
    expect(box).to_have_attribute("aria-activedescendant", "prior-0")
    box.press("Enter")
    expect(shown.answer()).to_contain_text("Morus serrator")
    expect(shown.page.locator(".promise")).to_contain_text("nothing is promised")
    shown.page.get_by_role("button", name="Remove Sulidae").click()
    expect(shown.answer()).to_have_text("Aves 99 %")


def test_what_contradicts_the_network_is_said(shown: Opened) -> None:
    shown.give(a_jpg=photograph("red"))
    box = shown.page.get_by_role("combobox", name="Only consider")
    box.press_sequentially("planta")
    shown.page.get_by_role("option", name="Plantae").click()
    expect(shown.page.locator("[data-warning=within]")).to_contain_text(
        "The network contradicts that this lies within Plantae"
    )


def test_a_region_is_drawn_seen_and_asked_about(shown: Opened) -> None:
    shown.give(two_jpg=photograph("red", "green"))
    expect(shown.answer()).to_contain_text("Nestor notabilis")
    shown.page.get_by_role("button", name="Mark the organism").click()
    stage = shown.page.locator(".stage").bounding_box()
    assert stage is not None
    shown.page.mouse.move(stage["x"] + 0.52 * stage["width"], stage["y"] + 0.05 * stage["height"])
    shown.page.mouse.down()
    shown.page.mouse.move(stage["x"] + 0.95 * stage["width"], stage["y"] + 0.9 * stage["height"], steps=4)
    shown.page.mouse.up()
    edges = [shown.page.get_by_label(f"{edge} %") for edge in ("Left", "Top", "Right", "Bottom")]
    for edge, value in zip(edges, ("52", "5", "95", "90"), strict=True):
        expect(edge).to_have_value(value)
    shown.page.get_by_role("button", name="Ask about this part").click()
    expect(shown.answer()).to_have_text("Nestor 96 %")
    assert shown.asked("/api/views") >= 2
    # The keyboard reaches the same numbers.
    edges[0].fill("0")
    edges[2].fill("48")
    edges[2].press("Tab")
    shown.page.get_by_role("button", name="Ask about this part").press("Enter")
    expect(shown.answer()).to_have_text("Nestor notabilis 97 %")
    shown.page.get_by_role("button", name="Whole photograph").click()
    expect(shown.answer()).to_have_text("Nestor notabilis 84 %")


def test_an_alarm_cannot_be_overlooked(shown: Opened) -> None:
    shown.give(a_jpg=photograph("yellow"))
    alarm = shown.page.get_by_role("alert").filter(has_text="Alarm: this may be Morus.")
    expect(alarm).to_contain_text("Plantae > Tracheophyta > Magnoliopsida > Rosales > Moraceae > Morus")
    expect(alarm).to_contain_text("Probability 80 %")
    expect(alarm.locator(".sign")).to_be_visible()
    assert alarm.evaluate("box => getComputedStyle(box).backgroundColor") == "rgb(179, 20, 28)"
    expect(shown.page.locator("#said")).to_contain_text("Alarm")
    assert shown.problems() == []


def test_a_taxon_may_be_watched_for_now(shown: Opened) -> None:
    shown.give(a_jpg=photograph("green"))
    expect(shown.answer()).to_have_text("Nestor 96 %")
    expect(shown.page.locator(".alarm")).to_have_count(0)
    shown.page.get_by_role("combobox", name="Raise an alarm for").press_sequentially("nestor mer")
    shown.page.get_by_role("option", name="Nestor meridionalis").click()
    expect(shown.page.locator(".alarm")).to_contain_text("Alarm: this may be Nestor meridionalis.")
    expect(shown.page.locator(".alarm")).to_contain_text("raised from 10 %, which was not calibrated")


def test_what_is_unlike_anything_learnt_is_said(shown: Opened) -> None:
    shown.give(a_jpg=photograph("red"))
    expect(shown.page.locator("[data-warning=novelty]")).to_contain_text("Maybe a species that the model does not know")


def test_a_file_that_is_no_photograph_gets_its_reason(shown: Opened) -> None:
    shown.give(note_txt=b"a note\n")
    expect(shown.answer()).to_have_text("No answer")
    expect(shown.page.locator(".problem")).to_contain_text("Not a photograph in one of the formats")
    expect(shown.page.locator("#said")).to_contain_text("No answer: not a photograph")


def test_a_batch_of_fifty_appears_as_it_comes_and_is_sorted_and_filtered(shown: Opened) -> None:
    shown.page.set_input_files("#files", [*batch(49, colours=TAUGHT), payload("note.txt", b"a note\n")])
    expect(shown.rows()).to_have_count(50)
    expect(shown.page.locator("#progress-said")).to_contain_text("of 50 answered")
    expect(shown.page.locator("#said")).to_contain_text("49 photographs answered, 1 without an answer")
    assert 10 <= shown.asked("/api/identify") <= 20, "some photographs a request"
    expect(shown.rows().last).to_contain_text("Not a photograph in one of the formats")
    expect(shown.page.locator("[data-kind=alarm]")).to_contain_text("12 photographs may show a watched taxon")

    shown.page.get_by_role("button", name="Probability").click()
    expect(shown.page.locator("th[data-sort=probability]")).to_have_attribute("aria-sort", "descending")
    expect(shown.rows().first).to_contain_text("Aves")
    shown.page.get_by_role("button", name="Answer", exact=True).click()
    expect(shown.rows().nth(1)).to_contain_text("Aves")
    shown.page.get_by_label("Show", exact=True).select_option(label="Alarms and warnings (37)")
    expect(shown.rows()).to_have_count(37)
    shown.page.get_by_label("Show", exact=True).select_option(label="Not to species (24)")
    expect(shown.rows()).to_have_count(24)
    before = len(shown.requests)
    shown.page.get_by_role("slider").press("Home")
    expect(shown.rows()).to_have_count(0)
    assert len(shown.requests) == before

    shown.page.get_by_label("Show", exact=True).select_option(label="All (50)")
    assert shown.problems() == []
    shown.rows().first.click()
    expect(shown.answer()).to_be_focused()
    shown.page.go_back()
    expect(shown.rows()).to_have_count(50)


def test_photographs_of_one_organism_are_answered_as_one(shown: Opened) -> None:
    shown.give(a_jpg=photograph("green"), b_jpg=photograph("green"), c_jpg=photograph("red"))
    expect(shown.rows()).to_have_count(3)
    shown.page.get_by_role("switch", name="These photographs show one organism").check()
    expect(shown.answer()).to_contain_text("Nestor")
    expect(shown.page.locator(".strip img")).to_have_count(3)
    assert shown.problems() == []
    shown.page.get_by_role("switch").uncheck()
    expect(shown.rows()).to_have_count(3)
    shown.give(note_txt=b"a note\n")
    expect(shown.rows()).to_have_count(4)
    shown.page.get_by_role("switch").check()
    expect(shown.page.locator("#detail")).to_contain_text("Answered without note.txt")


def test_every_format_that_is_offered_is_served(shown: Opened) -> None:
    offered = shown.page.locator("#format option").evaluate_all("options => options.map(option => option.value)")
    assert set(offered) == set(FILES)


@pytest.mark.parametrize("form", ["csv", "darwin-core"])
def test_answers_are_saved_as_they_are_shown(shown: Opened, form: str, tmp_path: Path) -> None:
    shown.give(a_jpg=photograph("green"))
    expect(shown.answer()).to_have_text("Nestor 96 %")
    shown.page.get_by_role("slider").press("Home")
    shown.page.get_by_label("Save as").select_option(form)
    with shown.page.expect_download() as download:
        shown.page.get_by_role("button", name="Save answers").click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    assert file.suffix in {".csv", ".zip"}
    if form == "csv":
        assert "Nestor notabilis" in file.read_text()


def test_a_photograph_is_taken_with_the_camera(shown: Opened) -> None:
    shown.page.get_by_role("button", name="Use the camera").click()
    expect(shown.page.get_by_role("button", name="Take the photograph")).to_be_enabled()
    assert [line for line in shown.violations() if "video-caption" not in line] == []
    shown.page.get_by_role("button", name="Take the photograph").click()
    expect(shown.page.locator(".tree li")).to_have_count(7)
    expect(shown.page.locator(".file-name")).to_have_text("camera-1.jpg")
    assert shown.page.evaluate("document.getElementById('video').srcObject") is None, "the camera is off again"


def test_a_photograph_is_dropped_or_pasted(shown: Opened) -> None:
    carry = """async ([kind, target, bytes]) => {
        const file = new File([new Uint8Array(bytes)], `${kind}.jpg`, { type: "image/jpeg" });
        const data = new DataTransfer();
        data.items.add(file);
        const options = { clipboardData: data, dataTransfer: data, bubbles: true, cancelable: true };
        const event = kind === "paste" ? new ClipboardEvent(kind, options) : new DragEvent(kind, options);
        document.querySelector(target).dispatchEvent(event);
    }"""
    shown.page.evaluate(carry, ["drop", "#drop", list(photograph("red"))])
    expect(shown.answer()).to_have_text("Nestor notabilis 97 %")
    shown.page.evaluate(carry, ["paste", "body", list(photograph("green"))])
    expect(shown.rows()).to_have_count(2)
    expect(shown.rows().last).to_contain_text("Nestor")


def test_the_keyboard_alone_leads_from_a_photograph_to_its_answer(shown: Opened) -> None:
    def walk_to(name: str) -> None:
        for _ in range(30):
            shown.page.keyboard.press("Tab")
            if shown.page.evaluate("(document.activeElement.textContent || document.activeElement.id).trim()") == name:
                return
        pytest.fail(f"the keyboard does not reach {name}")

    choosers: list[FileChooser] = []
    # Before the first key: the browser needs a moment to hand its dialogs over.
    shown.page.on("filechooser", lambda chooser: choosers.append(chooser))  # noqa: PLW0108 (Playwright takes no method of C)
    shown.page.keyboard.press("Tab")
    assert shown.page.evaluate("document.activeElement.textContent") == "Skip to the photographs"
    shown.page.keyboard.press("Enter")
    walk_to("Choose photographs")
    assert shown.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    shown.page.keyboard.press("Enter")
    while not choosers:
        shown.page.wait_for_timeout(50)
    choosers[0].set_files([payload("a.jpg", photograph("green")), payload("b.jpg", photograph("red"))])
    expect(shown.rows().last).to_contain_text("97 %")
    walk_to("b.jpg")
    shown.page.keyboard.press("Enter")
    expect(shown.answer()).to_have_text("Nestor notabilis 97 %")
    expect(shown.answer()).to_be_focused()
    shown.page.keyboard.press("Shift+Tab")
    shown.page.keyboard.press("Shift+Tab")
    assert shown.page.evaluate("document.activeElement.id") in {"previous", "next"}
    walk_back = shown.page.get_by_role("button", name="All 2 photographs")
    walk_back.press("Enter")
    assert shown.page.evaluate("document.activeElement.textContent") == "b.jpg", "the focus is where it came from"


def test_the_model_says_what_it_is(shown: Opened) -> None:
    shown.page.get_by_role("button", name="About the model").click()
    dialog = shown.page.get_by_role("dialog", name="The model")
    expect(dialog).to_contain_text("tiny version")
    expect(dialog).to_contain_text("9 times in 10")
    expect(dialog.get_by_role("heading", name="A tiny network")).to_be_visible()
    assert shown.problems() == []
    shown.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_nothing_stumbles_in_the_empty_page_and_in_an_answer(shown: Opened) -> None:
    assert shown.problems() == []
    shown.give(a_jpg=photograph("green"))
    expect(shown.page.locator(".example img").last).to_be_attached()
    expect(shown.page.get_by_role("switch")).to_have_count(0)
    expect(shown.page.get_by_text("This version of the model knows no places")).to_be_visible()
    shown.page.get_by_role("button", name="Mark the organism").click()
    shown.page.get_by_role("combobox", name="Only consider").press_sequentially("a")
    expect(shown.page.get_by_role("option").first).to_be_visible()
    assert shown.problems() == []
    targets = shown.page.locator("button:visible, select:visible, input:visible:not([type=checkbox]), [role=option]")
    sizes = [box["height"] for each in targets.all() if (box := each.bounding_box())]
    assert min(sizes) >= 44


def test_the_command_serves_the_page_of_the_configuration(version: RegisterSpec, tmp_path: Path) -> None:
    assert version.tracking is not None
    configured = {
        "NATUREWATCH__DATA_ROOT": str(tmp_path / "data"),
        "NATUREWATCH__REGISTRY__TRACKING_URI": version.tracking.uri,
        "NATUREWATCH__REGISTRY__MODEL_NAME": version.model_name,
    }
    log = tmp_path / "page.log"
    command = Command("page", "--port", "0", "--no-browser", environment={**os.environ, **configured}, log=log)
    command.wait_until(lambda: "http://" in command.said())
    address = next(line for line in command.said().splitlines() if line.startswith("http://"))
    reply = httpx.get(address)
    command.signal(signal.SIGINT)
    assert "What did you see?" in reply.text
    policy = reply.headers["content-security-policy"]
    assert policy.startswith("default-src 'self'; img-src 'self' blob: data:;")
    assert "unsafe" not in policy
    assert command.wait() == 130


def test_another_champion_is_noticed_and_asked(shown: Opened, version: RegisterSpec, server: Running) -> None:
    shown.give(a_jpg=photograph("green"))
    expect(shown.page.locator("#detail")).to_contain_text("Answered by tiny version 1.")
    number = replace_champion(version)
    while server.client.get("/health").json()["model"]["version"] != number:
        shown.page.wait_for_timeout(100)
    shown.give(b_jpg=photograph("red"))
    note = shown.page.locator("[data-kind=model]")
    expect(note).to_contain_text(f"A new version of the model answers now: tiny version {number}.")
    expect(shown.page.locator("#by")).to_contain_text(f"tiny version {number}")
    note.get_by_role("button", name="Ask it about all photographs").click()
    shown.page.get_by_role("button", name="a.jpg").click()
    expect(shown.page.locator("#detail")).to_contain_text(f"Answered by tiny version {number}.")


def test_a_server_that_is_gone_is_told(browser: Browser, server: Running) -> None:
    with opened(browser, server.address) as shown:
        shown.page.context.route("**/api/identify", lambda route: route.abort())
        shown.give(a_jpg=photograph("green"))
        expect(shown.page.locator(".problem")).to_contain_text("The server does not answer")
        shown.complaints.clear()
