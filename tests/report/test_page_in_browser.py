"""The page in a real browser: no error, every picture there, nothing wider than the window, light and dark."""

import pytest

from mmstreet.report.page import write_page
from tests.helpers.browser import open_browser, set_view, why_missing
from tests.helpers.run_folders import TRUTH, write_images, write_instances, write_logs, write_refinement, write_test, wrong_in

pytestmark = pytest.mark.skipif(why_missing() is not None, reason=str(why_missing()))

LUMINANCE = """
const parts = getComputedStyle(document.querySelector(arguments[0]))[arguments[1]].match(/[\\d.]+/g);
const [r, g, b] = parts.slice(0, 3).map((v) => { const c = v / 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; });
return 0.2126 * r + 0.7152 * g + 0.0722 * b;
"""
WIDER = """
return [...document.querySelectorAll('body *')].filter((e) => {
  const box = e.getBoundingClientRect();
  if (!box.width || e.closest('.scroll, pre, nav, svg, dialog')) return false;
  return box.right > document.documentElement.clientWidth + 1 || box.left < -1;
}).map((e) => `${e.tagName}.${e.className}`).slice(0, 5);
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with open_browser(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """One run, three side by side, and one of instances."""
    root = tmp_path_factory.mktemp("runs")
    runs = [write_test(write_logs(root / f"a_rather_long_name_of_a_run_v{i}", offset=float(i))) for i in range(3)]
    return {
        "one": write_page([write_refinement(runs[0])], root / "one.html"),
        "three": write_page(runs, root / "three.html"),
        "instances": write_page([write_instances(write_logs(root / "masks"))], root / "instances.html"),
    }


def open_page(browser, page, *, width=1280, scheme="light"):
    set_view(browser, width=width, scheme=scheme)
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(page.as_uri())


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", ["one", "three", "instances"])
def test_it_opens_without_error_fits_the_window_and_can_be_read(browser, pages, name, width, scheme):
    open_page(browser, pages[name], width=width, scheme=scheme)
    browser.execute_script("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert browser.get_log("browser") == []
    assert browser.execute_script("return [...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.execute_script(WIDER) == []
    ink, paper = (
        browser.execute_script(LUMINANCE, "body", "color"),
        browser.execute_script(LUMINANCE, "section:not(.head)", "backgroundColor"),
    )
    assert (ink < paper) == (scheme == "light")
    assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) > 7, "contrast"


def click(browser, element):
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
    element.click()


def test_nothing_is_asked_of_a_network(browser, pages):
    open_page(browser, pages["three"])
    requests = [entry["message"] for entry in browser.get_log("performance") if "Network.requestWillBeSent" in entry["message"]]
    assert requests
    assert not [message for message in requests if '"url":"http' in message or '"url":"ws' in message]


def test_the_charts_tell_values_under_the_pointer(browser, pages):
    from selenium.webdriver import ActionChains

    open_page(browser, pages["one"])
    plot = browser.find_element("css selector", ".plot[data-chart]")
    ActionChains(browser).move_to_element_with_offset(plot, plot.size["width"] // 2 - 2, 0).perform()
    tip = plot.find_element("class name", "tip")
    assert tip.is_displayed()
    assert tip.text.split() == ["iteration", "12", "loss", "0.1667"]


def test_classes_can_be_sorted_and_the_theme_switched(browser, pages):
    open_page(browser, pages["one"])

    def order():
        return [float(row.get_attribute("data-value")) for row in browser.find_elements("css selector", ".bars .row")]

    before = order()
    click(browser, browser.find_element("css selector", "[data-sort]"))
    assert order() == sorted(before, reverse=True)
    click(browser, browser.find_element("css selector", "[data-sort]"))
    assert order() == before
    browser.find_element("id", "theme").click()
    assert browser.execute_script("return document.documentElement.dataset.theme") == "dark"


VIEW = """
const images = (stack) => [...document.querySelectorAll(`.viewer .${stack} img`)].filter((e) => !e.hidden);
const shown = (stack) => images(stack).map((e) => e.alt.split(' of ')[0]);
const edge = document.querySelector('.viewer .edge');
const text = (name) => document.querySelector(`.viewer ${name}`).textContent;
return {
  open: document.querySelector('.viewer').open, list: text('.list'), count: text('.count'), file: text('.file'), note: text('.note'),
  under: shown('under'), top: shown('top'), edge: edge.hidden ? null : edge.style.left,
  legend: [...document.querySelectorAll('.viewer .legend span')].map((e) => e.textContent),
};
"""


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    """The page of a test with three images, and of two such tests side by side."""
    root = tmp_path_factory.mktemp("album")
    good, bad, worse = TRUTH, wrong_in(slice(0, 3)), wrong_in(slice(0, 9))
    one, two = (
        write_images(root / name, preds, kept=kept)
        for name, preds, kept in (("one", [bad, worse, good], (0, 1)), ("two", [good, bad, bad], (2, 1)))
    )
    return {"one": write_page([one], root / "one.html"), "two": write_page([one, two], root / "two.html")}


def press(browser, *keys):
    from selenium.webdriver import ActionChains

    ActionChains(browser).send_keys(*keys).perform()
    return browser.execute_script(VIEW)


def test_a_class_leads_to_its_images_and_keys_go_through_them_and_their_pictures(browser, album):
    from selenium.webdriver.common.keys import Keys

    open_page(browser, album["one"])
    click(browser, browser.find_element("css selector", ".bars .lead"))
    seen = browser.execute_script(VIEW)
    assert (seen["open"], seen["list"], seen["count"], seen["file"]) == (True, "road: most pixels wrong", "1 of 2", "1.jpg")
    assert seen["note"].startswith("road: IoU 44 %, 162 pixels missed, 0 made up; mIoU 10.0 %")
    assert (seen["under"], seen["edge"]) == (["photo", "prediction"], None)
    assert press(browser, Keys.ARROW_RIGHT)["file"] == "0.jpg"
    assert press(browser, Keys.ARROW_RIGHT)["file"] == "1.jpg", "after the last comes the first"
    assert press(browser, Keys.ARROW_LEFT)["file"] == "0.jpg"
    assert press(browser, Keys.ARROW_DOWN)["under"] == ["photo", "error"]
    assert press(browser, Keys.ARROW_UP, Keys.ARROW_UP)["under"] == ["photo", "truth"]
    assert press(browser, "1")["under"] == ["photo"]
    assert press(browser, "4")["legend"] == ["right: the image in grey", "wrong"]
    assert press(browser, "2")["legend"] == ["road", "traffic light"]
    assert not press(browser, Keys.ESCAPE)["open"]


def test_the_slider_and_a_drag_wipe_from_one_picture_to_the_next(browser, album):
    from selenium.webdriver import ActionChains

    open_page(browser, album["one"])
    click(browser, browser.find_element("css selector", ".shot:not([hidden]) .look"))
    slider, stage = browser.find_element("css selector", ".viewer input"), browser.find_element("css selector", ".stage")
    browser.execute_script("arguments[0].value = 2.25; arguments[0].dispatchEvent(new Event('input'))", slider)
    seen = browser.execute_script(VIEW)
    assert (seen["under"], seen["top"], seen["edge"]) == (["photo", "prediction"], ["photo", "error"], "25%")
    assert {"wrong", "road"} <= set(seen["legend"]), "the colours of both pictures are explained"
    browser.execute_script("document.querySelectorAll('.stops button')[1].click()")
    ActionChains(browser).move_to_element_with_offset(stage, 0, 0).click_and_hold().move_by_offset(
        stage.size["width"] // 4, 0
    ).release().perform()
    seen = browser.execute_script(VIEW)
    assert (seen["under"], seen["top"]) == (["photo", "truth"], ["photo", "prediction"])
    edge = float(seen["edge"].rstrip("%"))
    assert 65 < edge < 85, "a quarter of the picture to the right of its middle"
    assert float(slider.get_attribute("value")) == pytest.approx(1 + edge / 100, abs=0.006)


def test_a_cell_and_a_slice_lead_to_images_by_mouse_and_by_keyboard(browser, album):
    from selenium.webdriver.common.keys import Keys

    open_page(browser, album["one"])
    cell = browser.find_element("css selector", "td[data-list$='/cell/0/1']")
    browser.execute_script("arguments[0].focus()", cell)
    seen = press(browser, Keys.ENTER)
    assert (seen["list"], seen["count"], seen["file"]) == ("road taken for traffic light", "1 of 2", "1.jpg")
    press(browser, Keys.ESCAPE)
    select = browser.find_element("css selector", ".album select")
    browser.execute_script("arguments[0].value = 'test/slice/weather/<i>fog</i>'; arguments[0].dispatchEvent(new Event('change'))", select)
    shown = browser.find_elements("css selector", ".shot:not([hidden])")
    assert [one.text.split()[0] for one in shown] == ["0.jpg", "1.jpg"]
    assert "weather: <i>fog</i>, mIoU there 10.0 %" in shown[0].text


def test_the_same_image_of_two_runs_can_be_wiped_from_one_to_the_other(browser, album):
    open_page(browser, album["two"])
    browser.execute_script("document.querySelector('.album select').value = 'run2/worse'")
    browser.execute_script("document.querySelector('.album select').dispatchEvent(new Event('change'))")
    click(browser, browser.find_element("css selector", ".shot:not([hidden]) .look"))
    browser.execute_script("const s = document.querySelector('.viewer input'); s.value = 2.5; s.dispatchEvent(new Event('input'))")
    seen = browser.execute_script(VIEW)
    assert (seen["list"], seen["count"], seen["file"]) == ("two worse than one", "1 of 1", "2.jpg")
    assert (seen["under"], seen["top"]) == (["photo", "one"], ["photo", "two"])
    assert seen["note"] == "mIoU −17.3; mIoU: one 100.0 %, two 82.7 %"


@pytest.mark.parametrize("name", ["one", "two"])
def test_the_viewer_fits_a_telephone(browser, album, name):
    open_page(browser, album[name], width=390)
    click(browser, browser.find_element("css selector", ".shot:not([hidden]) .look"))
    assert browser.execute_script(
        "const d = document.querySelector('.viewer'); return [d.scrollWidth <= d.clientWidth, d.clientWidth]"
    ) == [True, 390]
    assert browser.execute_script("return document.querySelector('.stage').getBoundingClientRect().width") > 350
    for part in (".close", ".previous", ".next"):
        box = browser.find_element("css selector", f".viewer {part}").rect
        assert min(box["width"], box["height"]) >= 28, "large enough for a finger"
    click(browser, browser.find_element("css selector", ".viewer .next"))
    assert browser.execute_script(VIEW)["count"].startswith("2 of")
    assert browser.get_log("browser") == []


def test_nothing_in_a_name_ran(browser, pages):
    open_page(browser, pages["one"])
    assert not browser.execute_script("return [...document.querySelectorAll('*')].some((e) => e.hasAttribute('onerror'))")
