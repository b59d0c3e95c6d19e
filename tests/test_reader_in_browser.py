"""The reader's story in a real browser: what the page shows, on a phone and in the dark, and that it is live.

Screenshots of it all are left in var/screenshots.
"""

import json
import re
import signal
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from app.settings import parse_database_url
from app.store.components import add_component, archive_component, move_component, rename_component
from app.store.history import read_statuses
from app.store.incidents import add_incident, add_update
from app.store.maintenance import add_maintenance
from app.store.tables import Impact, State
from tests.app.serving import serve_board, start_board, wait_for_address
from tests.browser import open_browser
from tests.looks import BASICS, CONTRAST, keep_whole_screenshot, screen
from waterspout.service.sql import Store

pytestmark = pytest.mark.browser

PATIENCE = 15.0
WIDTHS = (390, 1280)
SCHEMES = ("light", "dark")


@pytest.fixture(scope="module")
def chrome():
    with open_browser() as chrome:
        yield chrome


@pytest.fixture
def board(tmp_path):
    """A served board, and its store: what is written there is not announced, but found all the same."""
    with serve_board(tmp_path) as address:
        store = open_store(tmp_path)
        store.write(fill)
        yield address, store
        store.close()


def open_store(folder: Path) -> Store:
    return Store(parse_database_url(f"sqlite:///{folder / 'board.sqlite3'}"))


def fill(session):
    """Fill a board with something of everything."""
    now = datetime.now(UTC)
    api, web, mail = (add_component(session, name) for name in ("Public API", "Web shop", "Newsletters"))
    for component, days, hours, impact in (
        (api, 61, 30, Impact.MINOR),
        (web, 33, 2, Impact.CRITICAL),
        (mail, 12, 5, Impact.MAJOR),
    ):
        component.created_at = now - timedelta(days=200)
        began = now - timedelta(days=days)
        update = add_incident(
            session,
            f"{component.name}: errors",
            State.INVESTIGATING,
            "We are looking into it.",
            began,
            impact=impact,
            components=[component.id],
        )
        end = began + timedelta(hours=hours, minutes=10)
        add_update(session, update.incident_id, State.RESOLVED, "Rolled back; all is well.", end)
    starts_at, text = now + timedelta(days=2), "The shop can be read, but not written to."
    add_maintenance(
        session, "New database", text, starts_at, starts_at + timedelta(hours=1), components=[web.id]
    )


def find(chrome, selector):
    return chrome.find_element(By.CSS_SELECTOR, selector)


def wait_for(chrome, selector, text, seconds=PATIENCE):
    waiting = WebDriverWait(chrome, seconds, 0.05, [Exception])
    waiting.until(lambda _: text in find(chrome, selector).text, f"{selector} has no {text!r}")


def watch(chrome, address, path="/"):
    """Open a page and wait until it is live; `is_same_page` tells whether it was loaded again since."""
    chrome.get(address + path)
    wait_for(chrome, "#live", "Live")
    chrome.execute_script("window.loadedOnce = true")


def is_same_page(chrome):
    return chrome.execute_script("return window.loadedOnce === true")


def test_pages_look_right_everywhere(chrome, board):
    address, _ = board
    for path, name in (("/", "board"), ("/incidents/3", "incident"), ("/nowhere", "error")):
        for width in WIDTHS:
            for scheme in SCHEMES:
                with screen(chrome, width, scheme):
                    chrome.get(address + path)
                    assert chrome.execute_script("return document.documentElement.scrollWidth") <= width
                    assert chrome.execute_script(BASICS) == []
                    assert chrome.execute_script(CONTRAST) == []
                    keep_whole_screenshot(chrome, width, f"{name}-{width}-{scheme}")


# Whether the first letter of `word` stands left of its last one, somewhere below `selector`.
READS_ON = """
const [selector, word] = arguments;
const texts = document.createTreeWalker(document.querySelector(selector), NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const at = texts.currentNode.data.indexOf(word);
  if (at < 0) continue;
  const [first, last] = [at, at + word.length - 1].map((start) => {
    const letter = document.createRange();
    letter.setStart(texts.currentNode, start);
    letter.setEnd(texts.currentNode, start + 1);
    return letter.getBoundingClientRect().left;
  });
  return first < last;
}
"""


