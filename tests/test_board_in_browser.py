"""The reader's and the operator's story, in a real browser, with the Flask side in both of its places."""

import re
import time
from contextlib import contextmanager

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from app.settings import ROOT, parse_database_url
from app.store import CHANGES_LISTED, Store
from tests.app.databases import post_incidents
from tests.app.operating import read_password
from tests.app.serving import FORMS, serve_board, start_board, wait_for_address
from tests.browser import open_browser

pytestmark = pytest.mark.browser

# From the reply to the operator's click until the reader sees it.
WITHIN = 1.0
PATIENCE = 15.0

SCREENSHOTS = ROOT / "var" / "screenshots"

EXAMPLE = "Slow file downloads in Europe"


# The operator's name and password at each address.
ACCOUNTS: dict[str, tuple[str, str]] = {}


@pytest.fixture(scope="module")
def chrome():
    with open_browser() as chrome:
        yield chrome


@pytest.fixture(scope="module", params=FORMS)
def address(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("board")
    with serve_board(folder, *FORMS[request.param]) as address:
        ACCOUNTS[address] = read_password(folder)
        yield address


class Window:
    """A window of the browser; its methods come to the front first."""

    def __init__(self, chrome, handle):
        self.chrome = chrome
        self.handle = handle

    def front(self):
        self.chrome.switch_to.window(self.handle)
        return self.chrome

    def open(self, url):
        self.front().get(url)

    def find(self, selector):
        return self.front().find_element(By.CSS_SELECTOR, selector)

    def text(self, selector):
        return self.find(selector).text

    def wait_for(self, selector, text, seconds=PATIENCE):
        """Wait until the first element has the text."""
        waiting = WebDriverWait(self.front(), seconds, 0.02, [Exception])
        waiting.until(lambda _: text in self.text(selector), f"{selector} has no {text!r}")


class Reader(Window):
    def watch(self, url):
        """Open a page and wait until it is live; `same_page` tells whether it was loaded again since."""
        self.open(url)
        self.wait_for("#live", "Live")
        self.chrome.execute_script("window.loadedOnce = true")

    def same_page(self):
        return self.front().execute_script("return window.loadedOnce === true")


class Operator(Window):
    def open_desk(self, address, path="/admin/"):
        """Open a page for operators; sign in if that is asked for."""
        self.open(address + path)
        if "/login" in self.chrome.current_url:
            name, password = ACCOUNTS[address]
            self.find("#login-name").send_keys(name)
            self.find("#login-password").send_keys(password, Keys.ENTER)
            self.wait_for("header nav, header form", "Sign out")

    def post(self, address, form, **fields):
        """Fill in one of the two forms, "new" or "update", and post it."""
        self.open_desk(address)
        for name, value in fields.items():
            field = self.find(f"#{form}-{name}")
            if field.tag_name == "select":
                self.choose(Select(field), value)
            else:
                field.send_keys(value)
        self.find(f"#{form}-text").find_element(By.XPATH, "ancestor::form//button").click()
        self.wait_for("main", fields["text"])

    def choose(self, select, value):
        (option,) = [option.text for option in select.options if option.text.startswith(value)]
        select.select_by_visible_text(option)


@pytest.fixture
def windows(chrome):
    """The reader's window and the operator's."""
    first = chrome.current_window_handle
    chrome.switch_to.new_window("window")
    operator = Operator(chrome, chrome.current_window_handle)
    yield Reader(chrome, first), operator
    operator.front().close()
    chrome.switch_to.window(first)
    chrome.get("about:blank")
    chrome.get_log("browser")


@pytest.fixture
def no_complaints(windows, chrome):
    """Nothing that the pages load or do is refused by their policy, or fails."""
    yield
    assert [entry["message"] for entry in chrome.get_log("browser")] == []


@pytest.mark.usefixtures("no_complaints")
def test_an_update_appears_in_an_open_page_within_a_second(windows, address):
    reader, operator = windows
    reader.watch(address)
    text = f"Found at {time.time()}."
    operator.post(address, "update", incident=EXAMPLE, state="Identified", text=text)
    reader.wait_for("[data-section=open] .update", text, WITHIN)
    assert reader.text("[data-incident='3'] [data-badge]") == "Identified"
    assert text in reader.find("#announcer").get_attribute("textContent")
    assert reader.same_page()


def open_count(reader):
    return int(re.search(r"(\d+) open incident", reader.text("[data-part=summary] .detail")).group(1))


@pytest.mark.usefixtures("no_complaints")
def test_an_incident_appears_on_top_and_goes_down_when_it_is_resolved(windows, address):
    reader, operator = windows
    reader.watch(address)
    count = open_count(reader)
    title = f"Storm <b>{time.time()}</b>"
    operator.post(address, "new", title=title, state="Investigating", text="Wind of force 12.")
    reader.wait_for("[data-section=open] .incident h3", title, WITHIN)
    assert open_count(reader) == count + 1
    operator.post(address, "update", incident=title, state="Resolved", text="Calm again.")
    reader.wait_for("[data-section=past] .incident h3", title, WITHIN)
    story = reader.find("[data-section=past] .incident .update:last-child .text")
    assert story.get_attribute("textContent") == "Wind of force 12."
    assert title not in reader.text("[data-section=open]")
    assert open_count(reader) == count
    assert reader.same_page()


@pytest.mark.usefixtures("no_complaints")
def test_the_page_of_an_incident_is_live_too(windows, address):
    reader, operator = windows
    reader.watch(f"{address}/incidents/3")
    known = len(reader.front().find_elements(By.CSS_SELECTOR, ".update"))
    operator.post(address, "new", title="Another", state="Investigating", text="Elsewhere.")
    operator.post(address, "update", incident=EXAMPLE, state="Monitoring", text="We watch.")
    reader.wait_for(".update", "We watch.", WITHIN)
    assert reader.text("[data-badge]") == "Monitoring"
    assert len(reader.front().find_elements(By.CSS_SELECTOR, ".update")) == known + 1
    assert "Elsewhere." not in reader.text("main")
    assert reader.same_page()


@pytest.mark.usefixtures("no_complaints")
def test_moments_are_in_the_readers_time_zone(windows, address):
    reader, _ = windows
    reader.watch(address)
    moment = reader.find("time")
    assert "UTC" in moment.get_attribute("title")
    assert "UTC" not in moment.text


@pytest.mark.usefixtures("no_complaints")
def test_the_keyboard_is_enough(windows, address):
    _, operator = windows
    operator.open_desk(address)
    operator.open(f"{address}/admin/")  # again: where the keyboard begins
    operator.find("body").send_keys(Keys.TAB)
    assert operator.front().switch_to.active_element.text == "Skip to the content"
    operator.find("#new-title").send_keys("By keyboard", Keys.TAB, "Ident", Keys.TAB, "No mouse.")
    for _ in range(20):  # past impact, components and files
        if operator.chrome.switch_to.active_element.text == "Open incident":
            break
        ActionChains(operator.chrome).send_keys(Keys.TAB).perform()
    ActionChains(operator.chrome).send_keys(Keys.ENTER).perform()
    operator.wait_for("h1", "By keyboard")
    assert operator.text("[data-badge]") == "Identified"


@contextmanager
def screen(chrome, width, scheme):
    """A phone's or a desktop's width, light or dark."""
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 600}
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    yield
    chrome.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


