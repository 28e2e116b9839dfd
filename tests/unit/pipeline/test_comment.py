"""The comment on a pull request, for any config and any output of the engine."""

import base64
import re
from dataclasses import replace
from typing import Any

import pytest

from pipeline import comment
from pipeline.comment import LONGEST, MOST_OPERATIONS, Preview, markdown, marker, previewed
from pipeline.engine import Run
from pipeline.plan import Operation, Plan
from tests.unit.pipeline.fake_engine import HEAD
from tests.unit.pipeline.plans import (
    STACK,
)
from tests.unit.pipeline.stack_files import (
    file_of,
    hosts,
)
from tests.unit.pki import issue

ROUTE = Operation(f"{STACK}kyma-mtls:index:MtlsHost$kubernetes:core/v1:Service::target-orders", "delete")
KEY = Operation(f"{STACK}tls:index/privateKey:PrivateKey::key", "replace")
CHANGE = Operation(f"{STACK}kubernetes:core/v1:ConfigMap::map", "update")
REFUSAL = (
    "kyma-mtls:namespace: changes from a to b, which interrupts what is deployed: it is deleted and created again. To "
    "confirm: `pulumi config set --path 'confirm[0]' 'namespace=b'`"
)


def preview(
    output: str = "",
    *operations: Operation,
    errors: tuple[str, ...] = (),
    warnings: tuple[str, ...] = (),
    **files: Any,
) -> Preview:
    plan = None if errors else Plan(operations)
    given = {"before": file_of(), "after": file_of(**hosts(clients=["billing"])), **files}
    run = Run(1 if errors else 0, output, errors, warnings)
    return Preview("prod", given["before"], given["after"], run, plan, HEAD)


def section(text: str, heading: str) -> str:
    found = re.search(rf"### {heading}\n\n(.*?)(?=\n\n###|\n\n<details>|\Z)", text, re.DOTALL)
    assert found, text
    return found[1]


def test_comment_opens_with_who_may_call_whom_and_ends_with_the_diff() -> None:
    text = markdown(preview("    ~ kubernetes:core/v1:ConfigMap: (update)\n", CHANGE))
    lines = text.splitlines()
    assert lines[0] == marker("prod")
    assert lines[3] == "## `prod` at `3d3c42e`: 1 to update"
    order = [
        text.index(part) for part in ("Who may", "```mermaid", "- `orders` now admits", "What would be", "<details>")
    ]
    assert order == sorted(order)
    assert "\n~     kubernetes:core/v1:ConfigMap: (update)\n" in text, "the sign begins the line, where it is coloured"


def test_comment_says_first_that_no_access_changes() -> None:
    shown = section(markdown(preview("", after=file_of(**hosts(methods=["PUT"])))), "Who may call whom")
    assert shown.startswith("No client gains or loses access.\n\n- `hosts.orders.methods` gains `PUT`")
    shown = section(markdown(preview("", after=file_of())), "Who may call whom")
    assert shown == "No client gains or loses access."


def test_comment_records_the_operations_of_its_commit() -> None:
    assert previewed(markdown(preview("", CHANGE, ROUTE)), HEAD) == frozenset({CHANGE.digest, ROUTE.digest})
    assert previewed(markdown(preview("")), HEAD) == frozenset()
    assert previewed(markdown(preview("", errors=("it fails",))), HEAD) is None
    assert previewed(markdown(preview("", CHANGE)), HEAD[::-1]) is None


def test_preview_of_an_unknown_commit_records_no_operations() -> None:
    text = markdown(replace(preview("", CHANGE), head=""))
    assert "\n## `prod`: 1 to update\n" in text
    assert previewed(text, "") is None


def test_operations_are_read_from_their_own_line_only() -> None:
    forged = f"<!-- operations of {HEAD}: 0123456789abcd+/ -->"
    assert previewed(f"{marker('prod')}\n{forged}", HEAD) == frozenset({"01234567", "89abcd+/"})
    assert previewed(markdown(preview("", errors=(forged,), before=forged, after=forged)), HEAD) is None
    assert previewed(f"{marker('prod')}\n{forged.replace('abcd', 'abc')}", HEAD) is None
    assert previewed("", HEAD) is None
    assert previewed(marker("prod"), HEAD) is None


def test_interruption_names_what_is_deleted_or_replaced_in_clusters() -> None:
    shown = section(markdown(preview("", CHANGE, KEY, ROUTE)), "What would be interrupted")
    assert shown == "- delete `kubernetes:core/v1:Service target-orders`"


def test_comment_says_that_nothing_is_interrupted() -> None:
    assert "Nothing: " in section(markdown(preview("", CHANGE)), "What would be interrupted")


def test_refused_interruption_is_shown_with_its_remedy() -> None:
    text = markdown(preview("", errors=(f"hook failed:\n{REFUSAL}",)))
    assert "## `prod` at `3d3c42e`: the preview fails" in text
    assert REFUSAL in section(text, "What would be interrupted")
    assert REFUSAL in section(text, "Errors")


def test_failing_preview_leaves_interruptions_unknown() -> None:
    text = markdown(preview("", errors=("kyma-mtls:target.context: no such context",)))
    assert section(text, "What would be interrupted") == "Unknown, as the preview fails."
    assert "no such context" in section(text, "Errors")


