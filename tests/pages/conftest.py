"""A real browser for the pages: Debian's Chromium, headless, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, sync_playwright

from tests.pages.opening import Opener

BROWSERS = ("chromium", "chromium-browser", "google-chrome")

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """A browser with a new profile. Without Chromium its tests fail: what they look at would go unseen."""
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        pytest.fail(
            f"the pages are tested in a real browser, and none of {', '.join(BROWSERS)} is installed: run "
            "./run_tests.sh as root, or: apt-get install chromium (and to leave these tests out: -m 'not browser')",
            pytrace=False,
        )
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"),
            executable_path=executable,
            args=FLAGS,
            headless=True,
            viewport={"width": 1366, "height": 768},
        )
        yield context
        context.close()


@pytest.fixture
def opened(browser: BrowserContext, tmp_path: Path) -> Iterator[Opener]:
    """Opens pages, and afterwards sees to it that nothing went wrong in them and nothing was asked of a network."""
    opener = Opener(browser, tmp_path)
    yield opener
    opener.close()
    assert opener.problems == []
    assert [url for url in opener.requests if not url.startswith("file://")] == []
