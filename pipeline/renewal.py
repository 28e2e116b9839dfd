"""What a renewal of certificates brings, and nothing else: with an unchanged config, anything more is drift."""

from pipeline.plan import Operation, Plan

_CERTIFICATES = {
    "tls:index/selfSignedCert:SelfSignedCert",
    "tls:index/locallySignedCert:LocallySignedCert",
}
_CARRIERS = ("core/v1:Secret", "core/v1:ConfigMap")


def unexplained(plan: Plan) -> list[Operation]:
    """Return the operations that no renewal brings.

    A renewal replaces certificates whose inputs are the same, or whose CA is renewed, and updates the data of the
    Secrets and ConfigMaps that carry them.
    """
    renewed = {each.urn for each in plan.operations if _is_renewal(each)}
    return [
        each for each in plan.operations if not (each.urn in renewed or _carries(each, renewed) or each.is_credential)
    ]


def _is_renewal(operation: Operation) -> bool:
    return operation.type in _CERTIFICATES and operation.kind == "replace" and operation.changed <= {"caCertPem"}


def _carries(operation: Operation, renewed: set[str]) -> bool:
    return (
        operation.type.endswith(_CARRIERS)
        and operation.kind == "update"
        and operation.changed <= {"data", "stringData"}
        and not renewed.isdisjoint(operation.dependencies)
    )
