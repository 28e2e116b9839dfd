"""Objects compared with what the stack applied."""

import copy
from dataclasses import replace
from typing import Any

import pytest

from components.comparison import differences
from components.secret_contents import CONTENTS_ANNOTATION, described

POLICY: dict[str, Any] = {
    "apiVersion": "security.istio.io/v1",
    "kind": "AuthorizationPolicy",
    "metadata": {"name": "admission", "namespace": "istio-system", "labels": {"kyma-mtls/owner": "0a1b"}},
    "spec": {
        "selector": {"matchLabels": {"istio": "ingressgateway"}},
        "action": "DENY",
        "rules": [{"from": [{"source": {"notPrincipals": ["a", "b"]}}], "to": [{"operation": {"hosts": ["h"]}}]}],
    },
}
NETWORK: dict[str, Any] = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "closed", "namespace": "mtls"},
    "spec": {
        "podSelector": {},
        "policyTypes": ["Egress"],
        "egress": [{"to": [{"podSelector": {"matchLabels": {"a": "b"}}}], "ports": [{"port": 53.0}]}],
    },
}
DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "curl", "namespace": "mtls"},
    "spec": {
        "replicas": 1,
        "template": {
            "metadata": {"labels": {"app": "curl"}},
            "spec": {
                "containers": [
                    {"name": "curl", "image": "x", "resources": {"limits": {"cpu": "1000m", "memory": "128Mi"}}}
                ]
            },
        },
    },
}
SERVICE: dict[str, Any] = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "curl", "namespace": "mtls"}}
SECRET: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "certs", "annotations": {CONTENTS_ANNOTATION: described({"cacert": "PEM"})}},
}
CONFIG: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "overrides"},
    "data": {"a": "1"},
}
INTERRUPTED = ", set by an update of this stack that was interrupted"
ADDED_BY_INTERRUPTED = INTERRUPTED.replace("set", "added")


def fields(value: Any) -> dict[str, Any]:
    """Return a value of an apply as managedFields have it: a mapping field by field, a list as a whole."""
    return {f"f:{name}": fields(each) for name, each in value.items()} if isinstance(value, dict) else {}


def live(applied: dict[str, Any], *managers: dict[str, Any]) -> dict[str, Any]:
    """Return an object as the cluster has it after the apply, with further entries of managedFields."""
    found = copy.deepcopy(applied)
    own = {name: each for name, each in applied.items() if name not in ("apiVersion", "kind", "metadata")}
    stacks = {"manager": "kyma-mtls", "operation": "Apply", "fieldsV1": fields(own)}
    found["metadata"] |= {"uid": "1", "managedFields": [stacks, *managers]}
    return found


def by(manager: str, *path: str, subresource: str = "") -> dict[str, Any]:
    """Return the entry of a manager that set the field at a path."""
    below: dict[str, Any] = {}
    for name in reversed(path):
        below = {name if name.startswith("k:") else f"f:{name}": below}
    return {"manager": manager, "operation": "Update", "subresource": subresource, "fieldsV1": below}


def disown(found: dict[str, Any], *path: str) -> dict[str, Any]:
    """Take a field from the stack, as an update of another manager does."""
    own = found["metadata"]["managedFields"][0]["fieldsV1"]
    for name in path[:-1]:
        own = own[f"f:{name}"]
    own.pop(f"f:{path[-1]}")
    return found


