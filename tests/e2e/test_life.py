"""The life of a stack's objects: no change, however it ends, loses what serves, or ends well and lacks something."""

import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from pulumi import automation

from tests.e2e.conftest import CLUSTERS, Lab, Project, configure, eventually
from tests.unit.pki import issue

CLIENT = {"kubeconfig": ".lab/client.kubeconfig", "domain": "life.client.test"}
CLIENT2 = {"kubeconfig": ".lab/client2.kubeconfig", "domain": "life.client2.test"}
BASE: dict[str, Any] = {
    "namespace": "life",
    "target": {"kubeconfig": ".lab/target.kubeconfig"},
    "clients": {"client": CLIENT},
    "hosts": {"httpbin": {"domain": "life.target.test"}},
}
PARTNER = issue("Partner CA")
GIVEN = issue("ours", PARTNER, uris=("spiffe://partner.example/us",), usage=ExtendedKeyUsageOID.CLIENT_AUTH)
OWN = issue("gateway", PARTNER, hosts=("*.own-gateway.target.test",))
# Every key that does not choose a cluster; each change is made, killed half-way, and taken back.
CHANGES: dict[str, dict[str, Any]] = {
    "in-place": {
        "keyAlgorithm": "ECDSA-P384",
        "caValidityDays": "1000",
        "validityDays": "200",
        "renewBeforeDays": "20",
        "generation": "2",
        "target": {"kubeconfig": ".lab/target.kubeconfig", "gatewayPassthrough": True},
        "clients": {
            "client": {**CLIENT, "domain": "other.client.test", "networkPolicy": "none", "gatewayPassthrough": True}
        },
        "hosts": {"httpbin": {"domain": "other.target.test", "methods": ["GET", "PUT"], "paths": ["/headers"]}},
    },
    "more": {
        "clients": {"client": CLIENT, "client2": {**CLIENT2, "callers": ["default/caller"]}},
        "hosts": {
            "httpbin": {"domain": "life.target.test", "clients": ["client", "client2"]},
            "second": {"domain": "second.target.test", "clients": ["client2"]},
            "third": {
                "domain": "third.target.test",
                "service": {"namespace": "default", "name": "life", "port": 443},
                "clients": [],
            },
        },
    },
    "given": {
        "clients": {
            "client": CLIENT,
            "partner": {"certificateAuthority": PARTNER.pem, "identity": "dns:client.partner.example"},
        },
        "hosts": {
            "httpbin": {"domain": "life.target.test", "clients": ["client", "partner"]},
            "partner": {
                "domain": "life.internet.test",
                "clients": ["client"],
                "external": {
                    "certificateAuthority": PARTNER.pem,
                    "port": 8443,
                    "credentials": {"client": {"certificate": GIVEN.pem, "key": GIVEN.key_pem}},
                },
            },
        },
        "gatewayMode": "own",
        "gatewayDomain": "own-gateway.target.test",
        "gatewayCertificate": OWN.pem + PARTNER.pem,
        "gatewayKey": OWN.key_pem,
    },
    "namespace": {"namespace": "life-b", "confirm": ["namespace=life-b", "namespace=life"]},
    "gateway": {
        "gatewayMode": "selfSigned",
        "gatewayDomain": "life-gateway.target.test",
        "gatewayCiphers": "ECDHE-ECDSA-AES256-GCM-SHA384",
        "gatewayKeyAlgorithm": "ECDSA-P384",
        "gatewayLegacyInstaller": "true",
        "gatewayServiceEntries": "api.life.example",
        "gatewayTakeOver": "true",
    },
}
KILLED_AFTER_SECONDS = (3.5, 5.0, 7.0)


@dataclass
class Life:
    """A live stack of the demo, and each cluster's objects from before."""

    project: Project
    lab: Lab
    stack: automation.Stack
    before: dict[str, set[str]]
    uids: dict[str, str]

    def set(self, **changes: object) -> None:
        """Make the config the basic one with these changes."""
        wanted = {**BASE, **changes}
        kept = {f"kyma-mtls:{key}" for key in ("platform", "targetImage", "clientImage", *wanted)}
        stale = {key for key in self.stack.get_all_config() if key.startswith("kyma-mtls:")} - kept
        if stale:
            self.stack.remove_all_config(sorted(stale))
        configure(self.stack, **wanted)

    def kill_up(self, seconds: float) -> None:
        """Start `pulumi up` and kill it some seconds later, as no one can prevent."""
        process = self.project.start_up(self.stack)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        process.wait()
        time.sleep(1)  # until the plugins have noticed
        self.stack.cancel()

    def up(self) -> None:
        """Deploy; where an interrupted deletion has been taken back, as the error says."""
        try:
            self.stack.up()
        except automation.CommandError as error:
            if "`pulumi up --refresh` makes anew" not in str(error):
                raise
            self.stack.up(refresh=True)

    def expect_whole(self, domain: str, namespace: str = "life") -> None:
        """Whatever the state has is there, and the host is served."""
        for resource in (self.stack.export_stack().deployment or {})["resources"]:
            if resource["type"].startswith("kubernetes:") and not resource["type"].endswith("Patch"):
                self._expect_object(resource)
        url = f"http://{domain}/headers"
        eventually(lambda: self.lab.status(namespace, url) == "200", f"{domain} is served", 60)

    def _expect_object(self, resource: dict[str, Any]) -> None:
        if resource.get("external"):
            return
        provider = resource["provider"].rpartition("::")[0]  # it ends with the UID of its cluster
        cluster = next(name for name, uid in self.uids.items() if provider.endswith(uid))
        metadata = resource["outputs"]["metadata"]
        group = resource["outputs"]["apiVersion"].rpartition("/")[0]
        kind = f"{resource['outputs']['kind'].lower()}{'.' + group if '.' in group else ''}"
        scope = ("-n", metadata["namespace"]) if metadata.get("namespace") else ()
        self.lab.kubectl(cluster, *scope, "get", kind, metadata["name"])


