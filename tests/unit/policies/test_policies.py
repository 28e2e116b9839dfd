"""Each policy of the pack, with resources that violate it and resources that pass."""

from base64 import b64encode
from collections.abc import Mapping
from textwrap import wrap
from typing import Any

import pytest

from mtls_policies import certificates, egress, gateways, key_material, origination
from mtls_policies.policy import UNKNOWN, Resource, ResourcePolicy, StackPolicy
from settings.gateway import CIPHER_PROFILES
from tests.unit.pki import issue

KEY = issue("somebody").key_pem
CERTIFICATE = issue("somebody").pem
ISTIO = "kubernetes:networking.istio.io/v1"


def resource(kind: str, name: str = "it", provider: str = "cluster", **properties: Any) -> Resource:
    return Resource(kind, f"urn::{name}", properties, provider)


def defaults(policy: ResourcePolicy | StackPolicy) -> dict[str, Any]:
    """Return the config as the engine completes it."""
    return {name: setting["default"] for name, setting in policy.config.items()}


def problems(policy: ResourcePolicy, judged: Resource, **config: Any) -> list[str]:
    return list(policy.judge(judged, defaults(policy) | config))


def stack_problems(policy: StackPolicy, *judged: Resource) -> list[tuple[str, str]]:
    return list(policy.judge(judged, defaults(policy)))


def gateway(tls: Any, kind: str = f"{ISTIO}:Gateway") -> Resource:
    plain = {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "tls": {"httpsRedirect": True}}
    return resource(kind, spec={"servers": [plain, {"port": {"number": 443}, "tls": tls}]})


@pytest.mark.parametrize(
    "tls",
    [
        {"mode": "MUTUAL"},
        {"mode": "SIMPLE", "minProtocolVersion": "TLSV1_2", "cipherSuites": ["ECDHE-ECDSA-AES128-GCM-SHA256"]},
        {"mode": "SIMPLE", "minProtocolVersion": "TLS_AUTO"},
        {"mode": "SIMPLE", "minProtocolVersion": "TLSV1_3", "cipherSuites": ["AES128-SHA"]},
        {"mode": "PASSTHROUGH", "minProtocolVersion": "TLSV1_0"},
        {"mode": "ISTIO_MUTUAL"},
        {"mode": "SIMPLE", "minProtocolVersion": UNKNOWN, "cipherSuites": UNKNOWN},
        {"mode": "SIMPLE", "cipherSuites": [UNKNOWN]},
        {"mode": "SIMPLE", "minProtocolVersion": UNKNOWN, "cipherSuites": ["AES128-SHA"]},
        UNKNOWN,
        None,
    ],
)
def test_gateway_of_modern_tls_passes(tls: Any) -> None:
    assert not problems(gateways.POLICY, gateway(tls))


@pytest.mark.parametrize("kind", ["v1:Gateway", "v1beta1:Gateway", "v1alpha3:Gateway", "v1:GatewayPatch"])
@pytest.mark.parametrize("mode", ["SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL"])
def test_gateway_that_accepts_old_tls_is_a_violation(kind: str, mode: str) -> None:
    judged = gateway({"mode": mode, "minProtocolVersion": "TLSV1_1"}, f"kubernetes:networking.istio.io/{kind}")
    assert problems(gateways.POLICY, judged) == [
        "spec.servers[1].tls.minProtocolVersion: accepts TLSV1_1; TLSV1_2 is the oldest allowed"
    ]


def test_gateway_that_offers_weak_cipher_is_a_violation() -> None:
    judged = gateway({"mode": "SIMPLE", "cipherSuites": ["ECDHE-RSA-AES128-SHA", "ECDHE-RSA-AES128-GCM-SHA256"]})
    (problem,) = problems(gateways.POLICY, judged)
    assert problem.startswith("spec.servers[1].tls.cipherSuites: offers ECDHE-RSA-AES128-SHA; allowed are ECDHE-")


def test_gateway_without_settings_is_judged_by_what_envoy_does() -> None:
    judged = gateway({"mode": "SIMPLE"})
    (newer,) = problems(gateways.POLICY, judged, minProtocolVersion="TLSV1_3")
    assert "accepts TLSV1_2; TLSV1_3 is the oldest allowed" in newer
    (fewer,) = problems(gateways.POLICY, judged, cipherSuites=gateways.MODERN_CIPHERS[1:])
    assert f"offers {gateways.MODERN_CIPHERS[0]};" in fewer


