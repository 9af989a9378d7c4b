"""Explorables work with a keyboard and a screen reader, and without scripts there is a picture."""

import check_pages
import pytest

NAMES = ("convolution", "pooling", "softmax", "cross_entropy", "learning_rate")


@pytest.mark.parametrize("name", NAMES)
def test_the_explorable_takes_the_place_of_its_picture(explorable, name):
    figure = explorable(name)
    assert figure.figure.locator(".explore-desk").is_visible()
    assert not figure.figure.locator("p > img").is_visible()


@pytest.mark.parametrize("name", NAMES)
def test_every_control_has_a_name_of_its_own(explorable, name):
    names = (
        explorable(name)
        .figure.locator("input, select, button")
        .evaluate_all(
            "(nodes) => nodes.map((node) =>"
            " node.ariaLabel || node.labels[0]?.textContent || node.textContent)"
        )
    )
    assert all(names)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("name", "label", "keys", "shown"),
    [
        ("convolution", "stride", ["Home", "ArrowRight"], "= 13."),
        ("convolution", "position", ["Home", "ArrowRight"], "row 0, column 1"),
        ("pooling", "moved by", ["End", "ArrowLeft"], "7 pixels"),
        ("softmax", "temperature", ["End"], "32"),
        ("cross_entropy", "probability p", ["Home"], "6.908"),
        ("learning_rate", "steps", ["Home"], "1 step"),
    ],
)
def test_arrow_keys_move_it(explorable, name, label, keys, shown):
    figure = explorable(name)
    if name == "convolution":
        figure.set(kernel="vertical edges", stride=2, padding=0, dilation=1)
    figure.press(label, *keys)
    assert shown in figure.figure.inner_text()


def test_a_screen_reader_hears_the_result_once_the_hand_rests(explorable):
    figure = explorable("cross_entropy")
    figure.set(probability_p=0.3)
    figure.page.wait_for_timeout(1000)
    before = figure.voice.inner_text()
    figure.press("probability p", "ArrowRight", "ArrowRight")
    assert figure.voice.inner_text() == before  # not at every step
    figure.page.wait_for_function(
        "(before) => document.querySelector('[data-explore=cross_entropy] [role=status]')"
        ".textContent !== before",
        arg=before,
    )
    assert "Loss 1.197." in figure.voice.inner_text()


def test_a_click_on_the_feature_map_moves_the_kernel_there(explorable):
    figure = explorable("convolution")
    figure.set(kernel="vertical edges", stride=1, padding=0, dilation=1)
    canvas = figure.figure.locator("canvas").nth(1)
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    canvas.click(position={"x": box["width"] * 3.5 / 26, "y": box["height"] * 20.5 / 26})
    assert "row 20, column 3" in figure.figure.inner_text()


def test_the_kernel_slides_to_the_end_and_stops_when_told(explorable):
    figure = explorable("convolution")
    figure.set(kernel="vertical edges", stride=1, padding=0, dilation=1)
    play = figure.figure.get_by_role("button")
    play.click()
    assert play.inner_text() == "Stop"
    play.click()
    assert play.inner_text() == "Let it slide"
    figure.set(stride=5)
    play.click()
    figure.page.wait_for_function(
        "document.querySelector('[data-explore=convolution] button').textContent === 'Let it slide'"
    )
    assert "row 5, column 5" in figure.figure.inner_text()


def test_a_reader_who_wants_rest_is_offered_no_film(open_chapter):
    page = open_chapter("convolution", reduced_motion="reduce")
    assert page.locator("[data-explore=convolution] canvas").count() == 2
    assert page.locator("[data-explore=convolution] button").count() == 0


def test_pictures_are_painted_anew_when_the_theme_changes(explorable):
    figure = explorable("pooling")
    corner = (
        "() => document.querySelector('[data-explore=pooling] canvas')"
        ".getContext('2d').getImageData(60, 60, 1, 1).data[0]"
    )
    set_theme = "(theme) => (document.documentElement.dataset.theme = theme)"
    figure.page.evaluate(set_theme, "light")
    light = figure.page.evaluate(corner)
    figure.page.evaluate(set_theme, "dark")
    assert figure.page.evaluate(corner) < 100 < light
    figure.page.evaluate(set_theme, "light")


@pytest.mark.parametrize("name", NAMES)
def test_without_scripts_there_is_the_picture(open_chapter, name):
    page = open_chapter(name, java_script_enabled=False)
    image = page.locator(f"[data-explore={name}] img")
    image.scroll_into_view_if_needed()
    assert image.is_visible()
    assert image.bounding_box()["height"] > 100
    assert len(image.get_attribute("alt")) > 100


def test_it_needs_no_server(browser):
    page = browser.new_page()
    site = check_pages.SITE.as_uri() + "/"
    findings = check_pages.watch(page, site)
    page.goto(site + "chapters/03_activations_and_pooling.html", wait_until="domcontentloaded")
    assert page.locator("[data-explore=pooling] canvas").count() == 4
    assert findings == []
    page.close()
