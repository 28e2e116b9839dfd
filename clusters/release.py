"""The release: Kyma's operator gives up its gateway, so that a take-over can use the names.

Once disabled, the operator deletes DNSEntry, Certificate and Gateway without waiting, and removes its finalizer from
the APIGateway at once (kyma-project/api-gateway, internal/reconciliations/gateway). Gardener's DNS management keeps the
DNSEntry until its record is gone, and refuses a second DNSEntry of that DNS name; Gardener's certificate management
leaves the Secret behind that it wrote. Without Gardener, the Secret is the operator's, too.
"""

from collections.abc import Iterator
from typing import Any

from clusters.cluster import Cluster
from clusters.gateway_hooks import MODULE
from components.judges import KYMA_PATIENCE
from components.ownership import is_owned
from components.readiness import READY, Judge, Reader, Verdict, called, failing, silent, waiting

_FINALIZER = "gateways.operator.kyma-project.io/kyma-gateway"
# Labels that Gardener's certificate management gives a Secret: that it wrote it, and a hash of the Certificate.
_ISSUED, _HASH = "cert.gardener.cloud/certificate", "cert.gardener.cloud/hash"
_GARDENER = "cert.gardener.cloud/v1alpha1"
_CERTIFICATE = (_GARDENER, "Certificate", "istio-system", "kyma-tls-cert")
_SECRET = ("v1", "Secret", "istio-system", "kyma-gateway-certs")
_OBJECTS = (
    ("networking.istio.io/v1", "Gateway", "kyma-system", "kyma-gateway"),
    ("dns.gardener.cloud/v1alpha1", "DNSEntry", "kyma-system", "kyma-gateway"),
    _CERTIFICATE,
    _SECRET,
)


def to_be_released(target: Cluster, leftover: str) -> tuple[str, ...]:
    """Return the objects, each KIND NAMESPACE/NAME, that go in the release.

    leftover: uid of the Secret that the operator leaves behind; empty if there is none
    """
    names = [called(*named[1:]) for named in _OBJECTS if _is_operators(target.find(*named))]
    if leftover:
        names.append(called(*_SECRET[1:]))
    return tuple(dict.fromkeys(names))


def leftover_secret(target: Cluster) -> str:
    """Return the uid of the Secret that Gardener wrote for the operator's Certificate; empty if there is none."""
    secret = target.find(*_SECRET)
    labels = _labels(secret)
    if not secret or is_owned(secret["metadata"]) or labels.get(_ISSUED) != "true":
        return ""
    certificate = target.find(*_CERTIFICATE)
    if _is_operators(certificate):
        is_leftover = _writes_secret(certificate) and labels.get(_HASH) == _labels(certificate).get(_HASH)
    else:
        # The operator's Certificate is gone already; it made Gardener label the Secret as the operator's.
        certificates = target.items(f"/apis/{_GARDENER}/certificates")
        is_leftover = _is_operators(secret) and not any(map(_writes_secret, certificates))
    return str(secret["metadata"]["uid"]) if is_leftover else ""


def remove_leftover_secret(target: Cluster, leftover: str) -> None:
    """Delete the Secret that the release left behind, if it still has this uid; do nothing if that is empty."""
    secret = target.find(*_SECRET)
    if leftover and secret and secret["metadata"]["uid"] == leftover:
        target.delete(target.path(*_SECRET) or "", leftover)


def judge_of_release(target: Cluster, leftover: str) -> Judge:
    """Return a judge of the APIGateway: the release is over once all objects of the operator's gateway are gone.

    leftover: uid of the Secret that the operator leaves behind, which is not waited for; empty if there is none
    """

    def judge(_: Reader, module: dict[str, Any]) -> Verdict:
        if _FINALIZER in module["metadata"].get("finalizers", []):
            return _not_released(module.get("status") or {})
        if remaining := list(_remaining(target, leftover)):
            return waiting(f"the cluster still has objects of Kyma's operator: {', '.join(remaining)}")
        return READY

    return judge


def _not_released(status: dict[str, Any]) -> Verdict:
    if status.get("state") not in {"Error", "Warning"}:
        return silent(
            "Kyma's operator has not released kyma-gateway yet; does Deployment "
            "kyma-system/api-gateway-controller-manager run?"
        )
    reasons = [each["message"] for each in status.get("conditions") or [] if each["status"] == "False"]
    return failing(f"{status['state']}: {'; '.join(reasons) or status.get('description')}", KYMA_PATIENCE)


def _remaining(target: Cluster, leftover: str) -> Iterator[str]:
    for named in _OBJECTS:
        found = target.find(*named)
        is_leftover = named == _SECRET and leftover and found and found["metadata"]["uid"] == leftover
        if _is_operators(found) and not is_leftover:
            status = found.get("status") or {}
            state = f"{status.get('state') or ''}: {status.get('message') or ''}".strip(": ")
            yield called(*named[1:]) + (f" ({state})" if state else "")


def _writes_secret(certificate: Any) -> bool:
    """Return whether a Certificate is written into the Secret of the operator's gateway."""
    spec = certificate["spec"]
    reference = spec.get("secretRef") or {"name": spec.get("secretName")}
    namespace = reference.get("namespace") or certificate["metadata"]["namespace"]
    return (namespace, reference.get("name")) == _SECRET[2:]


def _labels(found: Any) -> dict[str, str]:
    return dict(found["metadata"].get("labels") or {}) if found else {}


def _is_operators(found: Any) -> bool:
    return bool(found) and not is_owned(found["metadata"]) and MODULE in _labels(found).items()