def test_allowed_ciphers_are_the_modern_ones_of_the_program() -> None:
    assert set(gateways.MODERN_CIPHERS) == set(CIPHER_PROFILES["modern"])


def test_gateway_of_the_gateway_api_is_something_else() -> None:
    tls = {"mode": "SIMPLE", "minProtocolVersion": "TLSV1_0"}
    assert not problems(gateways.POLICY, gateway(tls, "kubernetes:gateway.networking.k8s.io/v1:Gateway"))


MUTUAL = {"mode": "MUTUAL", "credentialName": "client", "subjectAltNames": ["api.example.com"]}
SELECTOR = {"matchLabels": {"istio": "egressgateway"}}


def rule(**spec: Any) -> Resource:
    return resource(f"{ISTIO}:DestinationRule", spec={"host": "api.example.com", **spec})


@pytest.mark.parametrize(
    "spec",
    [
        {"trafficPolicy": {"tls": MUTUAL}, "workloadSelector": SELECTOR},
        {"trafficPolicy": {"portLevelSettings": [{"tls": MUTUAL}]}, "workloadSelector": SELECTOR},
        {"trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}},
        {"trafficPolicy": {"tls": {"mode": "SIMPLE"}}},
        {"trafficPolicy": {"tls": {**MUTUAL, "subjectAltNames": UNKNOWN}}, "workloadSelector": UNKNOWN},
        {"trafficPolicy": UNKNOWN, "subsets": UNKNOWN},
        {},
    ],
)
def test_origination_that_names_server_and_workload_passes(spec: Mapping[str, Any]) -> None:
    assert not problems(origination.POLICY, rule(**spec))


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha3"])
@pytest.mark.parametrize(
    ("spec", "place"),
    [
        (lambda tls: {"trafficPolicy": {"tls": tls}}, "trafficPolicy"),
        (lambda tls: {"trafficPolicy": {"portLevelSettings": [{"tls": tls}]}}, "trafficPolicy.portLevelSettings[0]"),
        (lambda tls: {"subsets": [{}, {"trafficPolicy": {"tls": tls}}]}, "subsets[1].trafficPolicy"),
    ],
)
def test_origination_without_subject_alt_names_is_a_violation(version: str, spec: Any, place: str) -> None:
    settings = spec({"mode": "MUTUAL", "subjectAltNames": []}) | {"workloadSelector": SELECTOR}
    judged = resource(f"kubernetes:networking.istio.io/{version}:DestinationRule", spec=settings)
    (problem,) = problems(origination.POLICY, judged)
    assert problem.startswith(f"spec.{place}.tls.subjectAltNames: not set")


@pytest.mark.parametrize("selector", [{}, {"workloadSelector": {}}, {"workloadSelector": {"matchLabels": {}}}])
def test_origination_without_workload_selector_is_a_violation(selector: Mapping[str, Any]) -> None:
    (problem,) = problems(origination.POLICY, rule(trafficPolicy={"tls": MUTUAL}, **selector))
    assert problem.startswith("spec.workloadSelector.matchLabels: not set")


def test_origination_that_skips_verification_is_a_violation() -> None:
    judged = rule(trafficPolicy={"tls": {**MUTUAL, "insecureSkipVerify": True}}, workloadSelector=SELECTOR)
    (problem,) = problems(origination.POLICY, judged)
    assert problem.startswith("spec.trafficPolicy.tls.insecureSkipVerify: true")


def rule_patch(**spec: Any) -> Resource:
    return resource(f"{ISTIO}:DestinationRulePatch", spec=spec)


@pytest.mark.parametrize(
    "spec",
    [
        {"trafficPolicy": {"tls": {"mode": "MUTUAL", "credentialName": "another"}}},
        {"trafficPolicy": {"tls": {"subjectAltNames": ["api.example.com"]}}, "workloadSelector": {}},
        {"trafficPolicy": {"tls": {"mode": "SIMPLE", "subjectAltNames": []}}},
        {"trafficPolicy": {"tls": {"insecureSkipVerify": False}}},
        {"workloadSelector": SELECTOR},
        {"workloadSelector": UNKNOWN},
        {},
    ],
)
def test_patch_need_not_repeat_what_the_rule_may_say(spec: Mapping[str, Any]) -> None:
    assert not problems(origination.POLICY, rule_patch(**spec))


@pytest.mark.parametrize(
    ("spec", "place"),
    [
        ({"trafficPolicy": {"tls": {"mode": "MUTUAL", "insecureSkipVerify": True}}}, "trafficPolicy.tls.insecureSkip"),
        ({"trafficPolicy": {"tls": {"insecureSkipVerify": True}}}, "trafficPolicy.tls.insecureSkipVerify"),
        ({"trafficPolicy": {"tls": {"subjectAltNames": []}}}, "trafficPolicy.tls.subjectAltNames"),
    ],
)
def test_patch_that_weakens_origination_is_a_violation(spec: Mapping[str, Any], place: str) -> None:
    (problem,) = problems(origination.POLICY, rule_patch(**spec))
    assert problem.startswith(f"spec.{place}")


def in_base64(text: str) -> str:
    return b64encode(text.encode()).decode()


HIDDEN = {
    "plain": KEY,
    "encrypted": KEY.replace("PRIVATE", "ENCRYPTED PRIVATE"),
    "in JSON": KEY.replace("\n", "\\n"),
    "behind its certificate": CERTIFICATE + KEY,
    "in Base64": in_base64(KEY),
    "in Base64, shifted by one": in_base64(f"_{KEY}"),
    "in Base64, shifted by two": in_base64(f"__{KEY}"),
    "in lines of Base64": "\n".join(wrap(in_base64(KEY), 19)),
    "in a kubeconfig": f"users:\n- user:\n    client-key-data: {in_base64(KEY)}\n",
}


@pytest.mark.parametrize("text", HIDDEN.values(), ids=HIDDEN.keys())
@pytest.mark.parametrize("kind", ["ConfigMap", "ConfigMapPatch"])
def test_key_in_config_map_is_a_violation_that_shows_nothing_of_it(kind: str, text: str) -> None:
    judged = resource(f"kubernetes:core/v1:{kind}", data={"tls.crt": CERTIFICATE, "tls.key": text})
    assert problems(key_material.CONFIG_MAPS, judged) == ["data.tls.key: holds a private key; move it to a Secret"]


@pytest.mark.parametrize("text", HIDDEN.values(), ids=HIDDEN.keys())
@pytest.mark.parametrize("kind", ["ConfigMap", "ConfigMapPatch"])
def test_key_in_binary_data_is_a_violation_that_shows_nothing_of_it(kind: str, text: str) -> None:
    judged = resource(f"kubernetes:core/v1:{kind}", binaryData={"ca": in_base64(CERTIFICATE), "store": in_base64(text)})
    assert problems(key_material.CONFIG_MAPS, judged) == ["binaryData.store: holds a private key; move it to a Secret"]


def test_key_in_what_is_no_base64_is_a_violation() -> None:
    judged = resource("kubernetes:core/v1:ConfigMap", binaryData={"store": KEY})
    assert problems(key_material.CONFIG_MAPS, judged) == ["binaryData.store: holds a private key; move it to a Secret"]


@pytest.mark.parametrize(
    "judged",
    [
        resource("kubernetes:core/v1:ConfigMap", data={"ca.crt": CERTIFICATE, "in Base64": in_base64(CERTIFICATE)}),
        resource("kubernetes:core/v1:ConfigMap", data={"help": "A PRIVATE KEY belongs in a Secret.", "new": UNKNOWN}),
        resource("kubernetes:core/v1:ConfigMap", data=UNKNOWN, binaryData=UNKNOWN),
        resource("kubernetes:core/v1:ConfigMap", binaryData={"image": b64encode(bytes(range(256))).decode()}),
        resource("kubernetes:core/v1:ConfigMap", binaryData={"new": UNKNOWN, "broken": "A"}),
        resource("kubernetes:core/v1:ConfigMap"),
        resource("kubernetes:core/v1:Secret", data={"tls.key": in_base64(KEY)}),
    ],
)
def test_config_map_without_a_key_and_secret_pass(judged: Resource) -> None:
    assert not problems(key_material.CONFIG_MAPS, judged)


def test_key_in_output_is_a_violation_that_shows_nothing_of_it() -> None:
    stack = resource("pulumi:pulumi:Stack", "stack", clients={"a": {"keys": ["", KEY]}}, ca=CERTIFICATE)
    assert stack_problems(key_material.OUTPUTS, stack) == [
        ("urn::stack", "output clients.a.keys[1]: holds a private key; give the name of its Secret instead")
    ]


def test_outputs_without_a_key_pass() -> None:
    stack = resource("pulumi:pulumi:Stack", ca=CERTIFICATE, credential="client-credential", later=UNKNOWN, days=365.0)
    key = resource("tls:index/privateKey:PrivateKey", privateKeyPem=KEY)
    assert not stack_problems(key_material.OUTPUTS, stack, key)


ROUTE = {"hosts": ["api.example.com"], "gateways": ["egress", "mesh"]}
CLOSED = {
    "podSelector": {},
    "policyTypes": ["Egress"],
    "egress": [
        {"to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"istio": "egressgateway"}}}]},
        {"to": [{"ipBlock": {"cidr": "10.0.0.10/32"}}], "ports": [{"port": 53, "protocol": "UDP"}]},
        {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "endPort": 53, "protocol": "TCP"}]},
    ],
}
OF_SOME = {"podSelector": {"matchLabels": {"app": "curl"}}}
PAST_THE_GATEWAY = ("urn::policy", "spec.egress: lets Pods of shop go past the egress gateway")