def said(applied: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Return the differences without their remedies."""
    return [str(replace(each, remedy="")) for each in differences(applied, found)]


@pytest.mark.parametrize("applied", [POLICY, NETWORK, DEPLOYMENT, CONFIG], ids=lambda each: each["kind"])
def test_object_as_it_was_applied_has_no_differences(applied: dict[str, Any]) -> None:
    assert said(applied, live(applied)) == []
    assert said(applied, {**live(applied), "status": {"ready": 1}}) == []


def test_changed_value_is_named_with_its_path_both_values_and_its_manager() -> None:
    found = disown(live(POLICY, by("kubectl-edit", "spec", "action")), "spec", "action")
    found["spec"]["action"] = "AUDIT"
    assert said(POLICY, found) == ['spec.action: "AUDIT" instead of "DENY", set by kubectl-edit']


def test_value_that_is_gone_is_named_with_what_it_was() -> None:
    found = disown(live(POLICY), "spec", "selector")
    del found["spec"]["selector"]
    (line,) = said(POLICY, found)
    assert line == 'spec.selector: gone, was {"matchLabels": {"istio": "ingressgateway"}}'


def test_list_is_compared_in_length_and_order() -> None:
    found = disown(live(POLICY, by("edit", "spec", "rules")), "spec", "rules")
    source = found["spec"]["rules"][0]["from"][0]["source"]
    path = "spec.rules[0].from[0].source.notPrincipals"
    source["notPrincipals"] = ["a", "b", "c"]
    assert said(POLICY, found) == [f'{path}: […, "c"] instead of […], added by edit']
    source["notPrincipals"] = ["b", "a"]
    assert said(POLICY, found) == [f'{path}: ["b", "a"] instead of ["a", "b"], set by edit']
    found["spec"]["rules"] = []
    (line,) = said(POLICY, found)
    assert line.startswith("spec.rules: [] instead of [{")
    found["spec"]["rules"] = [*POLICY["spec"]["rules"], {}]
    assert said(POLICY, found) == ["spec.rules: […, {}] instead of […], added by edit"]


def test_field_beyond_in_an_item_of_a_custom_resource_is_a_difference() -> None:
    found = live(POLICY)
    found["spec"]["rules"][0]["when"] = []
    (line,) = said(POLICY, found)
    assert line == f"spec.rules[0].when: []{ADDED_BY_INTERRUPTED}"


def test_defaults_in_items_of_kubernetes_kinds_are_no_difference_unless_others_own_the_list() -> None:
    found = live(NETWORK)
    found["spec"]["egress"][0]["ports"][0]["protocol"] = "TCP"
    assert said(NETWORK, found) == []
    taken = disown(live(NETWORK, by("edit", "spec", "egress")), "spec", "egress")
    taken["spec"]["egress"][0]["ports"][0]["protocol"] = "TCP"
    assert said(NETWORK, taken) == []
    taken["spec"]["egress"][0]["ports"][0]["endPort"] = 90
    assert said(NETWORK, taken) == ["spec.egress[0].ports[0].endPort: 90, added by edit"]


def test_open_rule_beyond_those_of_a_network_policy_is_a_difference() -> None:
    found = disown(live(NETWORK, by("edit", "spec", "egress")), "spec", "egress")
    found["spec"]["egress"] = [{}]
    to, ports = said(NETWORK, found)
    assert to.startswith("spec.egress[0].to: gone, was [{")
    assert ports == 'spec.egress[0].ports: gone, was [{"port": 53}]'


def test_selector_that_others_own_as_a_whole_is_compared_as_a_whole() -> None:
    found = live(NETWORK, by("edit", "spec", "podSelector"))
    found["spec"]["podSelector"] = {"matchLabels": {"a": "b"}}
    (line,) = said(NETWORK, found)
    assert line.startswith('spec.podSelector.matchLabels: {"a": "b"}, added')


def test_fields_that_others_added_are_differences() -> None:
    found = live(POLICY, by("edit", "spec", "targetRefs"), by("edit", "spec", "selector", "matchLabels", "x"))
    found["spec"]["targetRefs"] = [{"kind": "Gateway"}]
    found["spec"]["selector"]["matchLabels"]["x"] = "y"
    assert said(POLICY, found) == [
        'spec.targetRefs: [{"kind": "Gateway"}], added by edit',
        'spec.selector.matchLabels.x: "y", added by edit',
    ]


def test_field_that_others_added_to_an_item_whose_keys_are_defaults_is_a_difference() -> None:
    applied = copy.deepcopy(DEPLOYMENT)
    applied["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": 8080.0}]
    ports = ("spec", "template", "spec", "containers", 'k:{"name":"curl"}', "ports")
    found = live(applied, by("edit", *ports, 'k:{"containerPort":8080,"protocol":"TCP"}', "hostPort"))
    (port,) = found["spec"]["template"]["spec"]["containers"][0]["ports"]
    port["protocol"] = "TCP"
    assert said(applied, found) == []
    port["hostPort"] = 80
    (line,) = said(applied, found)
    assert line.startswith("spec.template.spec.containers[0].ports[0].hostPort: 80, added by")


def test_fields_without_a_manager_are_the_api_servers() -> None:
    found = live(DEPLOYMENT)
    found["spec"]["revisionHistoryLimit"] = 3
    assert said(DEPLOYMENT, found) == []


def test_defaults_that_belong_to_whoever_created_an_object_anew_are_no_difference() -> None:
    recreated = by("kubectl-create", "spec", "revisionHistoryLimit")
    found = live(DEPLOYMENT, recreated)
    found["spec"]["revisionHistoryLimit"] = 10
    assert said(DEPLOYMENT, found) == []
    found["spec"]["revisionHistoryLimit"] = 3
    assert len(said(DEPLOYMENT, found)) == 1


def test_target_port_that_is_the_port_is_the_default() -> None:
    service: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "curl", "namespace": "mtls"},
        "spec": {"selector": {"app": "curl"}, "ports": [{"port": 443}]},
    }
    found = disown(live(service, by("edit", "spec", "ports")), "spec", "ports")
    found["spec"]["ports"][0]["targetPort"] = 443
    assert said(service, found) == []
    found["spec"]["ports"][0]["targetPort"] = 8443
    assert said(service, found) == ["spec.ports[0].targetPort: 8443, added by edit"]


def test_what_controllers_write_into_the_status_or_by_scaling_is_no_difference() -> None:
    scaled = by("kube-controller-manager", "spec", "replicas", subresource="scale")
    found = live(DEPLOYMENT, scaled, by("kube-controller-manager", "status", subresource="status"))
    disown(found, "spec", "replicas")["spec"]["replicas"] = 3
    found["status"] = {"replicas": 3}
    assert said(DEPLOYMENT, found) == []
    found["spec"]["replicas"] = 0
    assert said(DEPLOYMENT, found) == ["spec.replicas: 0 instead of 1, set by kube-controller-manager"]
    by_hand = disown(live(DEPLOYMENT, by("edit", "spec", "replicas")), "spec", "replicas")
    by_hand["spec"]["replicas"] = 3
    assert said(DEPLOYMENT, by_hand) == ["spec.replicas: 3 instead of 1, set by edit"]


def test_quantities_are_compared_as_amounts_and_others_as_they_are() -> None:
    found = live(DEPLOYMENT)
    limits = found["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    limits |= {"cpu": "1", "memory": "134217728"}
    assert said(DEPLOYMENT, found) == []
    limits |= {"cpu": "1001m", "memory": "much"}
    assert [line.partition(":")[0] for line in said(DEPLOYMENT, found)] == [
        f"spec.template.spec.containers[0].resources.limits.{name}" for name in ("cpu", "memory")
    ]


@pytest.mark.parametrize(
    ("value", "there", "is_same"),
    [
        (8080.0, 8080, True),
        (8080, "8080", False),
        (True, 1, False),
        (False, None, False),
        ("", None, True),
        ({}, None, True),
    ],
)
def test_values_are_compared_as_kubernetes_does(value: Any, there: Any, is_same: bool) -> None:
    applied = {**NETWORK, "spec": {"port": value}}
    found = {**live(applied), "spec": {"port": there} if there is not None else {}}
    assert (said(applied, found) == []) == is_same


def test_empty_values_of_custom_resources_are_kept() -> None:
    applied = {**POLICY, "spec": {"selector": {}}}
    assert said(applied, {**live(applied), "spec": {}}) == ["spec.selector: gone, was {}"]


def test_whole_numbers_are_shown_as_such() -> None:
    found = live(NETWORK)
    found["spec"]["egress"][0]["ports"][0]["port"] = 54
    assert said(NETWORK, found) == [f"spec.egress[0].ports[0].port: 54 instead of 53{INTERRUPTED}"]


def test_labels_of_the_stack_must_stay_and_further_ones_count_if_they_are_istios() -> None:
    found = live(POLICY, by("edit", "metadata", "labels", "team"))
    found["metadata"]["labels"] |= {"team": "a", "istio-injection": "disabled"}
    found["metadata"]["annotations"] = {"networking.istio.io/exportTo": "*", "kubectl.kubernetes.io/x": "1"}
    assert said(POLICY, found) == [
        'metadata.labels.istio-injection: "disabled", added',
        'metadata.annotations["networking.istio.io/exportTo"]: "*", added',
    ]
    found["metadata"]["labels"] = {}
    assert 'metadata.labels["kyma-mtls/owner"]: gone, was "0a1b"' in said(POLICY, found)


def test_pods_may_be_restarted_and_get_no_further_label_of_istios() -> None:
    template = ("spec", "template", "metadata", "annotations")
    restarted = "kubectl.kubernetes.io/restartedAt"
    found = live(DEPLOYMENT, by("kubectl", *template, restarted), by("operator", *template, "sidecar.istio.io/inject"))
    metadata = found["spec"]["template"]["metadata"]
    metadata["annotations"] = {restarted: "now"}
    assert said(DEPLOYMENT, found) == []
    metadata["annotations"] |= {"sidecar.istio.io/inject": "false"}
    (line,) = said(DEPLOYMENT, found)
    assert line.startswith('spec.template.metadata.annotations["sidecar.istio.io/inject"]: "false", added by operator')


def test_values_of_secrets_and_config_maps_are_never_shown() -> None:
    found = live(CONFIG, by("edit", "data", "further"))
    found["data"] = {"a": "VALUE", "further": "VALUE"}
    lines = said(CONFIG, found)
    assert lines == ["data.a: another value" + INTERRUPTED, "data.further, added by edit"]
    wrong = live(SECRET, by("edit", "data", "cacert"))
    wrong["data"] = {"cacert": "VkFMVUU=", "tls.key": "VkFMVUU="}
    assert said(SECRET, wrong) == [
        "data.cacert: another value than the stack set, set by edit",
        'data["tls.key"], added',
    ]


def test_secret_whose_contents_are_a_controllers_has_no_differences() -> None:
    applied = {**SECRET, "metadata": {"name": "certs"}}
    found = live(applied, by("cert-controller-manager", "data"), by("cert-controller-manager", "type"))
    assert said(applied, found | {"data": {"tls.crt": "QQ=="}, "type": "Opaque"}) == []
    assert len(said(applied, found | {"type": "kubernetes.io/tls"})) == 1


def test_what_gardener_writes_into_a_certificate_is_no_difference() -> None:
    spec = {"secretName": "certs", "commonName": "a.example.com"}
    named = {"name": "cert", "namespace": "istio-system"}
    applied = {"apiVersion": "cert.gardener.cloud/v1alpha1", "kind": "Certificate", "metadata": named, "spec": spec}
    found = live(applied, by("cert-controller-manager", "spec", "secretRef"), by("kubectl-patch", "spec", "renew"))
    found["spec"] |= {"secretRef": {"name": "certs", "namespace": "istio-system"}, "renew": True}
    assert said(applied, found) == []
    found["spec"]["secretRef"] = {"name": "others", "namespace": "istio-system"}
    (line,) = said(applied, found)
    assert line.startswith('spec.secretRef: {"name": "others"')


def test_values_that_the_state_has_as_secrets_are_no_additions() -> None:
    found = live({**CONFIG, "data": {"a": "1", "key": "SECRET"}})
    assert said(CONFIG, found) == []


def test_secret_values_of_lists_are_neither_compared_nor_shown() -> None:
    applied = {**POLICY, "spec": {"action": "DENY", "hosts": ["a", None], "servers": [{"name": "b", "token": None}]}}
    spec = {"action": "DENY", "hosts": ["a", "SECRET"], "servers": [{"name": "b", "token": "SECRET"}]}
    assert said(applied, live({**POLICY, "spec": spec})) == []
    spec["hosts"] = ["a", "SECRET", "further"]
    assert said(applied, live({**POLICY, "spec": spec})) == [f"spec.hosts: another value{INTERRUPTED}"]
    spec |= {"hosts": ["b", "SECRET"], "servers": []}
    assert said(applied, live({**POLICY, "spec": spec})) == [
        f'spec.hosts[0]: "b" instead of "a"{INTERRUPTED}',
        f"spec.servers: another value{INTERRUPTED}",
    ]


def test_values_of_environment_variables_are_not_shown() -> None:
    at, env = "spec.template.spec.containers", [{"name": "TOKEN", "value": "SECRET"}]
    found = live(DEPLOYMENT)
    found["metadata"]["managedFields"] = [by("edit", *at.split("."))]
    containers = found["spec"]["template"]["spec"]["containers"]
    containers[0]["env"] = env
    assert said(DEPLOYMENT, found) == [f"{at}[0].env, added by edit"]
    applied = copy.deepcopy(DEPLOYMENT)
    applied["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "TOKEN", "value": "1"}]
    assert said(applied, found) == [f"{at}[0].env[0].value: another value, set by edit"]
    containers[:] = [*DEPLOYMENT["spec"]["template"]["spec"]["containers"], {"name": "other", "env": env}]
    assert said(DEPLOYMENT, found) == [f'{at}: […, {{"env": "…", "name": "other"}}] instead of […], added by edit']


def test_what_an_interrupted_update_set_is_said_to_be_its() -> None:
    found = live({**POLICY, "spec": {**POLICY["spec"], "action": "ALLOW", "targetRefs": []}})
    lines = said(POLICY, found)
    assert lines == [
        f'spec.action: "ALLOW" instead of "DENY"{INTERRUPTED}',
        f"spec.targetRefs: []{ADDED_BY_INTERRUPTED}",
    ]


def test_long_values_are_cut() -> None:
    found = live(POLICY)
    found["spec"]["action"] = "A" * 200
    (line,) = said(POLICY, found)
    assert 'AAA… instead of "DENY"' in line
    assert len(line) < 250


def test_object_whose_managers_were_cleared_may_have_nothing_but_defaults_beyond_what_was_applied() -> None:
    found = copy.deepcopy(POLICY)
    found["spec"] |= {"action": "ALLOW", "further": 1}
    assert said(POLICY, found) == ['spec.action: "ALLOW" instead of "DENY"', "spec.further: 1, added"]
    restarted = copy.deepcopy(DEPLOYMENT)
    restarted["spec"] |= {"revisionHistoryLimit": 10}
    restarted["spec"]["template"]["spec"]["containers"][0]["terminationMessagePath"] = "/dev/termination-log"
    restarted["spec"]["template"]["metadata"]["annotations"] = {"kubectl.kubernetes.io/restartedAt": "now"}
    assert said(DEPLOYMENT, restarted) == []
    restarted["spec"]["template"]["metadata"]["annotations"] |= {"sidecar.istio.io/inject": "false"}
    restarted["spec"]["template"]["spec"]["hostNetwork"] = True
    assert [line.partition(":")[0] for line in said(DEPLOYMENT, restarted)] == [
        'spec.template.metadata.annotations["sidecar.istio.io/inject"]',
        "spec.template.spec.hostNetwork",
    ]
    config = {**CONFIG, "data": {"a": "1", "key": "SECRET"}}
    assert said(CONFIG, config) == [], "the state has the further value as a secret"


def test_field_is_named_once() -> None:
    applied = {**SERVICE, "spec": {"ports": [{"port": 443}]}}
    by_user = by("kubectl-create", "spec", "ports", 'k:{"port":443,"protocol":"TCP"}', "appProtocol")
    found = {**SERVICE, "spec": {"ports": [{"port": 443, "protocol": "TCP", "appProtocol": "tcp"}]}}
    found["metadata"] = {**SERVICE["metadata"], "managedFields": [by_user]}
    assert said(applied, found) == ['spec.ports[0].appProtocol: "tcp", added by kubectl-create']


def test_remedy_of_what_was_added_is_to_remove_it() -> None:
    found = live(POLICY, by("edit", "spec", "targetRefs"))
    found["spec"] |= {"targetRefs": [], "action": "ALLOW"}
    action, target_refs = (str(each) for each in differences(POLICY, found))
    assert target_refs.endswith(
        "; remove it with kubectl -n istio-system edit authorizationpolicy.security.istio.io admission"
    )
    assert "kubectl" not in action
    cluster_wide = {**POLICY, "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "mtls"}}
    labelled = {**cluster_wide, "metadata": {"name": "mtls", "labels": {"istio.io/rev": "x"}}}
    (line,) = (str(each) for each in differences(cluster_wide, labelled))
    assert line.endswith("; remove it with kubectl edit namespace mtls")
