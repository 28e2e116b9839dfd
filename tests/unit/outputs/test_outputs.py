"""The contract of the outputs: its files, its schema, and the models that the program exports by."""

from typing import Any

import jsonschema
import pytest

from outputs import VERSION, ClientOutput, GatewayOutput, Outputs, reference
from settings.reference import README_FILE, put_table
from tests.contract import check_outputs
from tests.unit.deployed import ACME, BILLING, HTTPBIN, KYMA_GATEWAY, PARTNER, TARGET, outputs_of, settings_of


def whole() -> dict[str, Any]:
    """Return the outputs of a stack that has all of them."""
    hosts = {"httpbin": {**HTTPBIN, "clients": ["billing", "acme"]}, "api": {**PARTNER, "clients": ["billing"]}}
    settings = settings_of(target=TARGET, clients={"billing": BILLING, "acme": ACME}, hosts=hosts)
    return outputs_of(settings) | {"gateway": KYMA_GATEWAY}


def test_reference_files_are_up_to_date() -> None:
    remedy = "run `make reference`"
    assert reference.SCHEMA_FILE.read_text() == reference.schema_text(), remedy
    readme = README_FILE.read_text()
    assert reference.table() in readme, remedy
    assert put_table(readme, reference.MARKER, reference.table()) == readme, remedy


def test_outputs_have_a_meaning_and_a_version_each() -> None:
    rows = [[cell.strip() for cell in row.strip("| ").split(" | ")] for row in reference.table().splitlines()[2:]]
    assert {row[0].strip("`").split(".")[0] for row in rows} == {*Outputs.model_json_schema()["properties"]}
    promised = [tuple(map(int, row[3].split("."))) for row in rows]
    assert max(promised) == tuple(map(int, VERSION.split("."))), "the contract is as new as its newest output"
    assert all(len(row) == 5 and row[4] for row in rows)


def test_schema_accepts_outputs_and_what_later_versions_add() -> None:
    jsonschema.Draft7Validator.check_schema(reference.schema())
    jsonschema.validate(whole(), reference.schema())
    jsonschema.validate(whole() | {"later": 1}, reference.schema())


@pytest.mark.parametrize(
    ("output", "value"),
    [
        ("caCertificate", "certificate"),
        ("caExpiry", "soon"),
        ("hosts", {"httpbin": {"domain": "httpbin.example.com"}}),
        ("target", {"namespace": "mtls", "ingressGateway": "edge", "address": "", "addresses": []}),
        ("signingRequests", {"api": {"billing": ""}}),
    ],
)
def test_schema_refuses_broken_promises(output: str, value: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        check_outputs(whole() | {output: value})


def test_output_outside_the_contract_is_refused() -> None:
    check_outputs(whole())
    host = {**whole()["hosts"]["httpbin"], "later": 1}
    for outputs in (whole() | {"later": 1}, whole() | {"hosts": {"httpbin": host}}):
        with pytest.raises(jsonschema.ValidationError, match="'later' was unexpected"):
            check_outputs(outputs)


def test_exported_fields_have_the_names_of_the_contract() -> None:
    exported = GatewayOutput.exported(**{name: name for name in GatewayOutput.model_fields})
    assert exported == {str(field.alias): name for name, field in GatewayOutput.model_fields.items()}
    assert exported["apiserverProxy"] == "apiserver_proxy"


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"identity": "spiffe://a", "hosts": [], "hostNames": []}, "hostNames"),
        ({"identity": "spiffe://a"}, "hosts"),
        ({"egressGateway": "a/b"}, "egressGateway, hosts, identity"),
    ],
    ids=["unknown", "missing", "both"],
)
def test_exported_fields_are_those_of_the_model(fields: dict[str, Any], wrong: str) -> None:
    with pytest.raises(TypeError, match=rf"^ClientOutput: unknown or missing: {wrong}$"):
        ClientOutput.exported(**fields)