def in_namespace(
    kind: str, name: str, spec: Any, *, namespace: Any = "shop", on: str = "cluster", metadata: Any = None
) -> Resource:
    return resource(kind, name, on, metadata=metadata or {"name": name, "namespace": namespace}, spec=spec)


def route(spec: Any = None, name: str = "route", **place: Any) -> Resource:
    return in_namespace(f"{ISTIO}:VirtualService", name, ROUTE if spec is None else spec, **place)


def entry(**spec: Any) -> Resource:
    return in_namespace(f"{ISTIO}:ServiceEntry", "entry", {"hosts": ["api.example.com"], **spec})


def network_policy(spec: Any = CLOSED, kind: str = "NetworkPolicy", **place: Any) -> Resource:
    return in_namespace(f"kubernetes:networking.k8s.io/v1:{kind}", "policy", spec, **place)


def egress_problems(*judged: Resource) -> list[tuple[str, str]]:
    """Judge resources beside an external host whose requests are taken to a Gateway."""
    return stack_problems(egress.POLICY, route(), entry(), *judged)


def needs_a_policy(found: list[tuple[str, str]]) -> bool:
    """Tell whether all that is found is that the namespace shop has no NetworkPolicy."""
    return [problem.startswith("namespace shop lets its Pods go past") for _, problem in found] == [True]


