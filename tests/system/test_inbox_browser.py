"""The web inbox in a real browser: Chromium, without a window, on loopback only."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from support.daemon import PATIENCE_S, Daemon
from support.outside import need
from system.lettered import kept, lab, message, refused, send

ARTIFACTS = Path(__file__).parent / "artifacts"
#: Everything a mail may try, with the address of the test's own listener for URL.
HOSTILE = """<html><head><meta http-equiv="refresh" content="0;url=URL/refresh">
<link rel="stylesheet" href="URL/style"><link rel="prefetch" href="URL/prefetch">
<style>@import "URL/import"; body{background:url(URL/background)}
@font-face{font-family:x;src:url(URL/font)} p{font-family:x}</style>
<base href="URL/"><script src="URL/script"></script></head>
<body onload="location='URL/onload'"><p>Dear student</p>
<script>document.title='owned'; fetch('URL/fetch'); top.location='URL/top'</script>
<img src="URL/image" onerror="fetch('URL/onerror')"><img src=x onerror="top.document.title='owned'">
<iframe src="URL/iframe"></iframe><object data="URL/object"></object><embed src="URL/embed">
<video src="URL/video" autoplay></video><audio src="URL/audio" autoplay></audio>
<svg onload="fetch('URL/svg')"><image href="URL/svgimage"/></svg>
<form id="f" action="URL/form" method="post"><button id="go">Go</button></form>
<a id="link" href="URL/link" ping="URL/ping">link</a></body></html>"""


class Trap(BaseHTTPRequestHandler):
    """Remembers who asked for what; nobody should."""

    seen: list[str]

    def do_GET(self) -> None:
        self.seen.append(self.path)
        self.send_error(404)

    do_POST = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Not a word on the test's output."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    options = Options()
    options.binary_location = need("chromium")
    # Root, as in a container, has no sandbox of Chromium's own; --disable-background-networking:
    # nothing leaves this machine.
    for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
                 "--disable-background-networking", "--disable-component-update",
                 "--no-proxy-server", "--lang=en", "--window-size=1200,900"):  # fmt: skip
        options.add_argument(word)
    driver = webdriver.Chrome(options, Service(need("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The browser; a picture of its page is kept when the test fails."""
    failed_before = request.session.testsfailed
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    yield browser
    if request.session.testsfailed > failed_before:
        ARTIFACTS.mkdir(exist_ok=True)
        browser.save_screenshot(str(ARTIFACTS / f"{request.node.name}.png"))


def opened(page: Any, daemon: Daemon, path: str = "") -> Any:
    page.get(f"http://127.0.0.1:{daemon.ports['web']}/inbox{path}")
    return page


def until(page: Any, holds: Any) -> None:
    """Wait until something is true of the page."""
    changing = (StaleElementReferenceException,)
    WebDriverWait(page, PATIENCE_S, 0.05, changing).until(holds)


def subjects(page: Any) -> list[str]:
    return [one.text for one in page.find_elements(By.CSS_SELECTOR, "#rows th.subject a")]


def test_the_list_and_the_way_to_a_mail(page: Any, tmp_path: Path) -> None:
    """Both mails are listed, the refused one with its reply; a link leads to text and dialogue."""
    with lab(tmp_path, kept(message("first", "Hello Bob\n")), refused()) as daemon:
        opened(page, daemon)
        assert subjects(page) == ["(no message came)", "first"]
        assert "553 5.7.1" in page.find_element(By.ID, "rows").text
        page.find_element(By.LINK_TEXT, "first").click()
        assert "Hello Bob" in page.find_element(By.CSS_SELECTOR, "pre.letter").text
        page.find_element(By.LINK_TEXT, "Dialogue").click()
        assert "A rule forbids this sender" in page.find_element(By.TAG_NAME, "main").text
        page.find_element(By.LINK_TEXT, "中文").click()
        assert "策略不允许" in page.find_element(By.TAG_NAME, "main").text
        page.find_element(By.LINK_TEXT, "谁自称是谁").click()
        assert page.find_element(By.TAG_NAME, "html").get_attribute("lang") == "zh-CN"


def test_new_mail_appears_while_the_page_is_open(page: Any, tmp_path: Path) -> None:
    """In an empty list and in one with mails, without reloading, told to screen readers too."""
    with lab(tmp_path) as daemon:
        opened(page, daemon)
        until(page, lambda p: "on" in p.find_element(By.ID, "lamp").get_attribute("class"))
        page.execute_script("window.same = true")
        for number in (1, 2, 3):
            send(daemon, message(f"live {number}"))
            wanted = [f"live {n}" for n in range(number, 0, -1)]
            until(page, lambda p, wanted=wanted: subjects(p) == wanted)
        assert page.execute_script("return window.same")
        news = page.find_element(By.ID, "news")
        assert news.get_attribute("aria-live") == "polite"
        assert "live 3" in news.get_attribute("textContent")


