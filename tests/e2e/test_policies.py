"""The policy pack with the real engine, on stacks that need no cluster."""

import json
from collections.abc import Callable
from pathlib import Path

import pulumi
import pulumi_kubernetes as k8s
import pulumi_tls as tls
import pytest
import yaml
from pulumi import automation

from tests.e2e.support.project import Project
from tests.e2e.support.stack import policies_reported, refusal
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

AT_THE_END = {"no-key-in-outputs", "egress-network-policy"}
JUDGED_BEFORE = {
    "gateway-tls": "gateway",
    "mutual-origination": "destinationrule",
    "no-key-in-config-maps": "configmap",
}

Judge = Callable[..., str]


@pytest.fixture
def judge(project: Project, policy_pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Judge:
    """Preview or update (`command`) a stack with the pack and its config; return what is printed."""
    monkeypatch.delenv("KUBECONFIG")  # a provider that is given none takes this, and cannot read the lab's list

    def run(program: Callable[[Path], None], command: str = "preview", **config: object) -> str:
        opts = automation.LocalWorkspaceOptions(work_dir=str(tmp_path), env_vars=project.environment)
        stack = automation.create_or_select_stack(
            tmp_path.name, project_name="policies", program=lambda: program(tmp_path / "manifests"), opts=opts
        )
        file = tmp_path / "config.json"
        file.write_text(json.dumps(config))
        done = getattr(stack, command)(policy_packs=[str(policy_pack)], policy_pack_configs=[str(file)])
        return str(done.stdout)

    return run


def strong(directory: Path) -> None:
    """Declare a stack that keeps the policies."""
    declare(directory, weak=False)


def weak(directory: Path) -> None:
    """Declare a stack that violates them all."""
    declare(directory, weak=True)


def late(directory: Path) -> None:
    """Declare a ConfigMap with a key that nobody knows before it is made."""
    cluster = k8s.Provider("cluster", render_yaml_to_directory=str(directory))
    key = tls.PrivateKey("key", algorithm="ED25519").private_key_pem
    opts = pulumi.ResourceOptions(provider=cluster)
    k8s.core.v1.ConfigMap("settings", metadata={"name": "settings"}, data={"kept": key}, opts=opts)


def written(directory: Path) -> set[str]:
    """Return the kinds of the objects whose manifests an update has written."""
    return {yaml.safe_load(file.read_text())["kind"].lower() for file in directory.rglob("*.yaml")}


def declare(directory: Path, *, weak: bool) -> None:
    """Declare all that the policies look at: a Gateway, a route out with its origination, a ConfigMap, a certificate
    and an output. The objects are written into a directory.
    """
    cluster = k8s.Provider("cluster", render_yaml_to_directory=str(directory))
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


def test_policies_fail_the_preview_of_a_stack_that_violates_them_and_show_no_key(judge: Judge) -> None:
    said = refusal(lambda: judge(weak))
    assert policies_reported(said) == {f"mandatory {name}" for name in POLICIES}
    assert not [line for line in KEY.splitlines()[1:-1] if line in said]


def test_policies_pass_the_preview_of_a_stack_that_keeps_them(judge: Judge) -> None:
    said = judge(strong)
    assert "kyma-mtls@v1.0.0" in said, "the pack has judged it"
    assert policies_reported(said) == set()


def test_policies_pass_the_update_of_a_stack_that_keeps_them(judge: Judge, tmp_path: Path) -> None:
    assert policies_reported(judge(strong, "up")) == set()
    assert written(tmp_path / "manifests") >= {*JUDGED_BEFORE.values(), "virtualservice", "networkpolicy"}


def test_policies_stop_an_update_before_it_makes_what_violates_them(judge: Judge, tmp_path: Path) -> None:
    said = refusal(lambda: judge(weak, "up", all="disabled", **dict.fromkeys(JUDGED_BEFORE, "mandatory")))
    reported = policies_reported(said)  # the engine stops at whichever comes first
    assert reported
    assert reported <= {f"mandatory {policy}" for policy in JUDGED_BEFORE}
    assert not written(tmp_path / "manifests") & {*JUDGED_BEFORE.values()}, "none of them is made"


def test_policies_judge_outputs_and_egress_once_all_is_made(judge: Judge, tmp_path: Path) -> None:
    said = refusal(lambda: judge(weak, "up", all="disabled", **dict.fromkeys(AT_THE_END, "mandatory")))
    assert policies_reported(said) == {f"mandatory {name}" for name in AT_THE_END}
    assert "virtualservice" in written(tmp_path / "manifests"), "the route is what needs a NetworkPolicy"


def test_policies_judge_in_an_update_what_the_preview_does_not_know_yet(judge: Judge, tmp_path: Path) -> None:
    assert policies_reported(judge(late)) == set()
    said = refusal(lambda: judge(late, "up"))
    assert policies_reported(said) == {"mandatory no-key-in-config-maps"}
    assert "configmap" not in written(tmp_path / "manifests")


def test_config_makes_policies_advisory_disables_them_and_changes_their_limits(judge: Judge) -> None:
    said = judge(weak, all="advisory", **{"gateway-tls": "disabled"})
    assert policies_reported(said) == {f"advisory {name}" for name in POLICIES - {"gateway-tls"}}
    strict = {"certificate-lifetime": {"maximumDays": 364}, "gateway-tls": {"minProtocolVersion": "TLSV1_3"}}
    said = refusal(lambda: judge(strong, **strict, **{"mutual-origination": {"strict": True}}))
    assert policies_reported(said) == {f"mandatory {name}" for name in (*strict, "mutual-origination")}
    assert "config strict: no such setting; there are none" in said, "a limit may depend on it"


def test_invalid_config_is_reported_by_name(judge: Judge) -> None:
    said = refusal(lambda: judge(strong, **{"certificate-lifetime": {"maximumDays": 0}}))
    assert "certificate-lifetime: maximumDays: Must be greater than or equal to 1" in said