@pytest.mark.parametrize(
    "spec",
    [
        CLOSED,
        {**CLOSED, "egress": []},
        {"policyTypes": ["Ingress", "Egress"]},
        {"podSelector": {"matchLabels": {}}, "egress": CLOSED["egress"]},
    ],
)
def test_claimed_egress_with_its_network_policy_passes(spec: Mapping[str, Any]) -> None:
    assert not egress_problems(network_policy(spec))


@pytest.mark.parametrize(
    "others",
    [
        [],
        [network_policy(namespace="billing")],
        [network_policy(on="another cluster")],
        [network_policy({**CLOSED, "policyTypes": ["Ingress"]})],
        [network_policy({"podSelector": {}, "ingress": []})],
        [network_policy({"podSelector": {}, "egress": []})],
        [network_policy({**CLOSED, **OF_SOME})],
        [network_policy(kind="NetworkPolicyPatch")],
    ],
)
def test_claimed_egress_without_its_network_policy_is_a_violation(others: list[Resource]) -> None:
    found = egress_problems(*others)
    assert needs_a_policy(found)
    assert found[0][0] == "urn::route"


def block(cidr: str) -> dict[str, Any]:
    return {"ipBlock": {"cidr": cidr}}


HOLES = {
    "everything": [{}],
    "no peers": [{"to": [], "ports": [{"port": 443}]}],
    "every port": [{"ports": [{"protocol": "UDP"}]}],
    "DNS and more": [{"ports": [{"port": 53}, {"port": 443}]}],
    "range from DNS": [{"ports": [{"port": 53, "endPort": 65535}]}],
    "range from a port not known": [{"ports": [{"port": UNKNOWN, "endPort": 65535}]}],
    "named port": [{"ports": [{"port": "https"}]}],
    "IPv4": [{"to": [block("0.0.0.0/0")]}],
    "IPv6": [{"to": [block("::/0")], "ports": [{"port": 443}]}],
    "exceptions": [{"to": [{"ipBlock": {"cidr": "::/0", "except": ["fd00::/8"]}}]}],
    "halves": [{"to": [block("0.0.0.0/1"), block("128.0.0.0/1")]}],
    "halves of IPv6 in two rules": [{"to": [block("::/1")]}, {"to": [block("8000::/1")]}],
    "beside a peer not known": [{"to": [UNKNOWN, block("0.0.0.0/0")]}],
}


