"""The life of a stack's objects: a change that is killed, repeated or taken back leaves all of them, and they serve."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from components.comparison import differences
from components.ownership import FIELD_MANAGER, RESOURCE_ANNOTATION
from tests.e2e.support import creation
from tests.e2e.support.killing import Moment, Partial
from tests.e2e.support.lab import CLUSTERS, Lab
from tests.e2e.support.life import Life
from tests.e2e.support.project import Project
from tests.e2e.support.stack import refusal
from tests.e2e.support.waiting import eventually
from tests.unit.pki import issue

CLIENT = {"kubeconfig": ".lab/client.kubeconfig", "domain": "life.client.test"}
CLIENT2 = {"kubeconfig": ".lab/client2.kubeconfig", "domain": "life.client2.test"}
BASE: dict[str, Any] = {
    "namespace": "life",
    "target": {"kubeconfig": ".lab/target.kubeconfig"},
    "clients": {"client": CLIENT},
    "hosts": {"httpbin": {"domain": "life.target.test"}},
}
ADMISSION = "target-httpbin-admission"
PARTNER = issue("Partner CA")
GIVEN = issue("ours", PARTNER, uris=("spiffe://partner.example/us",), usage=ExtendedKeyUsageOID.CLIENT_AUTH)
OWN = issue("gateway", PARTNER, hosts=("*.own-gateway.target.test",))
# Every key that does not move objects; each change is made and taken back, and killed on its way (KILLS).
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
}


@dataclass(frozen=True)
class Kills:
    """When the updates of a change are killed.

    making: while it is made, one after the other, until it is made whole
    taking_back: while it is taken back
    cut_off: while it is made before all that, to be undone by a refresh
    making_again: whether it is made once more, of what taking_back left, before it is taken back for good
    """

    making: tuple[Moment, ...]
    taking_back: Moment
    cut_off: Moment | None = None
    making_again: bool = False


KILLS = {
    "values": Kills(
        making=(Moment("create", 3),),  # in the first creations: 12 objects are created, 8 updated, and 5 deleted
        taking_back=Moment("delete", 2),  # in the deletions, which come last
        cut_off=Moment("update", 3, alone=True),
        making_again=True,
    ),
    "more": Kills(
        making=(Moment("create", 2, alone=True), Moment("create", 10)),  # 37 are created, in three clusters
        taking_back=Moment("delete", 10),  # in the middle of as many deletions
    ),
}


@pytest.fixture(scope="module")
def life(lab: Lab, project: Project) -> Iterator[Life]:
    uid = ("get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}")
    uids = {cluster: lab.kubectl(cluster, *uid) for cluster in CLUSTERS}
    lab.kubectl("target", "create", "service", "clusterip", "life", "--tcp=443")
    try:
        slices = ("get", "endpointslices", "-l", "kubernetes.io/service-name=life", "-o", "name")
        eventually(lambda: bool(lab.kubectl("target", *slices)), "the Service has its slice")
        stack, before = project.stack("life", **BASE), lab.inventory(*CLUSTERS)
        deployed = Life(stack, lab, project=project, base=BASE, before=before, uids=uids)
        try:
            deployed.up()
            yield deployed
        finally:
            deployed.destroy()
    finally:
        lab.kubectl("target", "delete", "service", "life")


@pytest.mark.parametrize("name", CHANGES)
def test_change_that_is_killed_repeated_and_taken_back_leaves_a_whole_stack(life: Life, name: str) -> None:
    change, kills = CHANGES[name], KILLS[name]
    domain, unchanged = change["hosts"]["httpbin"]["domain"], life.state()
    life.set(**change)
    partial = [cut_off_and_undone(life, change, kills.cut_off)] if kills.cut_off else []
    partial += [life.kill_up(moment) for moment in kills.making]
    life.up_again()
    changed = life.state()
    for each in partial:
        each.expect_between(changed)
    life.expect_whole(domain)
    life.set()
    life.kill_up(kills.taking_back).expect_between(unchanged)
    if kills.making_again:
        life.set(**change)
        life.up_again()
        life.expect_whole(domain)
        life.set()
    life.up_again()
    life.expect_whole("life.target.test")
    life.stack.preview(expect_no_changes=True)
    life.remove_leftovers()


def cut_off_and_undone(life: Life, change: dict[str, Any], moment: Moment) -> Partial:
    """Kill the engine alone while it makes a change, and take that back by a refresh; return what it left.

    What the plugins were changing when the engine ended is changed in the cluster, and as before in the state: if it is
    taken back, it is no change for the engine, and only a refresh sees it.
    """
    partial = life.kill_up(moment)
    life.set()
    life.up(refresh=True)
    life.expect_whole("life.target.test")
    life.remove_leftovers()
    life.set(**change)
    return partial


def test_interruption_is_refused_before_anything_is_touched(life: Life) -> None:
    before = (life.owned(), life.state())
    life.set(
        namespace="life-b",
        target={"kubeconfig": ".lab/client.kubeconfig"},
        clients={"client": {"kubeconfig": ".lab/target.kubeconfig"}},
    )
    said = refusal(life.up)
    for key in ("namespace", "target", "clients.client"):
        assert re.search(rf"kyma-mtls:{key}: changes from .*confirm\[\d\]", said), said
    life.set()
    assert (life.owned(), life.state()) == before


def test_confirmed_moves_leave_nothing_in_the_old_place_even_if_killed(life: Life) -> None:
    """Move a client to another cluster; it back, and all to another namespace; and that back."""
    unchanged, url = life.state(), "http://life.target.test/headers"
    life.set(clients={"client": CLIENT2}, confirm=[f"clients.client={life.uids['client2']}"])
    # Some of 13 objects are deleted in the old cluster, and none is made in the new one; then some are made there.
    partial = [life.kill_up(moment) for moment in (Moment("delete-replaced", 3), Moment("create-replacement", 6))]
    life.up_again()
    in_client2 = life.state()
    for each in partial:
        each.expect_between(in_client2)
    assert not life.owned()["client"]
    eventually(lambda: life.lab.status("life", url, cluster="client2") == "200", "it is served from there")
    life.set(namespace="life-b", confirm=[f"clients.client={life.uids['client']}", "namespace=life-b"])
    # Some of 22 objects are deleted, and none is made anew.
    partial = [life.kill_up(Moment("delete-replaced", 3))]
    life.up_again()
    partial[0].expect_between(life.state())
    assert not life.owned()["client2"]
    life.expect_whole("life.target.test", "life-b")
    life.set(confirm=["namespace=life"])
    # All 22 are deleted, and some are made anew.
    life.kill_up(Moment("create-replacement", 4)).expect_between(unchanged)
    life.up_again()
    life.set()
    life.expect_whole("life.target.test")
    life.stack.preview(expect_no_changes=True)
    life.remove_leftovers()


def test_leftover_of_a_killed_update_is_reported_by_the_verification(life: Life) -> None:
    name = "kyma-mtls-certs-life-httpbin.1"
    found = life.lab.get("target", "secret", "istio-system", name)["metadata"]
    left = {"name": "left", "namespace": "life", "labels": found["labels"]}
    life.lab.apply("target", {"apiVersion": "v1", "kind": "Secret", "metadata": left})
    verified = life.project.verify(life.stack, "--timeout", "0", "--only", "further objects")
    assert verified.returncode == 1, verified.stdout
    assert "kubectl -n life delete secret left" in verified.stdout
    life.lab.kubectl("target", "-n", "life", "delete", "secret", "left")
    life.project.expect_verified(life.stack, "0 failed", "--only", "objects")


def test_objects_that_are_created_by_post_are_as_applied(life: Life) -> None:
    """Secrets aside, whose values the state has encrypted."""
    kinds, found = set(), []
    for cluster in ("target", "client"):
        applied = life.manifests(cluster)
        kinds |= {each["kind"] for each in applied}
        for was, posted in zip(applied, creation.would_be(life.lab, cluster, applied), strict=True):
            found += [f"{was['kind']} {was['metadata']['name']}: {each}" for each in differences(was, posted)]
    assert {"Namespace", "Service", "ServiceAccount", "Deployment", "NetworkPolicy", "Gateway"} <= kinds
    assert found == []


def test_refresh_brings_a_deleted_object_back_and_a_leftover_of_a_killed_update_is_taken_on(life: Life) -> None:
    life.lab.kubectl("client", "-n", "istio-system", "delete", "secret", "client-credential-life.1")
    said = refusal(life.stack.preview)
    assert "has no Secret istio-system/client-credential-life.1, which this stack made" in said, said
    assert "`pulumi up --refresh`" in said, said
    leftover, older = admission(life), {"example.com/older": "yes"}
    life.forget(ADMISSION)
    creation.make_again(life.lab, "target", leftover, older)
    life.up(refresh=True)
    life.expect_whole("life.target.test")
    life.set(hosts={"httpbin": {"domain": "life.target.test", "methods": ["PUT"]}})
    life.up()
    url = "http://life.target.test/headers"
    eventually(lambda: life.lab.status("life", url) == "403", "the leftover is changed")
    found = json.loads(life.lab.kubectl("target", "get", *leftover, "-o", "json", "--show-managed-fields"))["metadata"]
    assert {each["manager"] for each in found["managedFields"]} == {FIELD_MANAGER}
    assert not older.keys() & found["labels"].keys(), "a field that no config has stays"


def admission(life: Life) -> tuple[str, ...]:
    """Return the AuthorizationPolicy that admits the host's clients, as kubectl names it."""
    metadata = (each["metadata"] for each in life.manifests("target"))
    made = next(each for each in metadata if each["annotations"][RESOURCE_ANNOTATION].startswith(ADMISSION))
    return ("-n", made["namespace"], "authorizationpolicy.security.istio.io", made["name"])


def test_renamed_client_is_refused_until_the_old_name_is_gone(life: Life) -> None:
    """Expect that the leftover of the test before, which admits no GET, is changed by each further update, too."""
    life.set(clients={"renamed": CLIENT})
    assert "it is client-client-namespace of this stack: remove that" in refusal(life.up)
    nobody = {"httpbin": {"domain": "life.target.test", "clients": []}}
    life.set(clients={}, hosts=nobody)
    life.up()
    life.set(clients={"renamed": CLIENT})
    life.up()
    life.expect_whole("life.target.test")


def test_destroy_leaves_the_clusters_as_they_were_found(life: Life) -> None:
    life.destroy()
    life.lab.expect_as_before(life.before)
