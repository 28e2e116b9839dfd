"""What Secrets must hold, by their annotation."""

import base64

import pytest

from components import secret_contents
from tests.unit.pki import issue

SERVER, OTHER = issue("server"), issue("other")
TEXTS = {"cert": SERVER.pem, "key": SERVER.key_pem, "cacert": OTHER.pem}
ANNOTATION = secret_contents.described(TEXTS)


def data(**changed: str) -> dict[str, str]:
    return {name: base64.b64encode(text.encode()).decode() for name, text in {**TEXTS, **changed}.items() if text}


def test_annotation_names_each_entry_and_has_nothing_of_a_key() -> None:
    names = [each.partition(":")[0] for each in ANNOTATION.split()]
    assert names == ["cacert", "cert", "key"]
    assert ANNOTATION.endswith(" key")
    with_another_key = secret_contents.described({**TEXTS, "key": OTHER.key_pem})
    assert with_another_key == ANNOTATION
    assert secret_contents.described({"cert": None}) == secret_contents.described({"cert": ""})


def test_secret_that_has_what_the_annotation_says_has_no_differences() -> None:
    assert list(secret_contents.differences(ANNOTATION, data())) == []
    assert list(secret_contents.differences("", data(further="x"))) == [], "its entries are not the stack's"


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"cacert": SERVER.pem}, [("cacert", ": another value than the stack set")]),
        ({"cacert": ""}, [("cacert", ": gone")]),
        ({"further": "x"}, [("further", "")]),
        ({"key": OTHER.key_pem}, [("key", ": not the key of the certificate")]),
        ({"key": "no key"}, [("key", ": not the key of the certificate")]),
        (
            {"cert": OTHER.pem},
            [("cert", ": another value than the stack set"), ("key", ": not the key of the certificate")],
        ),
        ({"key": ""}, [("key", ": gone")]),
    ],
    ids=["ca", "no-ca", "further", "key", "no-key", "certificate", "without-key"],
)
def test_differences_are_named_without_their_values(changed: dict[str, str], found: list[tuple[str, str]]) -> None:
    assert list(secret_contents.differences(ANNOTATION, data(**changed))) == found


def test_entry_that_is_no_base64_is_another_value() -> None:
    assert list(secret_contents.differences(ANNOTATION, data() | {"cacert": "%"})) == [
        ("cacert", ": another value than the stack set")
    ]