@pytest.mark.parametrize("hole", HOLES.values(), ids=HOLES.keys())
def test_network_policy_with_a_way_past_the_gateway_is_a_violation(hole: list[Mapping[str, Any]]) -> None:
    assert egress_problems(network_policy({**CLOSED, "egress": [*CLOSED["egress"], *hole]})) == [PAST_THE_GATEWAY]


@pytest.mark.parametrize(
    "rules",
    [
        [{"to": [block("0.0.0.0/1"), block("10.0.0.0/8")]}],
        [{"to": [block("0.0.0.0/1"), block("8000::/1")]}],
        [{"to": [block("0.0.0.0/0")], "ports": [{"port": 53, "protocol": "UDP"}]}],
        [{"to": [block("no CIDR")]}],
    ],
    ids=["parts of IPv4", "halves of two versions", "DNS everywhere", "no CIDR"],
)
def test_network_policy_that_leads_somewhere_passes(rules: list[Mapping[str, Any]]) -> None:
    assert not egress_problems(network_policy({**CLOSED, "egress": rules}))


@pytest.mark.parametrize(
    "other",
    [
        network_policy({**OF_SOME, "egress": [{}]}),
        network_policy({**OF_SOME, "policyTypes": ["Egress"], "egress": [{}]}),
        network_policy({"egress": [{}]}, kind="NetworkPolicyPatch"),
    ],
)
def test_network_policy_that_adds_a_way_past_the_gateway_is_a_violation(other: Resource) -> None:
    assert egress_problems(network_policy({**CLOSED, "egress": []}), other) == [PAST_THE_GATEWAY]


@pytest.mark.parametrize(
    "other",
    [
        network_policy({**OF_SOME, "policyTypes": ["Ingress"], "egress": [{}]}),
        network_policy({**OF_SOME, "egress": [{}]}, namespace="billing"),
        network_policy({**OF_SOME, "egress": [{}]}, on="another cluster"),
    ],
)
def test_network_policy_that_opens_nothing_here_passes(other: Resource) -> None:
    assert not egress_problems(network_policy(), other)


@pytest.mark.parametrize(
    "resources",
    [
        [entry()],
        [route()],
        [route(), entry(location="MESH_INTERNAL")],
        [route(), entry(hosts=["other.example.com"])],
        [route(on="another cluster"), entry()],
        [route({**ROUTE, "gateways": ["mesh"]}), entry()],
        [route({**ROUTE, "gateways": ["ingress"]}), entry()],
        [route({"hosts": ["api.example.com"]}), entry()],
        [
            route({"hosts": ["a.example.com"]}),
            route({"hosts": ["b.example.com"], "gateways": ["egress"]}),
            entry(hosts=["*.example.com"]),
        ],
        [
            in_namespace(f"{ISTIO}:VirtualServicePatch", "patch", {"hosts": ["api.example.com"]}),
            route({**ROUTE, "gateways": ["ingress"]}),
            entry(),
        ],
    ],
)
def test_what_claims_no_egress_needs_no_network_policy(resources: list[Resource]) -> None:
    assert not stack_problems(egress.POLICY, *resources)


