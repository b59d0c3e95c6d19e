"""A headless Chromium, driven by the installed chromedriver: nothing is downloaded."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from tests.programs import miss

# Set where a missing browser must not go unnoticed.
REQUIRED = "WATERSPOUT_REQUIRE_BROWSER"

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
DRIVERS = ("chromedriver", "chromium.chromedriver")

ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",  # root has none, and a container's tests run as root
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
)


def find_programs() -> tuple[str, str]:
    """Return the paths of Chromium and chromedriver; if one is missing, skip or fail the test."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = next(filter(None, map(shutil.which, DRIVERS)), None)
    if browser and driver:
        return browser, driver
    reason = f"no {'chromedriver' if browser else 'Chromium'} on this machine"
    return miss(reason, REQUIRED)


@contextmanager
def open_browser(*arguments: str) -> Iterator[webdriver.Chrome]:
    """A fresh browser with a temporary profile; `arguments` are further ones for its command line."""
    browser, driver = find_programs()
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for argument in (*ARGUMENTS, *arguments, f"--user-data-dir={profile}"):
            options.add_argument(argument)
        chrome = webdriver.Chrome(options=options, service=Service(executable_path=driver))
        try:
            yield chrome
        finally:
            chrome.quit()