# The relative luminance of an element's text and of what is behind it: WCAG 2.2, section 1.4.3.
CONTRAST = """
const channels = (color) => color.match(/[\\d.]+/g).map(Number);
const luminance = (color) => {
  const [r, g, b] = channels(color).map((c) => c / 255).map(
    (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (element) => {
  for (; element; element = element.parentElement) {
    const color = getComputedStyle(element).backgroundColor;
    if (channels(color)[3] !== 0) return color;
  }
  return "rgb(255, 255, 255)";
};
const weak = [];
for (const element of document.querySelectorAll("body *")) {
  const text = Array.from(element.childNodes).some((node) => node.nodeType === 3 && node.data.trim());
  if (!text || !element.checkVisibility()) continue;
  const pair = [luminance(getComputedStyle(element).color), luminance(behind(element))].sort((a, b) => b - a);
  const contrast = (pair[0] + 0.05) / (pair[1] + 0.05);
  if (contrast < 4.5) weak.push(`${element.className || element.tagName}: ${contrast.toFixed(2)}`);
}
return weak;
"""


@pytest.mark.usefixtures("no_complaints")
def test_the_whole_story(windows, address, tmp_path):
    """A stranger signs in, posts an incident with a file, sees it live, resolves it, and signs out."""
    reader, operator = windows
    reader.watch(address)
    count = open_count(reader)
    (tmp_path / "trace.txt").write_text("lost 40 of 100 packets")
    operator.open(address)
    operator.chrome.delete_all_cookies()
    operator.open(address)
    operator.find("footer a[href^='/login']").click()
    name, password = ACCOUNTS[address]
    operator.find("#login-name").send_keys(name)
    operator.find("#login-password").send_keys(password, Keys.ENTER)
    operator.wait_for("h1", "Post to the board")
    files = {"files": str(tmp_path / "trace.txt")}
    operator.post(address, "new", title="Packets go missing", state="Investigating", text="We look.", **files)
    reader.wait_for("[data-section=open] .incident", "Packets go missing", WITHIN)
    assert "trace.txt" in reader.text("[data-section=open] .incident .file")
    assert open_count(reader) == count + 1
    operator.post(address, "update", incident="Packets go missing", state="Resolved", text="All arrive.")
    reader.wait_for("[data-section=past] .incident", "Packets go missing", WITHIN)
    operator.open(f"{address}/admin/")
    operator.find("header form button").click()
    operator.wait_for("footer", "Sign in")
    operator.open(f"{address}/admin/")
    operator.wait_for("h1", "Sign in")
    assert reader.same_page()


