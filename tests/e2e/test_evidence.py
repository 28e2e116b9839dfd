"""The page of evidence in a real browser, Debian's Chromium: on a screen, on paper, and without scripts."""

import json
import re
from typing import Any

import pytest

from tests.e2e.support.browser import Browser, Shown
from tests.unit.verification.evidence.documents import check, document
from verification.evidence.page import page

BAD = (
    "</title></style></svg><script>document.title='ran'</script>"
    "<img src=http://evidence.invalid/x onerror=document.title='ran'>"
)
MEASURE = """<script>
const right = each => { const { x, width } = each.getBoundingClientRect(); return x + width; };
const wide = [...document.querySelectorAll("svg.picture g:has(rect)")].filter(group => {
  const mark = group.querySelector("g");
  const end = mark ? mark.getBoundingClientRect().x : right(group.querySelector("rect"));
  return [...group.querySelectorAll("text")].some(text => right(text) > end);
});
const names = wide.map(group => group.querySelector("text").textContent);
document.title = JSON.stringify({ names, page: document.documentElement.scrollWidth, screen: innerWidth });
</script>"""
"""Names the boxes out of which a text runs, and the widths of the page and of the screen."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Browser:
    return Browser(tmp_path_factory.mktemp("browser"))


@pytest.fixture(scope="module")
def shown(browser: Browser) -> Shown:
    """Return a page of three hosts and five clients with broken promises, in a browser that runs no script."""
    return browser.show(page(document(3, 5, broken=True)))


def title(shown: Shown) -> str:
    """Return the title of a page, after any script of it has run."""
    return shown.dom.partition("<title>")[2].partition("</title>")[0]


def test_browser_would_show_a_script_and_a_request(browser: Browser) -> None:
    unsafe = browser.show(f"<!DOCTYPE html>{BAD}", scripts=True)
    assert title(unsafe) == "ran"
    assert unsafe.asked == {"evidence.invalid"}


def test_values_run_no_script_and_request_nothing(browser: Browser) -> None:
    checks = [check(f"host {BAD}", BAD, "failed", seen=BAD, expected=BAD, look=BAD, host="host-0")]
    totals = {"passed": 0, "failed": 1, "skipped": 0, "error": 0}
    poisoned = document(stack=BAD, checks=checks, totals=totals, left=[BAD])
    poisoned["hosts"]["host-0"]["domain"] = poisoned["clients"]["client-0"]["identity"] = BAD
    seen = browser.show(page(poisoned), scripts=True)
    assert "ran" not in title(seen).replace(BAD.replace("<", "&lt;").replace(">", "&gt;"), "")
    assert "<script" not in seen.dom
    assert "<img" not in seen.dom
    assert seen.asked == set()
    assert "document.title='ran'" in "".join(seen.printed), "it is shown as text"


def test_page_is_whole_without_scripts(shown: Shown) -> None:
    assert title(shown) == "Verification of stack prod, 2026-11-29T07:20:00Z"
    assert len(re.findall(r'<g transform="[^"]*" class="way">', shown.dom)) == 11
    assert shown.dom.count("<article") == shown.dom.count("</article>") > 4
    assert shown.asked == set()


def test_page_says_on_paper_what_it_says_on_a_screen(shown: Shown) -> None:
    text = " ".join(" ".join(shown.printed).split())
    for words in ("2 promises are broken.", "Where to look", "✗ broken", "✓ kept", "? not judged", "ingress gateway"):
        assert words in text
    for number, printed in enumerate(shown.printed, 1):
        assert f"page {number} of {len(shown.printed)}" in printed


def test_large_stack_is_legible_on_paper(browser: Browser) -> None:
    printed = browser.show(page(document(50, 10, broken=True))).printed
    pictures = [text for text in printed if "Picture" in text]
    assert len(pictures) == 3
    for number, text in enumerate(pictures, 1):
        assert f"Picture {number} of 3" in text
        names = re.findall(r"\b(?:client|host)-\d+\b", text)
        assert {f"client-{at}" for at in range(10)} < set(names), "a picture is on one page"
    assert {f"host-{at}" for at in range(50)} <= set(re.findall(r"\bhost-\d+\b", "".join(pictures)))
    tables = [text for text in printed if "Seen, or why it was not tried" in text]
    assert len(tables) > 20, "each page repeats the head of its table"
    assert len(printed) < 60


@pytest.mark.parametrize("width", [1200, 500])
def test_long_names_stay_in_their_boxes_and_on_the_screen(browser: Browser, width: int) -> None:
    given = document(3, 5)
    text = json.dumps(given).replace("client-", f"{'w' * 50}-").replace("host-", f"{'shop-' * 12}m-")
    long: dict[str, Any] = json.loads(text)
    text = re.sub(r"<meta http-equiv=[^>]*>", "", page(long)).replace("</body>", f"{MEASURE}</body>")
    measured = json.loads(title(browser.show(text, scripts=True, width=width)).replace("&quot;", '"'))
    assert measured["names"] == []
    assert measured["page"] <= measured["screen"]


def test_page_follows_a_dark_screen(browser: Browser, shown: Shown) -> None:
    dark = browser.show(page(document(3, 5, broken=True)), "--force-dark-mode")
    assert dark.image != shown.image
    assert dark.printed == shown.printed