def test_a_name_that_reads_from_the_right_turns_nothing_else_round(chrome, board):
    address, store = board
    names = ("\N{RIGHT-TO-LEFT OVERRIDE}gpj.exe", "\N{HEBREW LETTER ALEF}\N{HEBREW LETTER BET}")
    ids = [store.write(add_component, name).id for name in names]
    store.write(add_incident, "Storm", State.INVESTIGATING, "Wind.", components=ids)
    watch(chrome, address)
    for selector, word in ((".summary .detail", "2 open incidents"), (".facts", "since")):
        wait_for(chrome, selector, word)
        assert chrome.execute_script(READS_ON, selector, word), selector


def test_all_parts_of_the_page_are_live(chrome, board):
    address, store = board
    watch(chrome, address)
    (component,) = [each for each in store.read(components_of) if each.name == "Public API"]
    store.write(
        add_incident,
        "Down",
        State.INVESTIGATING,
        "All of it.",
        impact=Impact.CRITICAL,
        components=[component.id],
    )
    wait_for(chrome, "[data-part=summary]", "Major outage")
    wait_for(chrome, f"[data-part=condition-{component.id}]", "Outage")
    wait_for(chrome, "[data-section=open] .incident", "All of it.")
    today = find(chrome, f"[data-component='{component.id}'] .history i:last-child")
    assert today.get_attribute("data-condition") == "critical"
    cells = chrome.find_elements(By.CSS_SELECTOR, f"[data-component='{component.id}'] .history i")
    assert len(cells) == 90
    history = find(chrome, f"[data-component='{component.id}'] .history")
    words = history.get_attribute("aria-label")
    assert words == told_of_history(address, component)
    assert int(words.split()[0]) in (3, 4)  # with the one that took 30 hours
    starts_at = datetime.now(UTC) + timedelta(days=1)
    store.write(add_maintenance, "Later", "Some work.", starts_at, starts_at + timedelta(hours=1))
    wait_for(chrome, "[data-part=maintenance]", "Some work.")
    assert "UTC" not in find(chrome, "[data-part=maintenance] .range").text
    assert is_same_page(chrome)


def told_of_history(address, component):
    """The history's label for screen readers in a page that is loaded now."""
    with urllib.request.urlopen(address, timeout=PATIENCE) as response:
        _, _, rest = response.read().decode().partition(f'data-component="{component.id}"')
    return re.search(r'aria-label="([^"]+)"', rest)[1]


def components_of(session):
    return [status.component for status in read_statuses(session)]


def test_components_are_live(chrome, board):
    """Their names, their order, and which exist: on the board, and beside the incidents that concern them."""
    address, store = board
    (renamed,) = [each for each in store.read(components_of) if each.name == "Public API"]
    watch(chrome, address)
    store.write(rename_component, renamed.id, "API for all")
    wait_for(chrome, f"[data-component='{renamed.id}'] h3", "API for all")
    wait_for(chrome, "[data-section=past]", "API for all")
    added = store.write(add_component, "Added later")
    wait_for(chrome, f"[data-component='{added.id}'] h3", "Added later")
    store.write(move_component, added.id, True)
    wait_for(chrome, f"[data-component='{added.id}'] + [data-component]", "Newsletters")
    store.write(archive_component, renamed.id, True)
    waiting = WebDriverWait(chrome, PATIENCE, 0.05)
    waiting.until(lambda _: not chrome.find_elements(By.CSS_SELECTOR, f"[data-component='{renamed.id}']"))
    assert is_same_page(chrome)


# Makes the page look as it did two days ago.
OLD_PAGE = """
    document.addEventListener("readystatechange", () => {
      const board = document.getElementById("board");
      if (document.readyState !== "interactive" || !board) return;
      const [, start, today] = board.dataset.cursor.match(/(.*\\.)(\\d+)/);
      board.dataset.cursor = start + (today - 2);
      for (const history of board.querySelectorAll(".history")) {
        const day = new Date(history.lastElementChild.dataset.day);
        for (let n = 0; n < 2; n++) history.prepend(history.lastElementChild);
        history.lastElementChild.dataset.day = new Date(day - 2 * 864e5).toISOString().slice(0, 10);
      }
    });
"""
DAYS = "return [...document.querySelector('.history').children].map((day) => day.title)"


def test_a_page_that_slept_has_the_days_that_it_slept_through(chrome, board):
    address, _ = board
    watch(chrome, address)
    days = chrome.execute_script(DAYS)
    script = chrome.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": OLD_PAGE})
    try:
        watch(chrome, address)
        waiting = WebDriverWait(chrome, PATIENCE, 0.05)
        waiting.until(lambda _: chrome.execute_script(DAYS)[-3:] == days[-3:])
        assert len(chrome.execute_script(DAYS)) == 90
        assert is_same_page(chrome)
    finally:
        chrome.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)