DESK = ("/admin/", "/admin/maintenance/", "/admin/components/", "/admin/operators/", "/admin/audit/")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_pages_fit_and_can_be_read(windows, address, width, scheme):
    _, operator = windows
    operator.open(address)
    chrome = operator.chrome
    chrome.delete_all_cookies()
    with screen(chrome, width, scheme):
        look_at(chrome, address, "/login", width, scheme)
        operator.open_desk(address)
        for path in ("/", "/incidents/3", "/nowhere", *DESK):
            look_at(chrome, address, path, width, scheme)


def look_at(chrome, address, path, width, scheme):
    """Open a page, which must fit and be readable; leave a screenshot of it."""
    chrome.get(address + path)
    assert "Not Found" not in chrome.title or path == "/nowhere"
    assert chrome.execute_script("return document.documentElement.scrollWidth") <= width
    assert chrome.execute_script(CONTRAST) == []
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    name = "-".join(path.strip("/").split("/")) or "examples"
    assert chrome.save_screenshot(str(SCREENSHOTS / f"{name}-{width}-{scheme}.png"))


def test_a_page_says_that_it_is_cut_off_and_catches_up(windows, tmp_path):
    reader, operator = windows
    with start_board(tmp_path) as (server, log):
        address = wait_for_address(server, log)
        reader.watch(address)
    reader.wait_for("#live", "Disconnected")
    with start_board(tmp_path, "--port", address.rpartition(":")[2]) as (server, log):
        wait_for_address(server, log)
        ACCOUNTS[address] = read_password(tmp_path)
        operator.post(address, "update", incident=EXAMPLE, state="Resolved", text="While you were away.")
        reader.wait_for("#live", "Live", 40)
        reader.wait_for("[data-section=past] .update", "While you were away.")
    assert reader.same_page()


def test_a_page_that_has_missed_too_much_asks_for_everything(windows, tmp_path):
    reader, _ = windows
    with start_board(tmp_path) as (server, log):
        address = wait_for_address(server, log)
        reader.watch(address)
    store = Store(parse_database_url(f"sqlite:///{tmp_path}/board.sqlite3"))
    post_incidents(store, CHANGES_LISTED + 1)
    store.close()
    with start_board(tmp_path, "--port", address.rpartition(":")[2]) as (server, log):
        wait_for_address(server, log)
        reader.wait_for("[data-part=summary] .detail", f"{CHANGES_LISTED + 2} open incidents", 40)
    assert reader.same_page()
