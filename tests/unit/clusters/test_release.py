"""The release of the Kyma gateway: which objects go, which Secret stays behind, and when it is over."""

from typing import Any

import pytest

from clusters import release
from components.ownership import OWNER_LABEL
from components.readiness import READY, failing, silent, waiting
from tests.unit.fakes import fake_cluster

GATEWAY = "/apis/networking.istio.io/v1/namespaces/kyma-system/gateways/kyma-gateway"
CERTIFICATES = "/apis/cert.gardener.cloud/v1alpha1/certificates"
CERTIFICATE = "/apis/cert.gardener.cloud/v1alpha1/namespaces/istio-system/certificates/kyma-tls-cert"
DNS_ENTRY = "/apis/dns.gardener.cloud/v1alpha1/namespaces/kyma-system/dnsentries/kyma-gateway"
SECRET = "/api/v1/namespaces/istio-system/secrets/kyma-gateway-certs"  # noqa: S105 - a path
MODULE = {"kyma-project.io/module": "api-gateway"}
ISSUED = {"cert.gardener.cloud/certificate": "true", "cert.gardener.cloud/hash": "5ec"}


def labelled(labels: dict[str, str], **found: Any) -> dict[str, Any]:
    return {"metadata": {"labels": labels, "uid": "u1", "namespace": "istio-system"}, **found}


OPERATORS = labelled(MODULE)
OURS = labelled({**MODULE, OWNER_LABEL: "0a1b"})
CERTIFIED = labelled({**MODULE, "cert.gardener.cloud/hash": "5ec"}, spec={"secretName": "kyma-gateway-certs"})
ON_SHOOT = {GATEWAY: OPERATORS, DNS_ENTRY: OPERATORS, CERTIFICATE: CERTIFIED, SECRET: labelled(ISSUED | MODULE)}
SHOOTS_NAMES = (
    "Gateway kyma-system/kyma-gateway",
    "DNSEntry kyma-system/kyma-gateway",
    "Certificate istio-system/kyma-tls-cert",
    "Secret istio-system/kyma-gateway-certs",
)


@pytest.mark.parametrize(
    ("found", "names"),
    [
        ({}, ()),
        (ON_SHOOT, SHOOTS_NAMES),
        ({**ON_SHOOT, SECRET: labelled(ISSUED)}, SHOOTS_NAMES),
        ({GATEWAY: OPERATORS, SECRET: OPERATORS}, (SHOOTS_NAMES[0], SHOOTS_NAMES[3])),
        (dict.fromkeys(ON_SHOOT, OURS), ()),
        ({path: labelled({}) for path in ON_SHOOT}, ()),
        ({**ON_SHOOT, SECRET: labelled({"a": "user's"})}, SHOOTS_NAMES[:3]),
    ],
    ids=["nothing", "shoot", "without-secret-labels", "no-shoot", "ours", "users", "users-secret"],
)
def test_release_includes_the_operators_objects_only(found: dict[str, Any], names: tuple[str, ...]) -> None:
    cluster = fake_cluster(found)
    assert release.to_be_released(cluster, release.leftover_secret(cluster)) == names


@pytest.mark.parametrize(
    ("found", "uid"),
    [
        (ON_SHOOT, "u1"),
        ({SECRET: labelled(ISSUED | MODULE)}, "u1"),
        ({}, ""),
        ({SECRET: labelled(ISSUED)}, ""),
        ({**ON_SHOOT, SECRET: labelled({**ISSUED, "cert.gardener.cloud/hash": "0th"})}, ""),
        ({**ON_SHOOT, CERTIFICATE: labelled(CERTIFIED["metadata"]["labels"], spec={"secretName": "other"})}, ""),
        ({**ON_SHOOT, SECRET: labelled(MODULE)}, ""),
        ({**ON_SHOOT, SECRET: labelled({**ISSUED, **MODULE, OWNER_LABEL: "0a1b"})}, ""),
        ({SECRET: labelled(ISSUED | MODULE), CERTIFICATES: {"items": [CERTIFIED]}}, ""),
    ],
    ids=[
        "of-the-certificate",
        "of-the-certificate-that-is-gone",
        "nothing",
        "of-no-certificate",
        "of-another-certificate",
        "certificate-writes-elsewhere",
        "operators-own",
        "a-stacks",
        "another-certificate-writes-it",
    ],
)
def test_leftover_secret_is_the_one_that_gardener_wrote_for_the_operator(found: dict[str, Any], uid: str) -> None:
    assert release.leftover_secret(fake_cluster(found)) == uid


def module(*finalizers: str, **status: Any) -> dict[str, Any]:
    return {"metadata": {"finalizers": list(finalizers)}, "status": status}


def test_release_waits_for_the_operators_finalizer_and_reports_its_reasons() -> None:
    judge = release.judge_of_release(fake_cluster(), "")
    kept = "gateways.operator.kyma-project.io/kyma-gateway"
    assert judge(fake_cluster(), module(kept)) == silent(
        "Kyma's operator has not released kyma-gateway yet; does Deployment kyma-system/api-gateway-controller-manager "
        "run?"
    )
    condition = {"status": "False", "message": "Kyma Gateway deletion blocked: cart"}
    blocked = module(kept, state="Warning", description="See the logs", conditions=[condition])
    assert judge(fake_cluster(), blocked) == failing("Warning: Kyma Gateway deletion blocked: cart", 70)


def test_release_is_over_when_all_but_the_leftover_secret_is_gone() -> None:
    deleting = labelled(MODULE, status={"state": "Deleting", "message": "record of the zone"})
    cluster = fake_cluster(ON_SHOOT | {DNS_ENTRY: deleting})
    judge = release.judge_of_release(cluster, "u1")
    cluster.found.pop(GATEWAY)
    cluster.found.pop(CERTIFICATE)
    entry = "DNSEntry kyma-system/kyma-gateway (Deleting: record of the zone)"
    assert judge(cluster, module()) == waiting(f"the cluster still has objects of Kyma's operator: {entry}")
    assert not cluster.deleted
    cluster.found.pop(DNS_ENTRY)
    assert judge(cluster, module()) == READY
    assert not cluster.deleted, "a judge changes nothing"


def test_leftover_secret_is_removed_by_its_uid() -> None:
    cluster = fake_cluster({SECRET: labelled(ISSUED)})
    release.remove_leftover_secret(cluster, "u1")
    assert cluster.deleted == [(SECRET, "u1")]


def test_leftover_secret_is_not_another_secret() -> None:
    for found, left in (({}, "u1"), ({SECRET: labelled(ISSUED)}, "u2"), ({SECRET: OURS}, "")):
        cluster = fake_cluster(found)
        assert release.judge_of_release(cluster, left)(cluster, module()) == READY
        release.remove_leftover_secret(cluster, left)
        assert not cluster.deleted


def test_release_waits_for_the_operators_own_secret() -> None:
    cluster = fake_cluster({SECRET: OPERATORS})
    verdict = release.judge_of_release(cluster, "")(cluster, module())
    assert verdict == waiting(
        "the cluster still has objects of Kyma's operator: Secret istio-system/kyma-gateway-certs"
    )


def test_release_does_not_wait_for_a_stacks_objects() -> None:
    cluster = fake_cluster(dict.fromkeys(ON_SHOOT, OURS))
    assert release.judge_of_release(cluster, "")(cluster, module()) == READY