SLOW_PAGES = """
    const fetch = window.fetch;
    window.fetch = async (...what) => {
      const reply = await fetch(...what);
      const text = await reply.text();
      window.rendered = true;
      await new Promise((arrive) => setTimeout(arrive, 1500));
      return new Response(text, reply);
    };
"""


def test_what_is_posted_while_the_page_is_fetched_again_is_not_lost(chrome, board):
    address, store = board
    (component,) = [each for each in store.read(components_of) if each.name == "Public API"]
    watch(chrome, address)
    chrome.execute_script(SLOW_PAGES)
    store.write(rename_component, component.id, "API for all")
    WebDriverWait(chrome, PATIENCE, 0.05).until(lambda _: chrome.execute_script("return window.rendered"))
    update = store.write(add_update, 3, State.RESOLVED, "Meanwhile.")
    wait_for(chrome, f"[data-component='{component.id}'] h3", "API for all")
    wait_for(chrome, f"[data-update='{update.id}']", "Meanwhile.")
    assert is_same_page(chrome)


def test_where_no_stream_comes_through_it_polls(chrome, board):
    address, store = board
    chrome.execute_cdp_cmd("Network.enable", {})
    chrome.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*/api/stream*"]})
    try:
        watch(chrome, address)
        update = store.write(add_update, 3, State.RESOLVED, "Heard by poll.")
        wait_for(chrome, f"[data-update='{update.id}']", "Heard by poll.")
        assert "/api/poll" in json.dumps(chrome.execute_script(REQUESTS))
        assert is_same_page(chrome)
    finally:
        chrome.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
        chrome.get("about:blank")


REQUESTS = "return performance.getEntriesByType('resource').map((entry) => entry.name)"


def test_it_says_when_it_is_cut_off_and_catches_up(chrome, tmp_path, port):
    with start_board(tmp_path, "--port", port) as (server, log):
        address = wait_for_address(server, log)
        watch(chrome, address)
        assert not find(chrome, "#notice").is_displayed()
    wait_for(chrome, "#live", "Disconnected")
    wait_for(chrome, "#notice", "may be out of date")
    with screen(chrome, 390, "light"):
        time.sleep(1.5)  # until the notice has appeared
        keep_whole_screenshot(chrome, 390, "disconnected-390-light")
    store = open_store(tmp_path)
    update = store.write(add_update, 3, State.RESOLVED, "While you were away.")
    store.close()
    with start_board(tmp_path, "--port", port) as (server, log):
        wait_for_address(server, log)
        wait_for(chrome, "#live", "Live", 40)
        wait_for(chrome, f"[data-update='{update.id}']", "While you were away.")
        assert not find(chrome, "#notice").is_displayed()
        assert is_same_page(chrome)


# Twenty times as impatient a page, and what it has said of itself.
IMPATIENT = """
    {
      const { setTimeout } = window;
      window.setTimeout = (call, wait, ...more) => setTimeout(call, wait / 20, ...more);
      const { timeout } = AbortSignal;
      AbortSignal.timeout = (wait) => timeout.call(AbortSignal, wait / 20);
    }
    window.said = [];
    document.addEventListener("DOMContentLoaded", () => {
      const live = document.getElementById("live");
      new MutationObserver(() => window.said.push(live.textContent)).observe(live, { childList: true });
    });
"""


def test_a_page_whose_server_has_fallen_silent_does_not_call_itself_live(chrome, tmp_path):
    """As after a laptop's sleep, or where a connection is lost without a word."""
    with start_board(tmp_path) as (server, log):
        address = wait_for_address(server, log)
        script = chrome.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": IMPATIENT})
        try:
            watch(chrome, address)
            server.send_signal(signal.SIGSTOP)
            wait_for(chrome, "#live", "Disconnected")
            assert chrome.execute_script("return window.said.slice(-2)") == ["Connecting…", "Disconnected"]
            server.send_signal(signal.SIGCONT)
            wait_for(chrome, "#live", "Live")
            assert is_same_page(chrome)
        finally:
            chrome.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)


def test_without_script_it_is_a_page_all_the_same(chrome, board):
    address, _ = board
    chrome.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        chrome.get(address)
        assert "UTC" in find(chrome, "time").text
        assert "Slow file downloads" in find(chrome, "[data-section=open]").text
        assert not find(chrome, "#live").is_displayed()
        assert not find(chrome, "#notice").is_displayed()
    finally:
        chrome.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
