"""The reader's and the operator's story, in a real browser, with the Flask side in both forms."""

import re
import time

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from app.settings import parse_database_url
from app.store.incidents import CHANGES_LISTED, add_update
from app.store.tables import NAME_LENGTH, UPDATES_LISTED, State
from tests.app.databases import post_incidents
from tests.app.operating import read_password
from tests.app.serving import COMPONENTS, FORMS, serve_board, start_board, wait_for_address
from tests.browser import open_browser
from tests.looks import CONTRAST, keep_whole_screenshot, screen
from waterspout.service.sql import Store

pytestmark = pytest.mark.browser

# From the reply to the operator's click until the reader sees it (seconds), in the best of a few attempts:
# a busy machine delays some, a fault all.
WITHIN = 1.0
ATTEMPTS = 5
PATIENCE = 15.0

EXAMPLE = "Slow file downloads in Europe"

# The name and password that each board printed at its start.
PASSWORDS: dict[str, tuple[str, str]] = {}


@pytest.fixture(scope="module")
def chrome():
    with open_browser() as chrome:
        yield chrome


@pytest.fixture(scope="module", params=FORMS)
def address(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("board")
    with serve_board(folder, *FORMS[request.param]) as address:
        PASSWORDS[address] = read_password(folder)
        yield address


class Window:
    """A window of the browser; its methods bring it to the front first."""

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
    """Signs in wherever a page asks for it."""

    def open(self, url):
        super().open(url)
        if "/login?" in self.chrome.current_url:
            self.sign_in(*PASSWORDS["/".join(url.split("/")[:3])])

    def sign_in(self, name, password):
        self.find("#login-name").send_keys(name)
        self.find("#login-password").send_keys(password, Keys.ENTER)
        self.wait_for("header .who", name)

    def post(self, address, form, **fields):
        """Fill in one of the two forms, "new" or "update", and post it."""
        self.open(f"{address}/admin/")
        self.fill(form, **fields)
        self.send(form, fields["text"])

    def fill(self, form, **fields):
        for name, value in fields.items():
            field = self.find(f"#{form}-{name}")
            if field.tag_name == "select":
                self.choose(Select(field), value)
            else:
                field.send_keys(value)

    def send(self, form, expected):
        self.find(f"#{form}-text").find_element(By.XPATH, "ancestor::form//button").click()
        self.wait_for("main", expected)

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
    waited = []
    while not waited or (min(waited) >= WITHIN and len(waited) < ATTEMPTS):
        text = f"Found at {time.time()}."
        operator.post(address, "update", incident=EXAMPLE, state="Identified", text=text)
        begun = time.monotonic()
        reader.wait_for("[data-section=open] .update", text)
        waited.append(time.monotonic() - begun)
    assert min(waited) < WITHIN, waited
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
    reader.wait_for("[data-section=open] .incident h3", title)
    assert open_count(reader) == count + 1
    operator.post(address, "update", incident=title, state="Resolved", text="Calm again.")
    reader.wait_for("[data-section=past] .incident h3", title)
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
    reader.wait_for(".update", "We watch.")
    assert reader.text("[data-badge]") == "Monitoring"
    assert len(reader.front().find_elements(By.CSS_SELECTOR, ".update")) == known + 1
    assert "Elsewhere." not in reader.text("main")
    assert reader.same_page()


@pytest.mark.usefixtures("no_complaints")
def test_what_an_incident_concerns_is_changed_and_seen(windows, address):
    reader, operator = windows
    reader.watch(address)
    operator.open(f"{address}/admin/")
    operator.find("a[href='/admin/incidents/3']").click()
    operator.wait_for("h1", EXAMPLE)
    for box in operator.front().find_elements(By.CSS_SELECTOR, "input[type=checkbox]"):
        if not box.is_selected():
            box.click()
    operator.find("main form .button").click()
    operator.wait_for(".facts", "Website")
    reader.wait_for("[data-incident='3'] .facts", ", ".join(COMPONENTS))
    reader.wait_for("[data-part=summary] .detail", "Website")
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
    operator.open(f"{address}/admin/")
    operator.find("body").send_keys(Keys.TAB)
    assert operator.front().switch_to.active_element.text == "Skip to the content"
    operator.find("#new-title").send_keys(
        "By keyboard", Keys.TAB, "Ident", Keys.TAB, "No mouse.", Keys.TAB, "Maj"
    )
    past_all_components = [Keys.TAB, Keys.SPACE, *[Keys.TAB] * len(COMPONENTS)]
    operator.front().switch_to.active_element.send_keys(*past_all_components, Keys.TAB, Keys.ENTER)
    operator.wait_for("h1", "By keyboard")
    assert operator.text("[data-badge]") == "Identified"


PAGES = [
    *("/incidents/3", "/nowhere", "/admin/", "/admin/components/", "/admin/maintenance/"),
    *("/admin/operators/", "/admin/audit/", "/admin/incidents/3", "/login"),
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_pages_fit_and_can_be_read(windows, address, width, scheme):
    _, operator = windows
    operator.open(f"{address}/admin/operators/")
    for path in PAGES:
        if path == "/login":
            operator.chrome.delete_all_cookies()
        with screen(operator.front(), width, scheme):
            operator.open(address + path)
            keep_whole_screenshot(
                operator.chrome, width, f"{path.strip('/').replace('/', '-')}-{width}-{scheme}"
            )
            assert operator.chrome.execute_script("return document.documentElement.scrollWidth") <= width
            assert operator.chrome.execute_script(CONTRAST) == []


def test_a_page_says_that_it_is_cut_off_and_catches_up(windows, tmp_path, port):
    reader, operator = windows
    with start_board(tmp_path, "--port", port) as (server, log):
        address = wait_for_address(server, log)
        reader.watch(address)
    reader.wait_for("#live", "Disconnected")
    with start_board(tmp_path, "--port", port) as (server, log):
        wait_for_address(server, log)
        PASSWORDS[address] = read_password(tmp_path)
        operator.post(address, "update", incident=EXAMPLE, state="Resolved", text="While you were away.")
        reader.wait_for("#live", "Live", 40)
        reader.wait_for("[data-section=past] .update", "While you were away.")
    assert reader.same_page()


def test_a_password_is_never_sent_readable(tmp_path, port):
    """Where the board has https, and a proxy forwards requests that came without."""
    host = f"board.test:{port}"
    with (
        start_board(tmp_path, "--port", port, BOARD_URL=f"https://{host}") as (server, log),
        open_browser("--host-resolver-rules=MAP board.test 127.0.0.1") as chrome,
    ):
        wait_for_address(server, log)
        chrome.get(f"http://{host}/login")
        chrome.find_element(By.ID, "login-name").send_keys("anna")
        chrome.find_element(By.ID, "login-password").send_keys("a word for nobody", Keys.ENTER)
        told = []

        def is_told(_):
            told.extend(entry["message"] for entry in chrome.get_log("browser"))
            return "POST /login" in log.read_text() or any(f"https://{host}/login" in line for line in told)

        WebDriverWait(chrome, PATIENCE, 0.05).until(is_told)
        assert "POST /login" not in log.read_text()


def test_a_page_that_has_missed_too_much_asks_for_everything(windows, tmp_path, port):
    reader, _ = windows
    with start_board(tmp_path, "--port", port) as (server, log):
        address = wait_for_address(server, log)
        reader.watch(address)
    store = Store(parse_database_url(f"sqlite:///{tmp_path}/board.sqlite3"))
    post_incidents(store, CHANGES_LISTED + 1)
    store.close()
    with start_board(tmp_path, "--port", port) as (server, log):
        wait_for_address(server, log)
        reader.wait_for("[data-part=summary] .detail", f"{CHANGES_LISTED + 2} open incidents", 40)
    assert reader.same_page()


def test_the_page_of_an_incident_has_all_that_was_said_while_it_was_away(windows, tmp_path, port):
    reader, _ = windows
    with start_board(tmp_path, "--port", port) as (server, log):
        address = wait_for_address(server, log)
        reader.watch(f"{address}/incidents/3")
    store = Store(parse_database_url(f"sqlite:///{tmp_path}/board.sqlite3"))
    said = [f"While you were away: {n}." for n in range(UPDATES_LISTED + 2)]
    for text in said:
        store.write(add_update, 3, State.IDENTIFIED, text)
    store.close()
    with start_board(tmp_path, "--port", port) as (server, log):
        wait_for_address(server, log)
        reader.wait_for(".update .text", said[-1], 40)
    assert reader.same_page()
    shown = [each.text for each in reader.front().find_elements(By.CSS_SELECTOR, ".update .text")]
    assert shown[: len(said)] == said[::-1]


@pytest.mark.usefixtures("no_complaints")
def test_a_strangers_story(windows, address, tmp_path):
    """Signs in with what was printed, posts with a file, is seen in a second window, resolves, signs out."""
    reader, operator = windows
    reader.watch(address)
    operator.open(address)
    operator.chrome.delete_all_cookies()
    operator.open(address)
    operator.find("footer a[href='/login']").click()
    operator.wait_for("h1", "Sign in")
    operator.sign_in(*PASSWORDS[address])
    chart = tmp_path / "chart of <today>.txt"
    chart.write_text("Requests: 12\n")
    title = f"A stranger's storm {time.time()}"
    operator.fill("new", title=title, state="Investigating", impact="Critical", text="It blows.")
    operator.find("#new-files").send_keys(str(chart))
    operator.send("new", "It blows.")
    reader.wait_for("[data-section=open] .incident h3", title)
    reader.wait_for("[data-section=open] .incident .file a", "chart_of_today.txt")
    operator.post(address, "update", incident=title, state="Resolved", text="It does not.")
    reader.wait_for("[data-section=past] .incident h3", title)
    operator.open(f"{address}/admin/")
    operator.find("header form button").click()
    operator.wait_for("footer", "Sign in")
    assert reader.same_page()


@pytest.mark.usefixtures("no_complaints")
def test_an_operator_arranges_the_board(windows, address):
    """Components, maintenance, an invitation that another person accepts, and the audit log of all that."""
    _, operator = windows
    operator.open(f"{address}/admin/components/")
    operator.find("#new-name").send_keys("Search", Keys.ENTER)
    operator.wait_for("label:has(+ input[value='Search'])", "Name of Search")
    operator.open(f"{address}/admin/maintenance/")
    operator.find("#new-title").send_keys("Bigger disks")
    operator.find("#new-text").send_keys("Nothing to notice.")
    for name, moment in (("starts_at", "2031-02-03T10:00"), ("ends_at", "2031-02-03T11:00")):
        field = operator.find(f"#new-{name}")
        operator.chrome.execute_script("arguments[0].value = arguments[1]", field, moment)
    operator.find("form.panel .button").click()
    operator.wait_for("main", "Bigger disks (scheduled)")
    operator.open(f"{address}/admin/operators/")
    operator.find("form.panel .button").click()
    operator.wait_for(".flash", "works once")
    link = operator.find("#link").get_attribute("value")
    operator.find("header form button").click()
    operator.wait_for("footer", "Sign in")
    name = f"bert {time.time()}"
    operator.open(link)
    operator.find("#join-name").send_keys(name)
    operator.find("#join-password").send_keys("correct horse battery", Keys.ENTER)
    operator.wait_for("header .who", name)
    operator.open(f"{address}/admin/audit/")
    operator.wait_for("tbody tr:first-child", "added operator: " + name)
    operator.find("header form button").click()


def test_a_name_that_can_t_be_broken_fits_into_the_forms(windows, address):
    _, operator = windows
    name = "W" * NAME_LENGTH
    operator.open(f"{address}/admin/components/")
    operator.find("#new-name").send_keys(name, Keys.ENTER)
    operator.wait_for(f"label:has(+ input[value='{name}'])", name)
    for width in (390, 1280):
        with screen(operator.front(), width, "light"):
            operator.open(f"{address}/admin/")
            assert operator.chrome.execute_script("return document.documentElement.scrollWidth") <= width