@pytest.fixture(scope="module")
def life(lab: Lab, project: Project) -> Iterator[Life]:
    stack = project.stack("life", **BASE)
    lab.kubectl("target", "create", "service", "clusterip", "life", "--tcp=443")
    before = {cluster: lab.objects(cluster) for cluster in CLUSTERS}
    uid = ("get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}")
    uids = {cluster: lab.kubectl(cluster, *uid) for cluster in CLUSTERS}
    stack.up()
    yield Life(project, lab, stack, before, uids)
    stack.destroy()
    lab.kubectl("target", "delete", "service", "life")


@pytest.mark.parametrize("name", CHANGES)
def test_change_that_is_killed_repeated_and_taken_back_leaves_a_whole_stack(life: Life, name: str) -> None:
    change = CHANGES[name]
    back = {"confirm": change["confirm"]} if "confirm" in change else {}
    hosts, namespace = change.get("hosts", BASE["hosts"]), change.get("namespace", "life")
    early, middle, late = KILLED_AFTER_SECONDS
    life.set(**change)
    life.kill_up(early)
    life.kill_up(late)
    life.up()
    life.expect_whole(hosts["httpbin"]["domain"], namespace)
    life.set(**back)
    life.kill_up(middle)
    life.set(**change)
    life.kill_up(late)
    life.set(**back)
    life.up()
    life.expect_whole("life.target.test")
    life.stack.preview(expect_no_changes=True)


INTERRUPTIONS: dict[str, dict[str, Any]] = {
    "namespace": {"namespace": "life-b"},
    "clients.client": {"clients": {"client": CLIENT2}},
    "target": {
        "target": {"kubeconfig": ".lab/client.kubeconfig"},
        "clients": {"client": {"kubeconfig": ".lab/target.kubeconfig"}},
    },
}


def test_interruption_is_refused_before_anything_is_touched(life: Life) -> None:
    before = {cluster: life.lab.objects(cluster) for cluster in CLUSTERS}
    for key, change in INTERRUPTIONS.items():
        life.set(**change)
        for attempt in (life.stack.preview, life.stack.up):
            with pytest.raises(automation.CommandError, match=rf"kyma-mtls:{key}: changes from .*confirm\[\d\]"):
                attempt()
    life.set()
    for cluster in CLUSTERS:
        assert life.lab.objects(cluster) == before[cluster]
    life.stack.preview(expect_no_changes=True)


def test_confirmed_move_to_another_cluster_leaves_nothing_in_the_old_one_even_if_killed(life: Life) -> None:
    life.set(clients={"client": CLIENT2}, confirm=[f"clients.client={life.uids['client2']}"])
    for seconds in KILLED_AFTER_SECONDS:
        life.kill_up(seconds)
    life.up()
    assert life.lab.objects("client") == life.before["client"]
    url = "http://life.target.test/headers"
    eventually(lambda: life.lab.status("life", url, cluster="client2") == "200", "it is served from there")
    life.set(confirm=[f"clients.client={life.uids['client']}"])
    life.up()
    assert life.lab.objects("client2") == life.before["client2"]
    life.set()
    life.expect_whole("life.target.test")


def test_deleted_object_is_told_and_refresh_brings_it_back(life: Life) -> None:
    life.lab.kubectl("client", "-n", "istio-system", "delete", "secret", "client-credential-life.1")
    for attempt in (life.stack.preview, life.stack.up):
        with pytest.raises(automation.CommandError) as told:
            attempt()
        assert re.search(
            r"has no Secret istio-system/client-credential-life\.1, which this stack made", str(told.value)
        )
        assert "`pulumi up --refresh`" in str(told.value)
    life.stack.up(refresh=True)
    life.expect_whole("life.target.test")


def test_object_that_an_interrupted_update_left_is_told_by_the_verification(life: Life) -> None:
    name = "kyma-mtls-certs-life-httpbin.1"
    found = life.lab.get("target", "secret", "istio-system", name)["metadata"]
    left = {"name": "left", "namespace": "life", "labels": found["labels"]}
    life.lab.apply("target", {"apiVersion": "v1", "kind": "Secret", "metadata": left})
    verified = life.project.verify(life.stack, "--timeout", "5", "--only", "the stack's objects")
    assert verified.returncode == 1, verified.stdout
    assert "kubectl -n life delete secret left" in verified.stdout
    life.lab.kubectl("target", "-n", "life", "delete", "secret", "left")
    life.project.expect_verified(life.stack, "0 failed", "--only", "the stack's objects")


def test_renamed_client_is_refused_until_the_old_name_is_gone(life: Life) -> None:
    life.set(clients={"renamed": CLIENT})
    for attempt in (life.stack.preview, life.stack.up):
        with pytest.raises(automation.CommandError, match=r"it is client-client-namespace of this stack: remove that"):
            attempt()
    nobody = {"httpbin": {"domain": "life.target.test", "clients": []}}
    life.set(clients={}, hosts=nobody)
    life.stack.up()
    life.set(clients={"renamed": CLIENT})
    life.stack.up()
    life.expect_whole("life.target.test")


def test_destroy_leaves_the_clusters_as_they_were_found(life: Life) -> None:
    life.stack.destroy()
    for cluster, before in life.before.items():
        assert life.lab.objects(cluster) == before, cluster
