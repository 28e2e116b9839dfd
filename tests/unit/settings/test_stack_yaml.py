"""A stack's file: ambiguous values, and private keys in clear."""

import json
from typing import Any

import pytest
import yaml

from settings import ConfigError, read_config, stack_yaml
from tests.unit.config import SMALLEST, engine_config
from tests.unit.pki import issue

DATE = "YAML takes it for a date; put it in quotes"
NUMBER = "YAML takes it for a number; put it in quotes, or write a decimal number"
BOOLEAN = "YAML takes it for a boolean; put it in quotes, or write true or false"
HOLDER = issue("billing", hosts=("billing.example.com",))


def stack_file(value: str) -> str:
    return f"config:\n  kyma-mtls:target:\n    context: {value}\n  other:key: 010\n"


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        *((value, DATE) for value in ("2026-11-01", "2026-1-5", "2026-11-01T10:00:00Z")),
        ("2026-11-01 00:00:00 +0000 UTC", DATE),
        *((value, NUMBER) for value in ("010", "089", "0x1F", "0o17", "0b11", "1_000", "+5", "1.30", "1e3", "12:30")),
        *((value, NUMBER) for value in (".inf", ".nan", "12345678901234567890")),
        *((value, BOOLEAN) for value in ("off", "No", "YES", "on")),
    ],
)
def test_value_that_yaml_takes_for_another_is_refused_by_its_key(value: str, problem: str) -> None:
    assert stack_yaml.problems(stack_file(value)) == {"target.context": f"{value}: {problem}"}
    assert stack_yaml.load(stack_file(value)) == {"target": {"context": value}}, "a text, and no traceback"


@pytest.mark.parametrize("value", ["'2026-11-01'", '"010"', "|-\n      010"])
def test_value_in_quotes_is_a_text(value: str) -> None:
    assert stack_yaml.problems(stack_file(value)) == {}
    assert stack_yaml.load(stack_file(value))["target"]["context"] in {"2026-11-01", "010"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("7", 7),
        ("-3", -3),
        ("0", 0),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("y", "y"),
        ("192.0.2.1", "192.0.2.1"),
        ("2026-11", "2026-11"),
        ("offer", "offer"),
        ("nulls", "nulls"),
        ("1a", "1a"),
    ],
)
def test_value_that_every_reader_takes_alike_is_taken(value: str, expected: Any) -> None:
    assert stack_yaml.problems(stack_file(value)) == {}
    assert stack_yaml.load(stack_file(value)) == {"target": {"context": expected}}


def test_names_and_items_of_lists_are_judged_as_values_are() -> None:
    text = "config:\n  kyma-mtls:clients: {no: {}, 2026: {}}\n  kyma-mtls:trustedGenerations: [010, '010']\n"
    assert stack_yaml.problems(text) == {
        "clients.no": f"the name no: {BOOLEAN}",
        "trustedGenerations[0]": f"010: {NUMBER}",
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "config:",
        "config: text",
        "42",
        "- a",
        "config: [",
        "other: {kyma-mtls:a: 010}",
        "config: {kyma-mtls:a: &a [*a]}",
    ],
)
def test_file_without_the_projects_config_has_no_problems(text: str) -> None:
    assert stack_yaml.problems(text) == {}


def test_ambiguous_value_is_one_line_beside_the_further_problems() -> None:
    text = "config:\n  kyma-mtls:generation: 2026-11-01\n"
    config = engine_config(SMALLEST | {"generation": "2026-11-01 00:00:00 +0000 UTC", "validityDays": "x"})
    with pytest.raises(ConfigError) as caught:
        read_config(config, stack_file=text)
    first, second = str(caught.value).splitlines()
    assert first == f"kyma-mtls:generation: 2026-11-01: {DATE}"
    assert second.startswith("kyma-mtls:validityDays: 'x'")


def test_ambiguous_value_is_refused_although_it_is_a_right_one_by_now() -> None:
    with pytest.raises(ConfigError, match=r"^kyma-mtls:generation: 010: YAML takes it for a number[^\n]*$"):
        read_config(engine_config(SMALLEST | {"generation": "8"}), stack_file="config: {kyma-mtls:generation: 010}")


@pytest.mark.parametrize("other", ["key", "certificate"])
def test_private_key_in_clear_is_refused_although_another_key_of_the_structure_is_encrypted(other: str) -> None:
    credentials: dict[str, dict[str, Any]] = {"caller": {"certificate": HOLDER.pem, "key": HOLDER.key_pem}}
    credentials["b"] = {other: {"secure": "v1:x"}}
    hosts = {"api": {"domain": "api.example.com", "external": {"credentials": credentials}}}
    place = "hosts.api.external.credentials.caller.key"
    text = yaml.safe_dump({"config": {"kyma-mtls:hosts": hosts}})
    message = f"not encrypted; `pulumi config set --path --secret '{place}'`"
    assert stack_yaml.problems(text) == {place: message}
    credentials["caller"]["key"] = {"secure": "v1:y"}
    assert stack_yaml.problems(yaml.safe_dump({"config": {"kyma-mtls:hosts": hosts}})) == {}
    whole = json.dumps({"a": HOLDER.key_pem})
    assert list(stack_yaml.problems(yaml.safe_dump({"config": {"kyma-mtls:hosts": whole}}))) == ["hosts"]