@pytest.mark.parametrize(
    ("host", "external"),
    [
        ("api.example.com", "*.example.com"),
        ("*.example.com", "api.example.com"),
        ("*.example.com", "*.eu.example.com"),
        ("*", "api.example.com"),
    ],
)
def test_wildcard_of_a_route_or_a_service_entry_counts_for_its_hosts(host: str, external: str) -> None:
    resources = [route({**ROUTE, "hosts": [host]}), entry(hosts=[external])]
    assert needs_a_policy(stack_problems(egress.POLICY, *resources))


@pytest.mark.parametrize("gateways", [{"gateways": ["mesh"]}, {"gateways": []}, {}])
def test_routes_to_and_from_the_gateway_claim_egress_together(gateways: Mapping[str, Any]) -> None:
    to_gateway = route({"hosts": ["*.example.com"], **gateways}, "to-gateway")
    from_gateway = route({**ROUTE, "gateways": ["egress"]}, "from-gateway", namespace="istio-system")
    found = stack_problems(egress.POLICY, from_gateway, to_gateway, entry())
    assert needs_a_policy(found)
    assert found[0][0] == "urn::to-gateway"


def test_patches_claim_egress_too() -> None:
    patches = [
        in_namespace(f"{ISTIO}:VirtualServicePatch", "route", ROUTE),
        in_namespace(f"{ISTIO}:ServiceEntryPatch", "entry", {"hosts": ["api.example.com"]}),
    ]
    assert needs_a_policy(stack_problems(egress.POLICY, *patches))


def test_violation_is_reported_once_for_all_routes_of_a_namespace() -> None:
    assert needs_a_policy(egress_problems(route(name="another")))
    assert egress_problems(route(name="another"), network_policy({"egress": [{}]})) == [PAST_THE_GATEWAY]
    on_another = [route(on="another"), resource(f"{ISTIO}:ServiceEntry", "entry", "another", spec=ROUTE)]
    assert len(egress_problems(*on_another)) == 2, "another cluster is another namespace"


UNKNOWN_POLICIES = {
    "spec": network_policy(UNKNOWN),
    "types": network_policy({"podSelector": {}, "policyTypes": UNKNOWN}),
    "a type": network_policy({"podSelector": {}, "policyTypes": ["Ingress", UNKNOWN]}),
    "rules that make the type": network_policy({"podSelector": {}, "egress": UNKNOWN}),
    "selector": network_policy({**CLOSED, "podSelector": UNKNOWN}),
    "labels of the selector": network_policy({**CLOSED, "podSelector": {"matchLabels": UNKNOWN}}),
    "namespace": network_policy(namespace=UNKNOWN),
    "metadata": network_policy(metadata=UNKNOWN),
    "rules": network_policy({**CLOSED, "egress": UNKNOWN}),
    "a rule": network_policy({**CLOSED, "egress": [UNKNOWN]}),
    "peers": network_policy({**CLOSED, "egress": [{"to": UNKNOWN}]}),
    "a peer": network_policy({**CLOSED, "egress": [{"to": [UNKNOWN]}]}),
    "block": network_policy({**CLOSED, "egress": [{"to": [{"ipBlock": UNKNOWN}, block(UNKNOWN)]}]}),
    "ports": network_policy({**CLOSED, "egress": [{"ports": UNKNOWN}]}),
    "a port": network_policy({**CLOSED, "egress": [{"ports": [UNKNOWN]}]}),
    "number of a port": network_policy({**CLOSED, "egress": [{"ports": [{"port": UNKNOWN}]}]}),
    "end of the range": network_policy({**CLOSED, "egress": [{"ports": [{"port": 53, "endPort": UNKNOWN}]}]}),
    "where a hole is": network_policy({**CLOSED, "egress": [{}]}, namespace=UNKNOWN),
    "whether a hole counts": network_policy({"policyTypes": UNKNOWN, "egress": [{}]}),
}


@pytest.mark.parametrize("policy", UNKNOWN_POLICIES.values(), ids=UNKNOWN_POLICIES.keys())
def test_network_policy_is_not_judged_by_what_is_not_known_yet(policy: Resource) -> None:
    assert not egress_problems(policy)


