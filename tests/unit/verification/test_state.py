"""The objects in the state of a stack."""

import json
from typing import Any

import pytest

from settings import ConfigError
from tests.unit.verification.stack_state import (
    CLIENT,
    CLIENT_UID,
    KNOWN,
    SIGNATURE,
    STATE,
    TARGET,
    TARGET_UID,
    resource,
    state_of,
)
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


def test_state_has_the_manifests_of_the_objects_that_stay_in_a_cluster() -> None:
    state = state_of(*KNOWN, resource(CLIENT, "Secret", "mtls/old", delete=True))
    assert state.manifests_in(CLIENT_UID) == [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "credential", "namespace": "istio-system"},
            "data": None,
        },
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "Gateway",
            "metadata": {"name": "egress", "namespace": "mtls"},
            "data": None,
        },
    ]


def test_secret_item_of_a_list_is_none_in_a_manifest() -> None:
    secret = {SIGNATURE: "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "SECRET"}
    found = resource(CLIENT, "Gateway", "mtls/egress", "networking.istio.io/v1")
    found["inputs"] = {**found["inputs"], "spec": {"hosts": ["a", secret], "servers": [{"token": secret, "port": 1}]}}
    (manifest,) = state_of(found).manifests_in(CLIENT_UID)
    assert manifest["spec"] == {"hosts": ["a", None], "servers": [{"token": None, "port": 1}]}


def test_state_has_the_fields_that_the_stack_set_in_objects_of_others() -> None:
    spec = {"components": {"egressGateway": {"enabled": True}}}
    api_version, known = "operator.kyma-project.io/v1alpha2", "kyma-system/default"
    patch = resource(CLIENT, "IstioPatch", known, api_version)
    patch["inputs"] = {"apiVersion": api_version, "kind": "Istio", "metadata": {"name": "default"}, "spec": spec}
    old = {**patch, "id": "kyma-system/old", "delete": True}
    state = state_of(*KNOWN, patch, old, resource(CLIENT, "IstioPatch", known, api_version))
    assert state.patches_in(CLIENT_UID) == [patch["inputs"]]
    assert state.patches_in(TARGET_UID) == []
    assert state.manifests == STATE.manifests


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


def test_state_has_the_ends_of_the_kyma_gateways_certificates_alone() -> None:
    end = {"validityEndTime": "2030-01-01T00:00:00Z"}

    def certificate(parent: str, name: str, **more: object) -> dict[str, Any]:
        type_of = "tls:index/locallySignedCert:LocallySignedCert"
        return {"urn": f"urn:pulumi:t::p::{parent}${type_of}::{name}", "type": type_of, "outputs": end, **more}

    gateway = "kyma-mtls:index:KymaGateway"
    resources = [certificate(gateway, "gateway.g1"), certificate(gateway, "gateway.g0", delete=True)]
    found = state_of(*resources, certificate("kyma-mtls:index:Certificates", "host.g1"))
    assert found.gateway_certificates == (("gateway.g1", "2030-01-01T00:00:00Z"),)


def test_certificates_that_stay_are_known_by_their_resource() -> None:
    def signed(name: str, pem: object, **more: object) -> dict[str, object]:
        type_ = "tls:index/locallySignedCert:LocallySignedCert"
        urn = f"urn:pulumi:test::kyma-mtls::kyma-mtls:index:Certificates${type_}::{name}"
        return {"urn": urn, "type": type_, "outputs": {"certPem": pem}, **more}

    secret = {SIGNATURE: "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "SECRET"}
    state = state_of(signed("a.1", "PEM"), signed("a.0", "OLD", delete=True), signed("b.1", secret))
    assert state.certificates == {"a.1": "PEM"}
