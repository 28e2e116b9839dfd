"""What users read of the config is what the models say."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from settings import Settings, reference
from settings.section import PROJECT
from tests.unit.config import SMALLEST

ROOT = Path(__file__).parents[3]
STACK_FILE = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())


def validate(**config: Any) -> None:
    """Judge config of a stack's file by the schema."""
    values = {f"{PROJECT}:{key}": value for key, value in (SMALLEST | config).items()}
    jsonschema.validate({"config": values}, reference.schema())


def test_files_are_up_to_date() -> None:
    remedy = "run `make reference`"
    assert reference.SCHEMA_FILE.read_text() == reference.schema_text(), remedy
    assert reference.table() in reference.PAGE.read_text(), remedy
    assert {path: path.read_text() for path in reference.generated()} == reference.generated(), remedy


def test_pulumi_yaml_leaves_the_keys_to_the_models() -> None:
    project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
    assert list(project["config"]) == ["pulumi:disable-default-providers"]


def test_every_key_has_a_meaning() -> None:
    rows = [row.split(" | ") for row in reference.table().splitlines()[2:]]
    assert {row[0].strip("| `").split(".")[0] for row in rows} == set(Settings.keys())
    assert all(len(row) == 4 and row[3].strip(" |") not in {"", "None"} for row in rows)


def test_the_schema_is_one() -> None:
    jsonschema.Draft7Validator.check_schema(reference.schema())


def test_the_lab_has_a_valid_stack() -> None:
    jsonschema.validate(STACK_FILE, reference.schema())


@pytest.mark.parametrize(
    "config",
    [
        {"validityDays": 90, "gatewayTakeOver": True, "generation": 2},
        {"validityDays": "90", "gatewayTakeOver": "true", "generation": "2"},
        {"trustedGenerations": [2, "2026-11"]},
        {"gatewayKey": {"secure": "v1:x"}},
        {"hosts": {"a": {"domain": "a.example.com", "clients": [], "paths": ["/a/*"]}}},
        {"hosts": {"a": {"domain": "a.example.com", "service": {"namespace": "b", "name": 7, "port": "80"}}}},
    ],
)
def test_the_schema_accepts_what_is_right(config: dict[str, Any]) -> None:
    validate(**config)


def test_the_schema_accepts_what_is_not_ours() -> None:
    config = {"aws:region": "x", "pulumi:tags": {"a": "b"}}
    jsonschema.validate({"config": config, "secretsprovider": "x", "environment": ["x"]}, reference.schema())


@pytest.mark.parametrize(
    "config",
    [
        {"colour": "blue"},
        {"platform": "openshift"},
        {"validityDays": "soon"},
        {"validityDays": 0},
        {"gatewayTakeOver": "perhaps"},
        {"generation": "Two"},
        {"trustedGenerations": ["2.1"]},
        {"hosts": {"a": {}}},
        {"hosts": {"A": {"domain": "a.example.com"}}},
        {"hosts": {"a": {"domain": "a.example.com", "colour": "blue"}}},
        {"hosts": {"a": {"domain": "a.example.com", "methods": ["get"]}}},
        {"hosts": {"a": {"domain": "a.example.com", "service": {"namespace": "a", "name": "b", "port": 65536}}}},
        {"clients": {"a": {"networkPolicy": False}}},
    ],
)
def test_the_schema_refuses_what_is_wrong(config: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        validate(**config)