@pytest.mark.parametrize(
    "policy",
    [
        network_policy(UNKNOWN, namespace="billing"),
        network_policy(UNKNOWN, on="another cluster"),
        network_policy({"podSelector": UNKNOWN, "policyTypes": ["Ingress"]}),
        network_policy({"podSelector": {"matchLabels": {"app": UNKNOWN}}, "policyTypes": UNKNOWN}),
    ],
)
def test_network_policy_that_will_not_close_the_namespace_is_no_excuse(policy: Resource) -> None:
    assert needs_a_policy(egress_problems(policy))


@pytest.mark.parametrize(
    "resources",
    [
        [route(namespace=UNKNOWN), entry()],
        [route(metadata=UNKNOWN), entry()],
        [route(UNKNOWN), entry()],
        [route({**ROUTE, "hosts": UNKNOWN}), entry()],
        [route({**ROUTE, "hosts": [UNKNOWN]}), entry()],
        [route({**ROUTE, "gateways": UNKNOWN}), entry()],
        [route({**ROUTE, "gateways": ["egress", UNKNOWN]}), entry()],
        [route({**ROUTE, "gateways": ["mesh", UNKNOWN]}), entry()],
        [route(), entry(hosts=UNKNOWN)],
        [route(), entry(location=UNKNOWN)],
    ],
)
def test_egress_is_not_claimed_by_what_is_not_known_yet(resources: list[Resource]) -> None:
    assert not stack_problems(egress.POLICY, *resources)


ISSUED = "tls:index/locallySignedCert:LocallySignedCert"
AUTHORITY = "tls:index/selfSignedCert:SelfSignedCert"
CERT_MANAGER = "kubernetes:cert-manager.io/v1:Certificate"
GARDENER = "kubernetes:cert.gardener.cloud/v1alpha1:Certificate"


@pytest.mark.parametrize(
    ("judged", "problem"),
    [
        (
            resource(ISSUED, validityPeriodHours=366 * 24.0),
            "validityPeriodHours: 366 days; 365 are allowed (maximumDays)",
        ),
        (
            resource(AUTHORITY, validityPeriodHours=8761),
            "validityPeriodHours: 365.042 days; 365 are allowed (maximumDays)",
        ),
        (
            resource(AUTHORITY, validityPeriodHours=1826 * 24, isCaCertificate=True),
            "validityPeriodHours: 1826 days; 1825 are allowed (maximumAuthorityDays)",
        ),
        (
            resource(CERT_MANAGER, spec={"duration": "8760h30m"}),
            "spec.duration: 365.021 days; 365 are allowed (maximumDays)",
        ),
        (
            resource(f"{CERT_MANAGER}Patch", spec={"duration": "8784h"}),
            "spec.duration: 366 days; 365 are allowed (maximumDays)",
        ),
        (
            resource(GARDENER, spec={"duration": "48000h0m0s", "isCA": True}),
            "spec.duration: 2000 days; 1825 are allowed (maximumAuthorityDays)",
        ),
    ],
)
def test_certificate_that_lives_too_long_is_a_violation(judged: Resource, problem: str) -> None:
    assert problems(certificates.POLICY, judged) == [problem]


@pytest.mark.parametrize(
    "judged",
    [
        resource(ISSUED, validityPeriodHours=365 * 24),
        resource(ISSUED, validityPeriodHours=UNKNOWN),
        resource(AUTHORITY, validityPeriodHours=1825 * 24, isCaCertificate=True),
        resource(CERT_MANAGER, spec={"duration": "8760h0m0s"}),
        resource(GARDENER, spec={}),
        resource(GARDENER, spec=UNKNOWN),
        resource(GARDENER, spec={"duration": "9000h", "isCA": UNKNOWN}),
        resource(f"{GARDENER}Patch", spec={"secretName": "another"}),
        resource("tls:index/certRequest:CertRequest"),
    ],
)
def test_certificate_within_its_limit_passes(judged: Resource) -> None:
    assert not problems(certificates.POLICY, judged)


def test_limits_of_certificates_are_those_of_the_config() -> None:
    assert problems(certificates.POLICY, resource(ISSUED, validityPeriodHours=91 * 24), maximumDays=90)
    assert not problems(certificates.POLICY, resource(ISSUED, validityPeriodHours=400 * 24), maximumDays=400)
