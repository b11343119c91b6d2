"""The page in a real browser: no error, every picture there, nothing wider than the window, light and dark."""

import pytest

from mmstreet.report.page import write_page
from tests.helpers.browser import open_browser, set_view, why_missing
from tests.helpers.run_folders import write_instances, write_logs, write_refinement, write_test

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


def test_a_picture_opens_large_and_closes(browser, pages):
    open_page(browser, pages["one"])
    click(browser, browser.find_element("css selector", ".pictures img"))
    dialog = browser.find_element("tag name", "dialog")
    assert dialog.get_attribute("open")
    dialog.find_element("tag name", "img").click()
    assert not dialog.get_attribute("open")


def test_nothing_in_a_name_ran(browser, pages):
    open_page(browser, pages["one"])
    assert not browser.execute_script("return [...document.querySelectorAll('*')].some((e) => e.hasAttribute('onerror'))")
