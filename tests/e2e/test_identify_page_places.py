"""Place and season on the page: set by map, text, keys or the photograph, switched on and off, and always said."""

import io
import json
import re
from collections.abc import Iterator

import pytest
from PIL import ExifTags, Image
from playwright.sync_api import Browser, Locator, expect

from ml.page.page_settings import PageSettings
from tests.e2e.identify_page import Opened, opened
from tests.e2e.taught_model import photograph, taught
from tests.ml.page.page_server import Running, serving
from tests.ml.placed import FAR, HOMES

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

KEA, KAKA, *_ = [f"{latitude}, {longitude}" for latitude, longitude, _ in HOMES]
"""Where the two species of Nestor live, which the network cannot tell apart on a green photograph."""
ALONE = "Nestor 96 %"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server of the taught version, whose species have ranges and seasons."""
    version = taught(tmp_path_factory.mktemp("placed"), places=True)
    assert version.tracking is not None
    with serving(PageSettings(tracking_uri=version.tracking.uri, model_name=version.model_name)) as running:
        yield running


@pytest.fixture
def shown(browser: Browser, server: Running) -> Iterator[Opened]:
    """The page with a photograph that stops at the genus, and the map open."""
    with opened(browser, server.address) as found:
        found.give(a_jpg=photograph("green"))
        expect(found.answer()).to_have_text(ALONE)
        found.page.get_by_role("button", name="Choose place and date").click()
        expect(found.page.locator("#map-scale")).to_have_text(re.compile(r"\d km"))
        yield found


def state(shown: Opened) -> Locator:
    """What the page says that it uses."""
    return shown.page.locator("#place-state")


def case(shown: Opened) -> Locator:
    """With what the shown answer was made."""
    return shown.page.locator("#detail .case")


def place(shown: Opened) -> Locator:
    """The field with latitude and longitude."""
    return shown.page.get_by_label("Latitude, longitude")


def write(shown: Opened, text: str) -> None:
    """Write a place as a person does."""
    place(shown).fill(text)
    place(shown).press("Enter")


def coordinates(shown: Opened) -> tuple[float, float]:
    """The place that is set."""
    latitude, longitude = place(shown).input_value().split(", ")
    return float(latitude), float(longitude)


def with_gps(content: bytes, latitude: float, longitude: float) -> bytes:
    """The photograph as a telephone writes it, with its place and date."""
    image, exif, stream = Image.open(io.BytesIO(content)), Image.Exif(), io.BytesIO()
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(
        {1: "S" if latitude < 0 else "N", 2: (abs(latitude), 0.0, 0.0), 3: "E", 4: (longitude, 0.0, 0.0)}
    )
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2025:01:20 10:00:00"
    image.save(stream, format="JPEG", quality=95, exif=exif)
    return stream.getvalue()


def test_a_place_tells_two_species_apart_that_the_photograph_cannot(shown: Opened) -> None:
    expect(state(shown)).to_have_text("Off: the photograph alone answers")
    expect(case(shown)).to_have_text("Photograph alone")
    for text, species in ((KEA, "Nestor notabilis"), (KAKA, "Nestor meridionalis")):
        write(shown, text)
        expect(shown.answer()).to_contain_text(species)
        expect(state(shown)).to_have_text("On: place only")
        expect(case(shown)).to_have_text("Place only")
        expect(shown.page.locator(".beside")).to_contain_text("the photograph alone said genus Nestor (96 %)")
        likeliest = shown.page.locator(".species > li").first
        expect(likeliest).to_contain_text(species)
        expect(likeliest.locator(".bar")).to_have_count(2)
        expect(likeliest).to_contain_text("Photograph alone: 60 %" if text == KEA else "Photograph alone: 36 %")
    expect(shown.page.locator(".promise")).to_contain_text("photographs with their place")
    expect(shown.page.locator("#said")).to_contain_text("Answer: species Nestor meridionalis")


def test_the_switch_goes_back_and_forth_without_sending_the_photograph_again(shown: Opened) -> None:
    write(shown, KEA)
    expect(shown.answer()).to_contain_text("Nestor notabilis")
    asked, switch = shown.asked("/api/identify"), shown.page.get_by_role("switch", name="Use place and season")
    expect(switch).to_be_checked()
    switch.uncheck()
    expect(shown.answer()).to_have_text(ALONE)
    expect(state(shown)).to_have_text("Off: the photograph alone answers")
    expect(case(shown)).to_have_text("Photograph alone")
    expect(shown.page.locator(".species .before")).to_have_count(0)
    switch.check()
    expect(shown.answer()).to_contain_text("Nestor notabilis")
    expect(state(shown)).to_have_text("On: place only")
    assert shown.asked("/api/identify") == asked


def test_a_switch_without_anything_to_use_asks_for_the_place(browser: Browser, server: Running) -> None:
    with opened(browser, server.address) as shown:
        shown.give(a_jpg=photograph("green"))
        shown.page.get_by_role("switch", name="Use place and season").check()
        expect(place(shown)).to_be_focused()
        expect(state(shown)).to_have_text("On, without a place: the photograph alone answers")
        expect(shown.answer()).to_have_text(ALONE)


def test_a_date_makes_it_place_and_date_and_does_nothing_alone(shown: Opened) -> None:
    date = shown.page.get_by_label("Date", exact=True)
    date.fill("2025-01-20")
    expect(state(shown)).to_have_text("Off: the photograph alone answers")
    write(shown, KEA)
    expect(state(shown)).to_have_text("On: place and date")
    expect(case(shown)).to_have_text("Place and date")
    expect(shown.page.locator("#place-said")).to_have_text("36.9° S, 174.8° E · 20 January")
    shown.page.get_by_role("button", name="Remove", exact=True).click()
    expect(shown.answer()).to_have_text(ALONE)
    expect(state(shown)).to_have_text("On, without a place: the photograph alone answers")
    expect(shown.page.locator(".beside")).to_contain_text("A date without a place changes nothing")


def test_a_click_sets_the_place_and_the_marker_moves_by_mouse_and_keys(shown: Opened) -> None:
    canvas, marker = shown.page.locator("#map-canvas"), shown.page.get_by_role("button", name="The place: arrow keys")
    expect(marker).to_be_hidden()
    box = canvas.bounding_box()
    assert box is not None
    canvas.click(position={"x": box["width"] / 2, "y": box["height"] / 2})
    expect(case(shown)).to_have_text("Place only")
    first = coordinates(shown)
    assert -46 < first[0] < -37, "the map is framed on the occurrences"
    found = marker.bounding_box()
    assert found is not None
    x, y = found["x"] + found["width"] / 2, found["y"] + found["height"] / 2
    assert abs(x - box["x"] - box["width"] / 2) < 2, "the marker stands where the click was"
    shown.page.mouse.move(x, y)
    shown.page.mouse.down()
    shown.page.mouse.move(x, y - 60, steps=3)
    shown.page.mouse.up()
    expect(place(shown)).not_to_have_value(f"{first[0]:g}, {first[1]:g}")
    second = coordinates(shown)
    assert second[0] > first[0] + 1
    assert second[1] == pytest.approx(first[1], abs=0.2)
    asked = shown.asked("/api/identify")
    for _ in range(4):
        marker.press("ArrowRight")
    expect(place(shown)).not_to_have_value(f"{second[0]:g}, {second[1]:g}")
    assert coordinates(shown)[1] > second[1]
    expect(case(shown)).to_have_text("Place only")
    assert shown.asked("/api/identify") <= asked + 1, "some steps are one question"


def test_the_map_is_zoomed_and_moved_without_setting_a_place(shown: Opened) -> None:
    canvas, scale = shown.page.locator("#map-canvas"), shown.page.locator("#map-scale")
    before = scale.inner_text()
    canvas.hover()
    for _ in range(3):
        shown.page.mouse.wheel(0, -200)
    expect(scale).not_to_have_text(before)
    shown.page.get_by_role("button", name="Show where the model").click()
    expect(scale).to_have_text(before)
    shown.page.get_by_role("button", name="Zoom in").click(click_count=2)
    expect(scale).not_to_have_text(before)
    shown.page.mouse.move(*middle(canvas))
    shown.page.mouse.down()
    shown.page.mouse.move(10, 10, steps=3)
    shown.page.mouse.up()
    assert place(shown).input_value() == ""
    expect(state(shown)).to_have_text("Off: the photograph alone answers")


def middle(element: Locator) -> tuple[float, float]:
    """The middle of an element, in the window."""
    box = element.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_two_fingers_zoom_and_one_sets_the_place(browser: Browser, server: Running) -> None:
    with opened(browser, server.address, has_touch=True) as shown:
        shown.page.set_viewport_size({"width": 390, "height": 844})
        shown.give(a_jpg=photograph("green"))
        shown.page.get_by_role("button", name="Choose place and date").tap()
        scale, canvas = shown.page.locator("#map-scale"), shown.page.locator("#map-canvas")
        expect(scale).to_have_text(re.compile(r"\d km"))
        canvas.scroll_into_view_if_needed()
        before, (x, y) = scale.inner_text(), middle(canvas)
        touch = shown.page.context.new_cdp_session(shown.page)
        for kind, apart in (("touchStart", 20), ("touchMove", 60), ("touchMove", 120)):
            points = [{"x": x - apart, "y": y, "id": 0}, {"x": x + apart, "y": y, "id": 1}]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        expect(scale).not_to_have_text(before)
        assert place(shown).input_value() == ""
        canvas.tap()
        expect(case(shown)).to_have_text("Place only")


def test_the_keyboard_alone_sets_the_place(shown: Opened) -> None:
    shown.page.get_by_role("button", name="Close the map").focus()
    shown.page.keyboard.press("Tab")
    assert shown.page.evaluate("document.activeElement.id") == "map-canvas"
    expect(shown.page.locator(".cross-hair")).to_be_visible()
    before = shown.page.locator("#map-scale").inner_text()
    shown.page.keyboard.press("+")
    shown.page.keyboard.press("+")
    expect(shown.page.locator("#map-scale")).not_to_have_text(before)
    shown.page.keyboard.press("ArrowUp")
    shown.page.keyboard.press("Enter")
    expect(case(shown)).to_have_text("Place only")
    first = coordinates(shown)
    shown.page.keyboard.press("Tab")
    assert shown.page.evaluate("document.activeElement.id") == "map-marker"
    shown.page.keyboard.press("Shift+ArrowUp")
    expect(place(shown)).not_to_have_value(f"{first[0]:g}, {first[1]:g}")
    assert coordinates(shown)[0] > first[0]


def test_what_is_no_place_is_told_and_changes_nothing(shown: Opened) -> None:
    asked = shown.asked("/api/identify")
    write(shown, "174.78, -41.29")
    problem = shown.page.locator("#place-problem")
    expect(problem).to_contain_text("did you mean -41.29,174.78?")
    expect(place(shown)).to_have_attribute("aria-invalid", "true")
    expect(state(shown)).to_have_text("Off: the photograph alone answers")
    assert shown.asked("/api/identify") == asked
    write(shown, "41.29 S 174.78 E")
    expect(problem).to_be_hidden()
    expect(place(shown)).to_have_value("-41.29, 174.78")


def test_a_place_far_from_everything_known_is_said(shown: Opened) -> None:
    write(shown, ", ".join(map(str, FAR)))
    expect(shown.page.locator(".beside")).to_contain_text("km from the nearest occurrence")
    expect(state(shown)).to_have_text("On: place only")
    expect(case(shown)).to_have_text("Photograph alone")
    expect(shown.answer()).to_have_text(ALONE)


def test_what_photographs_say_counts_only_when_it_is_asked_for(browser: Browser, server: Running) -> None:
    latitude, longitude, _ = HOMES[0]
    with opened(browser, server.address) as shown:
        shown.give(a_jpg=with_gps(photograph("green"), latitude, longitude), b_jpg=photograph("green"))
        expect(shown.rows().first).to_contain_text(ALONE.partition(" ")[0])
        expect(shown.rows().locator(".with")).to_have_count(0)
        shown.page.get_by_role("button", name="Choose place and date").click()
        shown.page.get_by_label("Take what I leave out from the photographs").check()
        expect(state(shown)).to_have_text("On: place and date of each photograph")
        expect(shown.rows().locator(".with")).to_have_text(["Place and date", "Photograph alone"])
        expect(shown.rows().first).to_contain_text("Nestor notabilis")
        expect(shown.rows().last).not_to_contain_text("notabilis")
        assert shown.problems() == []


def test_the_browser_says_where_one_is_when_asked(browser: Browser, server: Running) -> None:
    latitude, longitude, _ = HOMES[1]
    here = {"latitude": latitude, "longitude": longitude}
    with opened(browser, server.address, geolocation=here, permissions=["geolocation"]) as shown:
        shown.give(a_jpg=photograph("green"))
        shown.page.get_by_role("button", name="Choose place and date").click()
        shown.page.get_by_role("button", name="My location").click()
        expect(place(shown)).to_have_value(f"{latitude:g}, {longitude:g}")
        expect(shown.answer()).to_contain_text("Nestor meridionalis")


def test_every_step_of_the_slider_is_what_the_server_answers_with_the_place(shown: Opened, server: Running) -> None:
    write(shown, KEA)
    expect(case(shown)).to_have_text("Place only")
    table = server.client.get("/api/model").json()["places"]["thresholds"]["place"]
    slider = shown.page.get_by_role("slider")
    reachable = [
        target for target, row in zip(table["targets"], table["reachable"], strict=True) if any(row) or target == 0.9
    ]
    expect(slider).to_have_attribute("max", str(len(reachable) - 1))
    for key in ("Home", "End"):
        slider.press(key)
        question = {"target": reachable[0 if key == "Home" else -1], "place": [*map(float, KEA.split(", "))]}
        answered = server.client.post(
            "/api/identify", files={"images": ("a.jpg", photograph("green"))}, data={"question": json.dumps(question)}
        ).json()["answers"][0]
        expect(shown.answer()).to_contain_text("Not sure" if answered["depth"] == 0 else answered["taxon"])
        said, promised = shown.page.locator(".promise").inner_text(), answered["promise"]["text"]
        assert re.findall(r"\w+", said.casefold()) == re.findall(r"\w+", promised.casefold())


def test_nothing_stumbles_on_the_map_at_any_width(shown: Opened) -> None:
    write(shown, KEA)
    expect(case(shown)).to_have_text("Place only")
    assert shown.problems() == []
    targets = shown.page.locator("#place button:visible, #place input:visible:not([type=checkbox])")
    assert min(round(box["height"]) for each in targets.all() if (box := each.bounding_box())) >= 44
    # Wherever the answer is scrolled to, what it was made with stays in view.
    shown.page.get_by_role("button", name="Close the map").click()
    shown.page.locator(".species > li").last.scroll_into_view_if_needed()
    expect(state(shown)).to_be_in_viewport()


def test_the_model_says_that_it_knows_places(shown: Opened) -> None:
    shown.page.get_by_role("button", name="About the model").click()
    expect(shown.page.get_by_role("dialog", name="The model")).to_contain_text("of 160 occurrences")
