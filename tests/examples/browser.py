"""A headless Chromium, as a visitor of the examples uses it."""

from __future__ import annotations

import os
import shutil
import typing as t
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium.common.exceptions import NoAlertPresentException, StaleElementReferenceException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

#: Seconds that a page gets for what it does in a fraction of one.
PATIENCE = 45.0

#: Seconds between two looks at it.
_PAUSE = 0.02

#: What the browser is called, by Debian, Ubuntu, and Google.
_NAMES = ("chromium", "chromium-browser", "google-chrome")

#: It talks to this machine only, keeps nothing, and needs neither a screen nor a sandbox.
_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1200,900",
)


def found() -> tuple[str, str] | None:
    """Return the paths of the browser and of its driver, if both are installed."""
    browser = next(filter(None, map(shutil.which, _NAMES)), None)
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


class Tab:
    """A tab. What one does in it, the browser does there, whichever is in front.

    :param driver: the browser's.
    :param handle: which tab.
    """

    def __init__(self, driver: Chrome, handle: str) -> None:
        self._chrome, self._handle = driver, handle

    @property
    def driver(self) -> Chrome:
        """The driver, with this tab in front."""
        self._chrome.switch_to.window(self._handle)
        return self._chrome

    def open(self, url: str) -> t.Self:
        """Go to a page and wait until it is loaded."""
        self.driver.get(url)
        return self

    def reload(self) -> None:
        """Load the page again."""
        self.driver.refresh()

    def run(self, script: str, *args: t.Any) -> t.Any:
        """Run JavaScript and return what it returns."""
        return self.driver.execute_script(script, *args)

    def all(self, selector: str) -> list[WebElement]:
        """Return the elements that a CSS selector finds."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        """Return the text of the first of them."""
        return self.driver.find_element(By.CSS_SELECTOR, selector).text

    def texts(self, selector: str) -> list[str]:
        """Return the texts of all of them, read at one moment."""
        script = "return [...document.querySelectorAll(arguments[0])].map(e => e.innerText)"
        return t.cast("list[str]", self.run(script, selector))

    def click(self, selector: str) -> None:
        """Click on the first of them."""
        self.driver.find_element(By.CSS_SELECTOR, selector).click()

    def type(self, selector: str, keys: str) -> None:
        """Type into the first of them."""
        self.driver.find_element(By.CSS_SELECTOR, selector).send_keys(keys)

    def wait(self, condition: t.Callable[[], t.Any], what: str = "") -> t.Any:
        """Wait until a condition holds, and return what it returns.

        :param what: what is waited for, for the message if it does not come.
        """
        self.driver  # noqa: B018 - in front, since background tabs are slowed down
        waiting = WebDriverWait(
            self._chrome, PATIENCE, _PAUSE, ignored_exceptions=[StaleElementReferenceException]
        )
        return waiting.until(lambda _: condition(), what or f"waited for {condition}")

    def wait_for(self, selector: str, text: str) -> None:
        """Wait until the first element that a CSS selector finds has some text in it."""
        self.wait(lambda: text in self.text(selector), f"no {text!r} in {selector}")

    def complaints(self) -> list[str]:
        """Return what the browser found wrong since it was last asked, lost connections left out.

        Also whether a dialogue is open: no page of ours has one, but injected code may.
        """
        entries = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        found = [
            entry["message"]
            for entry in entries
            if entry["level"] == "SEVERE"
            and "net::ERR_" not in entry["message"]
            and "WebSocket connection" not in entry["message"]
        ]
        try:
            found.append(f"dialogue: {self.driver.switch_to.alert.text}")
        except NoAlertPresentException:
            return found
        return found

    def foreign(self) -> list[str]:
        """Return the addresses of what the page loaded from elsewhere."""
        script = (
            "return performance.getEntriesByType('resource').map(e => e.name)"
            ".filter(name => !name.startsWith(location.origin + '/'))"
        )
        return t.cast("list[str]", self.run(script))

    def close(self) -> None:
        """Close the tab."""
        self.driver.close()


class Browser:
    """The browser of a test: whatever tabs it opens are closed, and what they stored is deleted.

    :param driver: what steers it.
    """

    def __init__(self, driver: Chrome) -> None:
        self._driver = driver
        self._first = driver.current_window_handle
        self._tabs: list[Tab] = []

    def tab(self, url: str = "about:blank") -> Tab:
        """Open a tab."""
        self._driver.switch_to.new_window("tab")
        tab = Tab(self._driver, self._driver.current_window_handle)
        self._tabs.append(tab)
        return tab.open(url)

    def leave(self) -> None:
        """Close all its tabs."""
        for tab in self._tabs:
            if tab._handle in self._driver.window_handles:
                tab.close()
        self._driver.switch_to.window(self._first)
        self._driver.execute_cdp_cmd(
            "Storage.clearDataForOrigin", {"origin": "*", "storageTypes": "all"}
        )


@contextmanager
def driving(paths: tuple[str, str], folder: Path) -> Iterator[Chrome]:
    """Start a browser for the time of a block.

    :param paths: of the browser and of its driver.
    :param folder: an empty one, for what it wants to keep.
    """
    browser, driver = paths
    options = ChromeOptions()
    options.binary_location = browser
    for option in (*_OPTIONS, f"--user-data-dir={folder}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # The path says that there is nothing to be looked for, and this that nothing is downloaded.
    environ = {**os.environ, "SE_OFFLINE": "true", "SE_AVOID_STATS": "true"}
    service = Service(driver, env=environ)
    chrome = Chrome(options, service, keep_alive=False)  # no socket that outlives a test
    try:
        yield chrome
    finally:
        chrome.quit()