def test_a_page_in_the_background_gives_its_connection_back(page: Any, tmp_path: Path) -> None:
    """Below a prefix too: hidden it does not listen; looked at again it shows what came since."""
    config = tmp_path / "netlab.toml"
    config.write_text('[web]\nprefix = "/a"\n')
    show = """Object.defineProperty(document, "hidden", {value: arguments[0], configurable: true});
              document.dispatchEvent(new Event("visibilitychange"));
              return events === null"""
    with lab(tmp_path, options=("--config", str(config))) as daemon:
        page.get(f"http://127.0.0.1:{daemon.ports['web']}/a/inbox")
        until(page, lambda p: "on" in p.find_element(By.ID, "lamp").get_attribute("class"))
        assert page.execute_script(show, True)
        send(daemon, message("meanwhile"))
        assert subjects(page) == []
        assert not page.execute_script(show, False)
        until(page, lambda p: subjects(p) == ["meanwhile"])


def test_live_mail_keeps_to_the_search(page: Any, tmp_path: Path) -> None:
    """The list of a search gets only what the search finds, and is found from the keyboard."""
    with lab(tmp_path, kept(message("apple")), kept(message("pear"))) as daemon:
        opened(page, daemon).find_element(By.ID, "q").send_keys("apple", Keys.ENTER)
        until(page, lambda p: subjects(p) == ["apple"])
        until(page, lambda p: "on" in p.find_element(By.ID, "lamp").get_attribute("class"))
        send(daemon, message("pear 2"))
        send(daemon, message("apple 2"))
        until(page, lambda p: subjects(p) == ["apple 2", "apple"])
        page.find_element(By.LINK_TEXT, "Show all").click()
        assert subjects(page) == ["apple 2", "pear 2", "pear", "apple"]


def test_a_hostile_mail_runs_nothing_and_loads_nothing(page: Any, tmp_path: Path) -> None:
    """Not by itself, and not when its form and link are pressed: nobody asks the listener."""
    trap = ThreadingHTTPServer(("127.0.0.1", 0), Trap)
    Trap.seen = []
    threading.Thread(target=trap.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{trap.server_port}"
    hostile = message("hostile <script>document.title='owned'</script>",
                      html=HOSTILE.replace("URL", url))  # fmt: skip
    try:
        with lab(tmp_path, kept(hostile)) as daemon:
            for path in ("", "/1", "/1/source", "/1/html", "/1/body.html"):
                opened(page, daemon, path)
                until(page, lambda p: p.execute_script("return document.readyState") == "complete")
                assert "owned" not in page.title.replace("title='owned'", "")
            opened(page, daemon, "/1/html")
            page.switch_to.frame(page.find_element(By.TAG_NAME, "iframe"))
            assert "Dear student" in page.find_element(By.TAG_NAME, "body").text
            page.find_element(By.ID, "go").click()
            page.find_element(By.ID, "link").click()
            page.switch_to.default_content()
            opened(page, daemon)  # all that was under way has had its time
            assert subjects(page)
        assert Trap.seen == []
        opened_directly = f"{url}/seen"
        page.get(opened_directly)
        assert Trap.seen[0] == "/seen"  # the trap works
    finally:
        trap.shutdown()
        trap.server_close()


def test_deleting_one_and_several(page: Any, tmp_path: Path) -> None:
    """By the button of a mail, and by check marks in the list; another window sees it go."""
    with lab(tmp_path, *(kept(message(name)) for name in "abcd")) as daemon:
        opened(page, daemon, "/1").find_element(By.CSS_SELECTOR, ".title button").click()
        until(page, lambda p: subjects(p) == ["d", "c", "b"])
        for box in page.find_elements(By.CSS_SELECTOR, "#rows input")[:2]:
            box.click()
        page.find_element(By.CSS_SELECTOR, ".bar button").click()
        until(page, lambda p: subjects(p) == ["b"])
        until(page, lambda p: "on" in p.find_element(By.ID, "lamp").get_attribute("class"))
        page.execute_script("fetch('/inbox/api/mails/2', {method: 'DELETE'})")
        until(page, lambda p: subjects(p) == [])


@pytest.mark.parametrize("path", ["", "/1", "/1/dialogue", "/1/claims", "/1/lint", "/1/parts"])
def test_every_page_fits_a_phone(page: Any, tmp_path: Path, path: str) -> None:
    """Nothing is wider than 360 pixels, whatever a mail's words are."""
    long = message("x" * 300, "y" * 3000 + "\n")
    with lab(tmp_path, kept(long), refused()) as daemon:
        metrics = {"width": 360, "height": 700, "deviceScaleFactor": 1, "mobile": True}
        page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        opened(page, daemon, path)
        assert page.execute_script("return document.documentElement.scrollWidth") <= 360


def test_the_pages_work_from_the_keyboard(page: Any, tmp_path: Path) -> None:
    """The first stop skips to the content; every control has a name; one main, one heading."""
    with lab(tmp_path, kept(message("first"))) as daemon:
        for path in ("", "/1", "/1/claims"):
            opened(page, daemon, path)
            page.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
            assert page.switch_to.active_element.get_attribute("class") == "skip"
            assert len(page.find_elements(By.TAG_NAME, "main")) == 1
            assert len(page.find_elements(By.TAG_NAME, "h1")) == 1
            controls = page.find_elements(By.CSS_SELECTOR, "a, button, input:not([type=hidden])")
            for control in (one for one in controls if one.is_displayed()):
                assert control.accessible_name, control.get_attribute("outerHTML")
