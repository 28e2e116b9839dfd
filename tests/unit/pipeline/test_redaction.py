"""Secrets that are masked."""

import base64
from collections.abc import Mapping

import pytest

from pipeline.redaction import in_safe_parts, redacted
from tests.unit.pki import issue
from tests.unit.policies.key_encodings import OF_DER, OF_PEM, Encode, der, is_der, keys

REFUSED = (
    "error: pulumi:providers:kubernetes resource 'uid': property kubeconfig value {&{{a: hunter2\nb: 2}}} has a "
    'problem: "kubeconfig" arg is not compatible\n'
)
SHOWN = (
    "error: pulumi:providers:kubernetes resource 'uid': property kubeconfig value (withheld) has a "
    'problem: "kubeconfig" arg is not compatible\n'
)


def of_der(encode: Encode) -> Encode:
    """Return how a text holds the DER of a PEM key, if there is any."""
    return lambda pem: encode(der(pem)) if is_der(pem) else ""


ENCODINGS: Mapping[str, Encode] = {**OF_PEM, **{name: of_der(encode) for name, encode in OF_DER.items()}}


def test_certificate_is_not_masked() -> None:
    pem = issue("public").pem
    encoded = base64.b64encode(pem.encode()).decode()
    assert redacted(f"{pem}{encoded}") == f"{pem}{encoded}"


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS.keys())
def test_stream_is_masked_like_a_whole_text(encode: Encode) -> None:
    for name, pem in keys().items():
        text = f"before\n{encode(pem)}\nafter: the next line\nand one more\n"
        shown = "".join(in_safe_parts(text.splitlines(keepends=True)))
        assert shown == redacted(text), name
        assert ("[secret]" in shown) == bool(encode(pem))
        assert shown.startswith("before\n")
        assert shown.endswith("after: the next line\nand one more\n")


def test_values_of_a_plan_are_withheld() -> None:
    error = "error: resource urn violates plan: properties changed: ~~kubeconfig[{&{{hunter2}}}!={x}]\nhunter2"
    assert redacted(error) == "error: resource urn violates plan: properties changed: (values withheld)\n"


@pytest.mark.parametrize("end", ["", "the next line\n"])
def test_value_that_a_provider_refuses_is_withheld(end: str) -> None:
    assert redacted(REFUSED + end) == SHOWN + end
    assert "".join(in_safe_parts(f"{REFUSED}{end}".splitlines(keepends=True))) == SHOWN + end
    assert "hunter2" not in redacted(REFUSED.partition(" has a")[0])
    assert redacted("the value {a} changes\nmetadata: value {") == "the value {a} changes\nmetadata: value {"


def test_harmless_lines_are_printed_at_once() -> None:
    key = issue("leak").key_pem
    lines = [
        "before\n",
        *key.splitlines(keepends=True),
        "after\n",
        "x violates plan: properties changed: ~~a[\n",
        "b\n",
    ]
    assert [*in_safe_parts(lines)] == [
        "before\n",
        "[secret]\n",
        "after\n",
        "x violates plan: properties changed: (values withheld)\n",
    ]


def test_mark_without_a_key_does_not_withhold_the_rest_of_a_log() -> None:
    lines = [
        "a key begins with -----BEGIN PRIVATE KEY-----\n",
        *(f"line {number} of the log\n" for number in range(9999)),
    ]
    parts = [*in_safe_parts(lines)]
    assert len(parts) > 5_000
    assert "".join(parts) == "".join(lines).replace("-----BEGIN PRIVATE KEY-----", "[secret]")
