"""A real browser for tests: Debian's Chromium without a screen, driven by Playwright, offline."""

import contextlib
import shutil

import pytest

CHROMIUM = shutil.which("chromium")
#: What keeps Chromium from asking for its maker's hosts at every start.
_FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


@contextlib.contextmanager
def opened():
    """Yields a browser; skips where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no chromium: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def page_at(browser, url, width=1200, scheme="light"):
    """Yields the page at `url`, and a list that gathers what it complains of.

    Complaints are errors of the console and of scripts, and requests to other hosts.
    """
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    )
    page, complaints = context.new_page(), []
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda r: None if _is_own(r.url, url) else complaints.append(r.url))
    page.goto(url)
    try:
        yield page, complaints
    finally:
        context.close()


def _is_own(address, url):
    return address.startswith(("data:", "blob:", "file:", "/".join(url.split("/")[:3])))


def missing_pictures(page):
    """The addresses of pictures that did not load, after all have come to an end."""
    page.wait_for_function("[...document.images].every(i => i.complete)")
    return page.evaluate("[...document.images].filter(i => !i.naturalWidth).map(i => i.src)")


def overflow(page):
    """By how many pixels the page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


def contrast_faults(page):
    """What axe finds against WCAG A and AA."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is missing")
    found = axe.Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa"]})
    return [rule["id"] for rule in found.response["violations"]]
