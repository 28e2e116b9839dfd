"""The page: every value of the document is in it, as text, and nothing else."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.unit.verification.evidence.documents import RUN, check, document
from verification.evidence import page as module
from verification.evidence.page import headline, page
from verification.report import as_json

VOID = {"meta", "link", "br", "img", "path", "rect", "circle"}


class Read(HTMLParser):
    """Keeps the elements of a page with their attributes, and the text of each table's cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag == "tr":
            self.rows[-1] = [" ".join(cell.split()) for cell in self.rows[-1]]

    def handle_data(self, data: str) -> None:
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for each, attributes in self.elements if each == tag]


def one(*checks: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the document of a stack of one host and one client with these checks."""
    totals = {each: sum(one["verdict"] == each for one in checks) for each in ("passed", "failed", "skipped", "error")}
    return document(**{"checks": list(checks), "totals": totals, "promises": len(checks), **more})


@pytest.mark.parametrize(("hosts", "clients"), [(0, 0), (1, 0), (0, 1), (1, 1), (3, 5), (50, 10)])
@pytest.mark.parametrize("broken", [False, True])
def test_page_has_no_script_and_names_nothing_outside_itself(hosts: int, clients: int, broken: bool) -> None:
    if broken and not (hosts and clients):
        return
    text = page(document(hosts, clients, broken=broken))
    read = Read(text)
    assert read.open == []
    assert not {"script", "link", "img", "iframe", "object", "embed", "base", "form", "use"} & {
        tag for tag, _ in read.elements
    }
    for _, attributes in read.elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "srcset", "style")]
        assert (attributes.get("href") or "#").startswith("#")
    assert not re.search(r"url\(|@import|https?://", text.partition("<body>")[0])
    identifiers = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(set(identifiers)) == len(identifiers)
    assert {(each["href"] or "")[1:] for each in read.all("a")} <= set(identifiers)


def test_page_forbids_scripts_and_requests_but_allows_its_own_style() -> None:
    text = page(document())
    policy = next(each["content"] for each in Read(text).all("meta") if "http-equiv" in each)
    style = text.partition("<style>")[2].partition("</style>")[0]
    nothing = "default-src 'none'; base-uri 'none'; form-action 'none'"
    assert policy == f"{nothing}; style-src 'sha256-{_base64_digest(style)}'"


def _base64_digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_page_escapes_every_value() -> None:
    bad = "<script>alert(1)</script>\"'><b onload=x>&amp;\u202e\x1b[2J"

    def poisoned(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {
                f"{key}{bad}" if name in ("hosts", "clients") else key: poisoned(each, key)
                for key, each in value.items()
            }
        if isinstance(value, list):
            return [poisoned(each) for each in value]
        kept = name in ("verdict", "began", "ends") or not isinstance(value, str)
        return value if kept else f"{value}{bad}"

    given = document(
        3, 5, broken=True, left=["x"], commit={"tree": "a", "ci": {"variable": "GITHUB_SHA", "value": "b"}}
    )
    text, plain = page(poisoned(given)), page(given)
    assert [tag for tag, _ in Read(text).elements] == [tag for tag, _ in Read(plain).elements]
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "\u202e" not in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("verdict", "word", "sign"),
    [
        ("passed", "kept", "✓"),
        ("failed", "broken", "✗"),
        ("error", "not judged", "?"),
        ("skipped", "not tried", "\N{EN DASH}"),
    ],
)
def test_page_says_each_verdict_in_words_and_by_a_sign(verdict: str, word: str, sign: str) -> None:
    read = Read(page(one(check("host a", "it is refused", verdict, host="host-0", client="client-0"))))
    (row,) = [row for row in read.rows if row[0] == "it is refused"]
    assert row[1] == f"{sign} {word}"
    assert f"{sign} {word}: client-0" in [cell for row in read.rows for cell in row]


def test_page_shows_expected_seen_and_look_of_a_broken_promise() -> None:
    text = page(one(check("host a", "it is refused", "failed")))
    finding = text.partition("<h2>Broken</h2>")[2].partition("</article>")[0]
    for value in ("host a: it is refused", "a TLS alert in both", "GET / got 200\nof the workload", "x authz check"):
        assert value in finding
    assert "No promise that was tried is broken" not in text
    assert "No promise that was tried is broken" in page(one(check("host a", "it is refused")))


def test_page_names_what_was_not_tried_by_its_reason() -> None:
    checks = [check(f"host {each}", "it is refused", "skipped", seen="--read-only: creates Pods") for each in "ab"]
    part = page(one(*checks)).partition("<h2>Not tried</h2>")[2]
    assert part.count("<h3>--read-only: creates Pods</h3>") == 1
    assert "(host a, host b)" in part
    assert "Every promise that was judged was tried" in page(one(check("host a", "it is refused")))


def test_certificates_are_listed_with_days_left_at_the_time_of_the_run() -> None:
    ends = {"2026-11-28T07:20:00Z": "-1 expired", "2026-12-28T07:20:00Z": "29 ends soon", "2027-11-29T07:20:00Z": "365"}
    given = [{"path": f"hosts.{end[:10]}", "of": "a host", "ends": end} for end in ends]
    rows = [row for row in Read(page(document(certificates=given))).rows if row[0] in ends]
    assert [row[:2] for row in rows] == [[end, days] for end, days in ends.items()]


def test_page_says_where_and_when_the_verification_ran() -> None:
    text = page(document(commit={"tree": "0a1b-dirty", "ci": {"variable": "GITHUB_SHA", "value": "2c3d"}}))
    for value in ("stack prod", "2026-11-29T07:20:00Z", "24.1 s", "0a1b-dirty", "with changed files", "GITHUB_SHA"):
        assert value in text
    assert "2c3d" in text
    assert "outputs 1.0, python 3.11.2, tls OpenSSL 3.0.17" in text
    without = page(document(commit={"tree": None, "ci": None}))
    assert "not known: no git work tree" in without
    assert "GITHUB_SHA" not in without


def test_page_names_the_digest_of_the_document_as_it_is_printed() -> None:
    given = document()
    printed = f"{as_json(given)}\n"
    assert hashlib.sha256(printed.encode()).hexdigest() in page(given)
    assert page(json.loads(printed)) == page(given)


def test_page_is_the_same_for_the_same_document() -> None:
    assert page(document(3, 5, broken=True)) == page(document(3, 5, broken=True))


def test_page_says_which_promises_were_chosen() -> None:
    assert "every promise of the stack" in page(document())
    chosen = {"readOnly": True, "hosts": ["host-0"], "clients": ["client-0"], "only": ["TLS"], "timeout": 120}
    text = page(document(options=chosen))
    for words in ("about hosts: host-0", "about clients: client-0", "one of these texts: TLS", "read-only: nothing"):
        assert words in text
    assert "every promise of the stack" not in text
    assert "strict: what was not tried counts as not judged" in page(document(options={**chosen, "strict": True}))


PASSED, FAILED, SKIPPED, ERROR = (check("a", "b", each) for each in ("passed", "failed", "skipped", "error"))


@pytest.mark.parametrize(
    ("given", "verdict", "sentences"),
    [
        (one(PASSED, SKIPPED), "passed", ["Every promise that was tried is kept."]),
        (one(SKIPPED), "skipped", ["No promise was tried."]),
        (one(PASSED, FAILED), "failed", ["1 promise is broken."]),
        (
            one(FAILED, FAILED, ERROR),
            "failed",
            ["2 promises are broken.", "1 promise could not be judged."],
        ),
        (one(PASSED, ERROR, ERROR), "error", ["2 promises could not be judged."]),
        (one(PASSED, left=["x"]), "error", ["Objects of the verification are left in a cluster."]),
        (
            one(PASSED, ended="SIGINT", promises=9),
            "error",
            ["The run was ended by SIGINT: 1 of 9 promises were judged."],
        ),
        (one(PASSED, exitCode=2), "error", ["The verification ended with exit code 2."]),
        ({"problems": ["no stack"]}, "error", ["The stack could not be verified.", "no stack"]),
    ],
)
def test_headline_is_green_only_if_all_that_was_tried_is_kept(
    given: dict[str, Any], verdict: str, sentences: list[str]
) -> None:
    assert headline(given) == (verdict, sentences)


def test_page_of_an_interrupted_run_counts_what_is_missing() -> None:
    text = page(one(PASSED, ended="SIGTERM", promises=9))
    assert "8 promises were not judged before SIGTERM ended the run" in text
    assert "Every promise that was tried is kept" not in text


def test_page_lists_commands_for_what_is_left_behind() -> None:
    command = "cluster of client a: kubectl delete namespaces -l x"
    assert command in page(one(PASSED, left=[command]))
    assert "Left behind" not in page(one(PASSED))


def test_page_names_places_in_which_nothing_was_sought() -> None:
    text = page(one(PASSED, notSought=["cluster of client a: no answer"]))
    assert "<li>cluster of client a: no answer</li>" in text
    assert "left objects in these places" not in page(one(PASSED))
    strict = one(PASSED, notSought=["cluster of client a: no answer"], exitCode=2)
    assert headline(strict) == ("error", ["It is not known what a killed run left in a cluster."])


def test_page_of_a_verification_that_could_not_begin_has_its_problems_alone() -> None:
    text = page({"stack": None, **RUN, "exitCode": 2, "problems": ["--host: no host <b>"]})
    assert "The stack could not be verified." in text
    assert "--host: no host &lt;b&gt;" in text
    assert "<h2>" not in text


def test_tables_have_headers_with_a_scope_and_headings_skip_no_level() -> None:
    read = Read(page(document(3, 5, broken=True)))
    assert {each.get("scope") for each in read.all("th")} == {"col", "row"}
    levels = [int(tag[1]) for tag, _ in read.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert read.all("html") == [{"lang": "en"}]


def _colors(theme: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z]+): (#[0-9a-f]{3,6})", theme))


def _luminance(color: str) -> float:
    digits = color[1:] if len(color) > 4 else "".join(2 * each for each in color[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one_color: str, other: str) -> float:
    low, high = sorted((_luminance(one_color), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark", "paper"])
def test_colors_have_the_contrast_that_wcag_asks_for(theme: str) -> None:
    style = (Path(module.__file__).parent / "templates/page.css").read_text()
    themes = dict(zip(("light", "dark", "paper"), style.split(":root {")[1:], strict=True))
    colors = _colors(themes[theme].partition("}")[0])
    for text in ("text", "dim", "kept", "broken", "unjudged", "untried", "link"):
        for ground in ("page", "raised", *(["station"] if text == "text" else [])):
            assert _contrast(colors[text], colors[ground]) >= 4.5, (text, ground)
    for mark in ("kept", "broken", "unjudged"):
        assert _contrast(colors["sign"], colors[mark]) >= 4.5, mark
    assert _contrast(colors["line"], colors["page"]) >= 3
