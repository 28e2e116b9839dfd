"""The objects in the state of a stack."""

import json
from typing import Any

import pytest

from settings import ConfigError
from tests.unit.verification.stack_state import CLIENT, CLIENT_UID, KNOWN, STATE, TARGET, TARGET_UID, resource, state_of
from verification.state import Object, State


def test_state_has_the_mark_the_kinds_and_the_objects() -> None:
    assert STATE.owner == "0a1b"
    assert STATE.kinds == (("networking.istio.io/v1", "Gateway"), ("v1", "Namespace"), ("v1", "Secret"))
    assert STATE.known_in(TARGET_UID) == {
        Object("", "Namespace", "", "mtls"),
        Object("", "Secret", "istio-system", "certs"),
    }
    assert STATE.known_in(CLIENT_UID) == {
        Object("", "Secret", "istio-system", "credential"),
        Object("networking.istio.io", "Gateway", "mtls", "egress"),
    }
    assert STATE.known_in("replaced") == set()


def test_state_keeps_no_data() -> None:
    assert "SECRET" not in repr(STATE)


@pytest.mark.parametrize(
    "other",
    [
        resource(TARGET, "Service", "istio-system/istio-ingressgateway", external=True),
        resource(TARGET, "IstioPatch", "kyma-system/default", "operator.kyma-project.io/v1alpha2"),
        resource(TARGET, "Secret", ""),
        {"urn": "urn:x", "type": "pulumi:providers:kubernetes", "id": "1", "outputs": {"kubeconfig": "SECRET"}},
        {"urn": "urn:x", "type": "kyma-mtls:index:Placement"},
    ],
    ids=["read", "patch", "no-id", "provider", "component"],
)
def test_resources_that_the_stack_did_not_create_do_not_count(other: dict[str, Any]) -> None:
    assert state_of(*KNOWN, other) == STATE


def test_object_pending_deletion_is_known() -> None:
    state = state_of(resource(TARGET, "Secret", "mtls/old", delete=True))
    assert state.known_in(TARGET_UID) == {Object("", "Secret", "mtls", "old")}


def test_object_without_outputs_is_known_by_its_inputs() -> None:
    whole = resource(TARGET, "Secret", "mtls/new")
    del whole["outputs"]
    assert state_of(whole).known_in(TARGET_UID) == {Object("", "Secret", "mtls", "new")}


@pytest.mark.parametrize("deployment", [None, {}, {"resources": []}, {"resources": KNOWN}])
def test_state_without_a_mark_is_refused(deployment: object) -> None:
    with pytest.raises(ConfigError, match="stack test: its state has no RandomId owner; deploy it again"):
        State.read("test", json.dumps({"version": 3, "deployment": deployment}))


def test_object_is_known_under_every_version_of_its_kind() -> None:
    version = resource(CLIENT, "Gateway", "mtls/other", "networking.istio.io/v1beta1")
    assert Object.of("networking.istio.io/v1", "Gateway", "mtls", "other") in state_of(version).known_in(CLIENT_UID)
