"""Who set which field of an object."""

from typing import Any

import pytest

from components.managed_fields import Path, added, managed, owners

LIVE: dict[str, Any] = {
    "metadata": {
        "managedFields": [
            {
                "manager": "kyma-mtls",
                "operation": "Apply",
                "fieldsV1": {"f:spec": {"f:action": {}, "f:ports": {'k:{"port":1,"protocol":"TCP"}': {"f:name": {}}}}},
            },
            {
                "manager": "edit",
                "operation": "Update",
                "fieldsV1": {"f:spec": {"f:rules": {}, "f:selector": {"f:a": {}}}},
            },
            {"manager": "operator", "subresource": "status", "fieldsV1": {"f:status": {}}},
            {"manager": "old"},
        ]
    },
    "spec": {
        "action": "DENY",
        "rules": [{"from": []}],
        "selector": {"a": "b"},
        "ports": [{"port": 2, "protocol": "TCP"}, {"port": 1, "protocol": "TCP", "name": "x"}],
    },
    "status": {"state": "Ready"},
}


@pytest.mark.parametrize(
    ("path", "names"),
    [
        (("spec", "action"), ["kyma-mtls"]),
        (("spec", "rules"), ["edit"]),
        (("spec", "rules", 0, "from"), ["edit"]),
        (("spec", "selector", "a"), ["edit"]),
        (("spec", "ports", 1, "name"), ["kyma-mtls"]),
        (("spec", "ports", 0, "name"), []),
        (("spec", "ports", 9, "name"), []),
        (("spec", "other"), []),
        (("status", "state"), ["operator"]),
    ],
)
def test_owners_of_a_field_are_those_that_set_it_or_all_of_what_it_is_in(path: Path, names: list[str]) -> None:
    assert [each.manager for each in owners(managed(LIVE), LIVE, path)] == names


def test_managers_of_objects_without_any_are_none() -> None:
    assert managed({"metadata": {}}) == []
    assert managed({}) == []
    assert managed(LIVE)[2].subresource == "status"
    assert managed(LIVE)[3].fields == {}
    assert [each.is_stacks for each in managed(LIVE)] == [True, False, False, False]


@pytest.mark.parametrize(
    ("fields", "live", "applied", "paths"),
    [
        ({"f:a": {}}, {"a": 1}, {"a": 1}, []),
        ({"f:a": {}}, {"a": 1}, {}, [("a",)]),
        ({"f:a": {}}, {}, {}, []),
        ({"f:a": {"f:b": {}}}, {"a": {"b": 1}}, {"a": None}, []),
        ({"f:a": {"f:b": {}}}, {"a": {"b": 1}}, {}, [("a",)]),
        ({"f:a": {".": {}, "f:b": {}}}, {"a": {"b": 1, "c": 2}}, {"a": {"c": 2}}, [("a", "b")]),
        ({"f:a": {}}, {"a": {"b": 1, "c": 2}}, {"a": {"c": 2}}, [("a", "b")]),
        ({"f:a": {}}, {"a": [1, 2]}, {"a": [1]}, []),
        ({"f:a": {'k:{"n":1}': {"f:b": {}}}}, {"a": [{"n": 1, "b": 2}]}, {"a": [{"n": 1}]}, [("a", 0, "b")]),
        ({"f:a": {'k:{"n":3}': {"f:b": {}}}}, {"a": [{"n": 1, "b": 2}]}, {"a": [{"n": 1}]}, []),
        (
            {"f:a": {'k:{"n":1,"protocol":"TCP"}': {"f:b": {}}}},
            {"a": [{"n": 1, "protocol": "TCP", "b": 2}]},
            {"a": [{"n": 1.0}]},
            [("a", 0, "b")],
        ),
        (
            {"f:a": {'k:{"n":1,"protocol":"UDP"}': {"f:b": {}}}},
            {"a": [{"n": 1, "protocol": "UDP", "b": 2}]},
            {"a": [{"n": 1, "protocol": "TCP"}]},
            [],
        ),
        ({"f:a": {'v:"x"': {}}}, {"a": ["x"]}, {"a": ["x"]}, []),
        ({"f:a": {'k:{"n":1}': {}}}, {"a": {"n": 1}}, {"a": [{"n": 1}]}, []),
    ],
    ids=[
        "applied",
        "added",
        "gone",
        "unknown",
        "whole",
        "below",
        "atomic",
        "list",
        "item",
        "other-item",
        "default-key",
        "other-key",
        "value",
        "no-list",
    ],
)
def test_added_fields_are_those_that_were_not_applied(fields: Any, live: Any, applied: Any, paths: list[Path]) -> None:
    assert list(added(fields, live, applied)) == paths
