"""What Kyma's operator has under the names that a take-over needs, and whether it has given them up.

Disabled, it deletes DNSEntry, Certificate and Gateway without waiting and takes its finalizer off the APIGateway at
once. Gardener's DNS management keeps the DNSEntry until its record is gone, and refuses a second one of that DNS name;
the certificate management leaves the Secret behind that it wrote. Without Gardener the Secret is the operator's, too.
"""

from collections.abc import Iterator
from typing import Any

from clusters.cluster import Cluster
from clusters.gateway_hooks import MODULE
from components.judges import KYMA_PATIENCE
from components.ownership import OWNER_LABEL
from components.readiness import READY, Judge, Reader, Verdict, called, failing, waiting

_FINALIZER = "gateways.operator.kyma-project.io/kyma-gateway"
_ISSUED, _HASH = "cert.gardener.cloud/certificate", "cert.gardener.cloud/hash"
_GARDENER = "cert.gardener.cloud/v1alpha1"
_CERTIFICATE = (_GARDENER, "Certificate", "istio-system", "kyma-tls-cert")
_SECRET = ("v1", "Secret", "istio-system", "kyma-gateway-certs")
_NAMES = (
    ("networking.istio.io/v1", "Gateway", "kyma-system", "kyma-gateway"),
    ("dns.gardener.cloud/v1alpha1", "DNSEntry", "kyma-system", "kyma-gateway"),
    _CERTIFICATE,
    _SECRET,
)


def to_be_released(target: Cluster, left: str) -> tuple[str, ...]:
    """Return what the operator will give up, each KIND NAMESPACE/NAME; with the Secret if that is left behind."""
    names = [called(*where[1:]) for where in _NAMES if _is_operators(target.find(*where))]
    if left:
        names.append(called(*_SECRET[1:]))
    return tuple(dict.fromkeys(names))


def leftover(target: Cluster) -> str:
    """Return the uid of the Secret that Gardener wrote for the operator's Certificate; empty if there is none."""
    secret = target.find(*_SECRET)
    labels = _labels(secret)
    if not secret or OWNER_LABEL in labels or labels.get(_ISSUED) != "true":
        return ""
    certificate = target.find(*_CERTIFICATE)
    if _is_operators(certificate):
        is_operators = _writes(certificate) and labels.get(_HASH) == _labels(certificate).get(_HASH)
    else:
        # The operator's Certificate is gone already: it had its labels put on the Secret.
        is_operators = _is_operators(secret) and not any(map(_writes, target.items(f"/apis/{_GARDENER}/certificates")))
    return str(secret["metadata"]["uid"]) if is_operators else ""


def given_up(target: Cluster, left: str) -> Judge:
    """Return a judge of the APIGateway that removes the Secret with uid `left` when all else is gone."""

    def judge(_: Reader, module: dict[str, Any]) -> Verdict:
        if _FINALIZER in module["metadata"].get("finalizers", []):
            return _blocked(module.get("status") or {})
        if standing := list(_standing(target, left)):
            return waiting(f"what Kyma's operator made is still there: {', '.join(standing)}")
        secret = target.find(*_SECRET)
        if left and secret and secret["metadata"]["uid"] == left:
            target.delete(target.path(*_SECRET) or "", left)
        return READY

    return judge


def _blocked(status: dict[str, Any]) -> Verdict:
    if status.get("state") not in {"Error", "Warning"}:
        return waiting("Kyma's operator has not given up kyma-gateway yet")
    reasons = [each["message"] for each in status.get("conditions") or [] if each["status"] == "False"]
    return failing(f"{status['state']}: {'; '.join(reasons) or status.get('description')}", KYMA_PATIENCE)


def _standing(target: Cluster, left: str) -> Iterator[str]:
    for where in _NAMES:
        found = target.find(*where)
        is_left = where == _SECRET and left and found and found["metadata"]["uid"] == left
        if _is_operators(found) and not is_left:
            status = found.get("status") or {}
            said = f"{status.get('state') or ''}: {status.get('message') or ''}".strip(": ")
            yield called(*where[1:]) + (f" ({said})" if said else "")


def _writes(certificate: Any) -> bool:
    """Return whether a Certificate writes into the Secret."""
    spec = certificate["spec"]
    reference = spec.get("secretRef") or {"name": spec.get("secretName")}
    namespace = reference.get("namespace") or certificate["metadata"]["namespace"]
    return (namespace, reference.get("name")) == _SECRET[2:]


def _labels(found: Any) -> dict[str, str]:
    return dict(found["metadata"].get("labels") or {}) if found else {}


def _is_operators(found: Any) -> bool:
    labels = _labels(found)
    return OWNER_LABEL not in labels and MODULE in labels.items()
