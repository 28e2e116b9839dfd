"""The policy pack with the real engine, on stacks that need no cluster."""

import json
from collections.abc import Callable
from pathlib import Path

import pulumi
import pulumi_kubernetes as k8s
import pulumi_tls as tls
import pytest
from pulumi import automation

from tests.e2e.conftest import Project, policies_reported, refusal
from tests.unit.pki import issue

KEY = issue("somebody").key_pem
POLICIES = {
    "gateway-tls",
    "mutual-origination",
    "no-key-in-config-maps",
    "no-key-in-outputs",
    "egress-network-policy",
    "certificate-lifetime",
}

Preview = Callable[..., str]


@pytest.fixture
def preview(project: Project, policy_pack: Path, tmp_path: Path) -> Preview:
    """Preview a stack that has all that the policies look at, `weak` or not, with a config; return what is printed."""

    def run(*, weak: bool, **config: object) -> str:
        options = automation.LocalWorkspaceOptions(work_dir=str(tmp_path), env_vars=project.environment)
        name = f"policies-{'weak' if weak else 'strong'}"
        stack = automation.create_or_select_stack(
            name, project_name="policies", program=lambda: program(tmp_path, weak=weak), opts=options
        )
        file = tmp_path / "config.json"
        file.write_text(json.dumps(config))
        return stack.preview(policy_packs=[str(policy_pack)], policy_pack_configs=[str(file)]).stdout

    return run


def program(directory: Path, *, weak: bool) -> None:
    """Declare it: a Gateway, a route out with its origination, a ConfigMap, a certificate and an output."""
    cluster = k8s.Provider("cluster", render_yaml_to_directory=str(directory / "manifests"))
    opts = pulumi.ResourceOptions(provider=cluster)

    def istio(kind: str, **spec: object) -> None:
        metadata = {"name": kind.lower(), "namespace": "shop"}
        k8s.apiextensions.CustomResource(
            kind.lower(), api_version="networking.istio.io/v1", kind=kind, metadata=metadata, spec=spec, opts=opts
        )

    gateway = {"mode": "SIMPLE", "credentialName": "server", "minProtocolVersion": "TLSV1_1" if weak else "TLSV1_2"}
    istio("Gateway", servers=[{"port": {"number": 443}, "tls": gateway, "hosts": ["./shop.example.com"]}])
    client = {"mode": "MUTUAL", "credentialName": "client"} | ({} if weak else {"subjectAltNames": ["api.example.com"]})
    selector = {"matchLabels": {"istio": "egressgateway"}}
    istio("DestinationRule", host="api.example.com", workloadSelector=selector, trafficPolicy={"tls": client})
    istio("ServiceEntry", hosts=["api.example.com"])
    istio("VirtualService", hosts=["api.example.com"], gateways=["egress", "mesh"])
    if not weak:
        spec: k8s.networking.v1.NetworkPolicySpecArgsDict = {"pod_selector": {}, "policy_types": ["Egress"]}
        k8s.networking.v1.NetworkPolicy(
            "egress", metadata={"name": "egress", "namespace": "shop"}, spec=spec, opts=opts
        )
    kept = pulumi.Output.secret(KEY if weak else "no key")
    k8s.core.v1.ConfigMap("settings", metadata={"name": "settings"}, data={"kept": kept}, opts=opts)
    k8s.core.v1.Secret("key", metadata={"name": "key"}, string_data={"tls.key": pulumi.Output.secret(KEY)}, opts=opts)
    tls.SelfSignedCert(
        "certificate",
        private_key_pem=pulumi.Output.secret(KEY),
        allowed_uses=["digital_signature"],
        validity_period_hours=(366 if weak else 365) * 24,
    )
    pulumi.export("kept", kept)


def test_preview_of_a_stack_that_violates_the_policies_fails_and_shows_no_key(preview: Preview) -> None:
    said = refusal(lambda: preview(weak=True))
    assert policies_reported(said) == {f"mandatory {name}" for name in POLICIES}
    assert not [line for line in KEY.splitlines()[1:-1] if line in said]


def test_preview_of_a_stack_that_keeps_the_policies_passes(preview: Preview) -> None:
    said = preview(weak=False)
    assert "kyma-mtls@v1.0.0" in said, "the pack has judged it"
    assert policies_reported(said) == set()


def test_config_makes_policies_advisory_disables_them_and_changes_their_limits(preview: Preview) -> None:
    said = preview(weak=True, all="advisory", **{"gateway-tls": "disabled"})
    assert policies_reported(said) == {f"advisory {name}" for name in POLICIES - {"gateway-tls"}}
    strict = {"certificate-lifetime": {"maximumDays": 364}, "gateway-tls": {"minProtocolVersion": "TLSV1_3"}}
    said = refusal(lambda: preview(weak=False, **strict, **{"mutual-origination": {"strict": True}}))
    assert policies_reported(said) == {f"mandatory {name}" for name in (*strict, "mutual-origination")}
    assert "config strict: no such setting; there are none" in said, "a limit may depend on it"


def test_wrong_config_is_told_of_by_its_name(preview: Preview) -> None:
    said = refusal(lambda: preview(weak=False, **{"certificate-lifetime": {"maximumDays": 0}}))
    assert "certificate-lifetime: maximumDays: Must be greater than or equal to 1" in said