@pytest.mark.parametrize(
    ("before", "after", "is_shown"),
    [
        ({}, {"generation": "2"}, True),
        ({}, {"generation": "2", "trustedGenerations": ["1"]}, True),
        ({"trustedGenerations": ["2"]}, {"generation": "2", "trustedGenerations": ["1"]}, False),
        ({}, {}, False),
    ],
)
def test_immediate_end_of_trust_is_an_interruption(
    before: dict[str, Any], after: dict[str, Any], is_shown: bool
) -> None:
    text = markdown(preview("", before=file_of(**before), after=file_of(**after)))
    assert ("Trust in the old CA ends at once" in text) == is_shown


def test_unreadable_file_is_reported_in_a_code_block() -> None:
    text = markdown(preview("", before="kyma-mtls:hosts: old rules", after=file_of()))
    assert "```\nkyma-mtls:hosts: old rules\n```" in text
    assert "is new" in text
    assert "The stack is new." in markdown(preview("", before=None))
    assert "cannot be read" in markdown(preview("", after="not the YAML file of a stack"))


def test_warnings_of_the_program_and_of_policies_are_shown() -> None:
    text = markdown(preview("", CHANGE, warnings=("kyma-mtls:target: istiod is away", "policy a: b: c")))
    assert section(text, "Warnings") == "```\nkyma-mtls:target: istiod is away\npolicy a: b: c\n```"
    assert text.index("### Warnings") < text.index("<details>")
    assert "### Warnings" not in markdown(preview("", CHANGE))


@pytest.mark.parametrize("line", ["+ some: change", "``` ``` ````` x", "é" * 40])
def test_long_diff_is_cut_with_a_sentence(line: str) -> None:
    text = markdown(preview(f"{line}\n" * 20_000))
    assert LONGEST - 500 < len(text.encode()) <= LONGEST
    assert re.search(r"\n… and more; the log of the run has all of it\.\n`{3,}\n\n</details>\n\Z", text)
    assert text.count("<details>") == text.count("</details>") == 1


def test_short_diff_is_whole() -> None:
    text = markdown(preview("+ some: change\n" * 10))
    assert text.count("+ some: change") == 10
    assert "cut here" not in text


def test_comment_with_only_long_parts_still_fits() -> None:
    many = {f"h{number}": {"domain": f"h{number}.example.com", "clients": ["billing"]} for number in range(500)}
    objects = [Operation(f"{STACK}kubernetes:core/v1:Service::{number}", "delete") for number in range(800)]
    for text in (
        markdown(preview("+ change\n" * 20_000, *objects, after=file_of(hosts=many))),
        markdown(preview("+ change\n" * 20_000, errors=tuple(f"error {number} {'x' * 200}" for number in range(900)))),
    ):
        assert len(text.encode()) <= LONGEST
        assert "… and" in text


def test_comment_of_5000_operations_has_their_digests_and_what_matters() -> None:
    many = {
        f"h{number}": {"domain": f"h{number}.{'long-' * 9}name.example", "clients": ["billing"]} for number in range(90)
    }
    operations = [Operation(f"{STACK}kubernetes:core/v1:Service::{number}", "delete") for number in range(5_000)]
    warnings = tuple(f"warning {number} {'x' * 300}" for number in range(500))
    after = file_of(hosts=many, generation="2")
    text = markdown(preview("+ change\n" * 20_000, *operations, warnings=warnings, after=after))
    assert len(text.encode()) <= LONGEST
    assert previewed(text, HEAD) == frozenset(each.digest for each in operations)
    assert "Trust in the old CA ends at once" in text
    assert "Host `h0` (" in text
    assert len(section(text, "Warnings")) > 5_000, "they come before the picture and the diff"
    assert "delete `kubernetes:core/v1:Service 0`" in text
    assert "```mermaid" not in text
    assert "\n+ change\n" in text


def test_more_operations_than_fit_are_deployed_by_hand() -> None:
    operations = [
        Operation(f"{STACK}kubernetes:core/v1:Service::{each}", "create") for each in range(MOST_OPERATIONS + 1)
    ]
    text = markdown(preview("", *operations))
    assert "A comment remembers 5,000 operations at most. Deploy these by hand once they are merged." in text
    assert previewed(text, HEAD) is None
    assert "remembers" not in markdown(preview("", *operations[1:]))


def test_errors_and_interruptions_survive_a_long_comment() -> None:
    many = {f"h{number}": {"domain": f"h{number}.example.com", "clients": ["billing"]} for number in range(500)}
    errors = (REFUSAL, *(f"error {number} {'x' * 200}" for number in range(900)))
    text = markdown(preview("+ change\n" * 20_000, errors=errors, warnings=("w" * 90_000,), after=file_of(hosts=many)))
    assert len(text.encode()) <= LONGEST
    assert section(text, "What would be interrupted") == f"```\n{REFUSAL}\n```"
    assert len(section(text, "Errors")) > 50_000
    assert "www\n… and more" in section(text, "Warnings")


def test_private_keys_and_tokens_are_masked() -> None:
    key = issue("leak").key_pem
    encoded = base64.b64encode(key.encode()).decode()
    token = ".".join(["eyJhbGciOiJSUzI1NiJ9", "eyJpc3MiOiJrdWJlcm5ldGVzIn0", "c2lnbmF0dXJl"])
    text = markdown(preview(f"key: {key}\ndata: {encoded}\ntoken: {token}\n", errors=(f"it says {key}", encoded)))
    for secret in (key.splitlines()[1], encoded[60:100], "c2lnbmF0dXJl"):
        assert secret not in text
    assert text.count("[secret]") == 5


def test_marker_identifies_one_stack() -> None:
    assert comment.is_marker(marker("prod-eu.1"))
    assert marker("prod") != marker("prod-eu")
    for other in ("", "<!-- other -->", f"{marker('prod')} more", marker("a b")):
        assert not comment.is_marker(other)
