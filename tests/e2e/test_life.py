"""The life of a stack's objects: no change, however it ends, loses what serves, or ends well and lacks something."""

import os
import re
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from pulumi import automation

from components.ownership import OWNER_LABEL
from tests.e2e.conftest import CLUSTERS, Deployed, Lab, Project, configure, eventually, expect_as_before, refusal
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
    "values": {
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
        "gatewayMode": "selfSigned",
        "gatewayDomain": "life-gateway.target.test",
        "gatewayCiphers": "ECDHE-ECDSA-AES256-GCM-SHA384",
        "gatewayKeyAlgorithm": "ECDSA-P384",
        "gatewayLegacyInstaller": "true",
        "gatewayServiceEntries": "api.life.example",
        "gatewayTakeOver": "true",
    },
    "more": {
        "clients": {
            "client": CLIENT,
            "client2": {**CLIENT2, "callers": ["default/caller"]},
            "partner": {"certificateAuthority": PARTNER.pem, "identity": "dns:client.partner.example"},
        },
        "hosts": {
            "httpbin": {"domain": "life.target.test", "clients": ["client", "client2", "partner"]},
            "second": {"domain": "second.target.test", "clients": ["client2"]},
            "third": {
                "domain": "third.target.test",
                "service": {"namespace": "default", "name": "life", "port": 443},
                "clients": [],
            },
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
}
KILLED_AFTER_SECONDS = (3.5, 5.0, 7.0)
SHARED = ("-n", "istio-system")
KINDS = (
    "namespaces,secrets,authorizationpolicies.security.istio.io,destinationrules.networking.istio.io,"
    "telemetries.telemetry.istio.io"
)
"""Kinds of what a stack makes outside its own namespace."""


def end_session(leader: int) -> None:
    """Kill all processes of a session."""
    for process in map(int, filter(str.isdigit, os.listdir("/proc"))):
        with suppress(ProcessLookupError):
            if os.getsid(process) == leader:
                os.kill(process, signal.SIGKILL)


@dataclass
class Life(Deployed):
    """A live stack of the demo, and each cluster's objects from before."""

    project: Project = field(kw_only=True)
    lab: Lab = field(kw_only=True)
    before: dict[str, set[str]] = field(kw_only=True)
    uids: dict[str, str] = field(kw_only=True)
    _keys: set[str] = field(default_factory=set)

    def set(self, **changes: object) -> None:
        """Make the config the basic one with these changes."""
        if stale := self._keys - set(changes) - set(BASE):
            self.stack.remove_all_config([f"kyma-mtls:{key}" for key in sorted(stale)])
        configure(self.stack, **{**BASE, **changes})
        self._keys = set(changes)

    def kill_up(self, seconds: float) -> None:
        """Start `pulumi up` and kill it some seconds later, as no one can prevent."""
        process = self.project.start_up(self.stack)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
        process.wait()
        time.sleep(1)  # until the cluster has done what was under way: the plugins live on
        end_session(process.pid)
        self.stack.cancel()

    def up_again(self) -> None:
        """Deploy; where an interrupted deletion has been taken back, as the error says."""
        try:
            self.up()
        except automation.CommandError as error:
            if "`pulumi up --refresh` makes deleted objects anew" not in str(error):
                raise
            self.up(refresh=True)

    def remove_what_was_left(self) -> None:
        """Delete what a killed update created and nobody knows of, since its change was taken back."""
        known = self._objects()
        owner = next(each["outputs"]["hex"] for each in self._resources() if each["urn"].endswith("::owner"))
        for cluster in CLUSTERS:
            labelled = self.lab.kubectl(
                cluster, *SHARED, "get", KINDS, "-l", f"{OWNER_LABEL}={owner}", "-o", "name"
            ).split()
            if left := {*labelled} - {*known[cluster, ""], *known[cluster, SHARED[1]]}:
                self.lab.kubectl(cluster, *SHARED, "delete", *left)

    def forget(self, name: str) -> None:
        """Take a resource, NAME-…, and what depends on it out of the state: an update that is killed leaves them so."""
        urn = next(each["urn"] for each in self._resources() if f"::{name}-" in each["urn"])
        self.stack.forget(urn)

    def expect_whole(self, domain: str, namespace: str = "life") -> None:
        """Whatever the state has is there, and the host is served."""
        for (cluster, place), names in self._objects().items():
            self.lab.kubectl(cluster, *(("-n", place) if place else ()), "get", "-o", "name", *names)
        url = f"http://{domain}/headers"
        eventually(lambda: self.lab.status(namespace, url) == "200", f"{domain} is served", 60)

    def _resources(self) -> list[dict[str, Any]]:
        return list((self.stack.export_stack().deployment or {})["resources"])

    def _objects(self) -> defaultdict[tuple[str, str], list[str]]:
        """Return what the state has, by cluster and namespace, each as KIND.GROUP/NAME."""
        found = defaultdict(list)
        for resource in self._resources():
            is_object = resource["type"].startswith("kubernetes:") and not resource["type"].endswith("Patch")
            if not is_object or resource.get("external"):
                continue
            provider = resource["provider"].rpartition("::")[0]  # it ends with the UID of its cluster
            cluster = next(name for name, uid in self.uids.items() if provider.endswith(uid))
            outputs, metadata = resource["outputs"], resource["outputs"]["metadata"]
            group = outputs["apiVersion"].rpartition("/")[0]
            kind = f"{outputs['kind'].lower()}{'.' + group if '.' in group else ''}"
            found[cluster, metadata.get("namespace", "")].append(f"{kind}/{metadata['name']}")
        return found


@pytest.fixture(scope="module")
def life(lab: Lab, project: Project) -> Iterator[Life]:
    uid = ("get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}")
    uids = {cluster: lab.kubectl(cluster, *uid) for cluster in CLUSTERS}
    lab.kubectl("target", "create", "service", "clusterip", "life", "--tcp=443")
    try:
        slices = ("get", "endpointslices", "-l", "kubernetes.io/service-name=life", "-o", "name")
        eventually(lambda: bool(lab.kubectl("target", *slices)), "the Service has its slice")
        stack, before = project.stack("life", **BASE), lab.inventory(*CLUSTERS)
        deployed = Life(stack, project=project, lab=lab, before=before, uids=uids)
        try:
            deployed.up()
            yield deployed
        finally:
            deployed.destroy()
    finally:
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
    life.up_again()
    life.expect_whole(hosts["httpbin"]["domain"], namespace)
    life.set(**back)
    life.kill_up(middle)
    life.set(**change)
    life.kill_up(late)
    life.set(**back)
    life.up_again()
    life.expect_whole("life.target.test")
    life.stack.preview(expect_no_changes=True)
    life.remove_what_was_left()


def test_interruption_is_refused_before_anything_is_touched(life: Life) -> None:
    before = life.lab.inventory(*CLUSTERS)
    life.set(
        namespace="life-b",
        target={"kubeconfig": ".lab/client.kubeconfig"},
        clients={"client": {"kubeconfig": ".lab/target.kubeconfig"}},
    )
    for attempt in (life.stack.preview, life.up):
        said = refusal(attempt)
        for key in ("namespace", "target", "clients.client"):
            assert re.search(rf"kyma-mtls:{key}: changes from .*confirm\[\d\]", said), said
    life.set()
    expect_as_before(life.lab, before)
    life.stack.preview(expect_no_changes=True)


def test_confirmed_move_to_another_cluster_leaves_nothing_in_the_old_one_even_if_killed(life: Life) -> None:
    life.set(clients={"client": CLIENT2}, confirm=[f"clients.client={life.uids['client2']}"])
    for seconds in KILLED_AFTER_SECONDS:
        life.kill_up(seconds)
    life.up_again()
    assert life.lab.objects("client") == life.before["client"]
    url = "http://life.target.test/headers"
    eventually(lambda: life.lab.status("life", url, cluster="client2") == "200", "it is served from there")
    life.set(confirm=[f"clients.client={life.uids['client']}"])
    life.up_again()
    assert life.lab.objects("client2") == life.before["client2"]
    life.set()
    life.expect_whole("life.target.test")


def test_deleted_object_is_told_and_refresh_brings_it_back(life: Life) -> None:
    life.lab.kubectl("client", "-n", "istio-system", "delete", "secret", "client-credential-life.1")
    for attempt in (life.stack.preview, life.up):
        said = refusal(attempt)
        assert "has no Secret istio-system/client-credential-life.1, which this stack made" in said, said
        assert "`pulumi up --refresh`" in said, said
    life.up(refresh=True)
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


def test_objects_that_a_killed_update_created_are_taken_on_and_changed_later(life: Life) -> None:
    life.forget("target-httpbin-admission")
    life.up()
    life.set(hosts={"httpbin": {"domain": "life.target.test", "methods": ["PUT"]}})
    life.up()
    url = "http://life.target.test/headers"
    eventually(lambda: life.lab.status("life", url) == "403", "what it left is changed")
    life.set()
    life.up()
    life.expect_whole("life.target.test")


def test_renamed_client_is_refused_until_the_old_name_is_gone(life: Life) -> None:
    life.set(clients={"renamed": CLIENT})
    for attempt in (life.stack.preview, life.up):
        assert "it is client-client-namespace of this stack: remove that" in refusal(attempt)
    nobody = {"httpbin": {"domain": "life.target.test", "clients": []}}
    life.set(clients={}, hosts=nobody)
    life.up()
    life.set(clients={"renamed": CLIENT})
    life.up()
    life.expect_whole("life.target.test")


def test_destroy_leaves_the_clusters_as_they_were_found(life: Life) -> None:
    life.destroy()
    expect_as_before(life.lab, life.before)
