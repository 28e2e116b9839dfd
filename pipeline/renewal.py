"""The operations that a renewal of certificates explains. With an unchanged config, any other operation is drift."""

from collections.abc import Collection, Mapping
from typing import Any

from components.secret_contents import CONTENTS_ANNOTATION
from pipeline.plan import Operation, Plan

DeployedInputs = Mapping[str, Mapping[str, Any]]
"""The inputs of each resource in the state, by its URN."""

_CERTIFICATES = ("tls:index/selfSignedCert:SelfSignedCert", "tls:index/locallySignedCert:LocallySignedCert")
_CARRIERS = ("core/v1:Secret", "core/v1:ConfigMap")
_WAIT = "pulumi:index:Stash"
_GARDENERS = ":cert.gardener.cloud/v1alpha1:Certificate::"


def unexplained(plan: Plan, deployed: DeployedInputs) -> list[Operation]:
    """Return the operations that no renewal explains.

    A renewal replaces certificates whose inputs are the same, or whose CA is renewed, and updates the data of the
    Secrets and ConfigMaps that carry them, the annotation that describes this data, and the waits for these. Gardener
    renews by itself: the carriers of its certificates follow.

    All data of a carrier may change: in a plan, the data of a Secret is encrypted as a whole.
    """
    renewed = {each.urn for each in plan.operations if _is_renewal(each)}
    sources = renewed | {urn for urn in plan.dependencies if _GARDENERS in urn}
    return [each for each in plan.operations if not (each.urn in renewed or _follows(each, plan, sources, deployed))]


def _is_renewal(operation: Operation) -> bool:
    return operation.type in _CERTIFICATES and operation.kind == "replace" and operation.changed <= {"caCertPem"}


def _follows(operation: Operation, plan: Plan, sources: Collection[str], deployed: DeployedInputs) -> bool:
    before = deployed.get(operation.urn, {}).get("metadata")
    annotated = {"metadata"} if _undescribed(operation.values.get("metadata")) == _undescribed(before) else set()
    is_carrier = operation.type.endswith(_CARRIERS) and operation.changed - annotated <= {"data", "stringData"}
    is_wait = operation.type == _WAIT and operation.changed <= {"input"}
    return operation.kind == "update" and (is_carrier or is_wait) and plan.depends(operation.urn, sources)


def _undescribed(metadata: Any) -> Any:
    """Return an object's metadata without the annotation that describes its data; what is not known yet, as it is."""
    if not isinstance(metadata, Mapping) or not isinstance(annotations := metadata.get("annotations") or {}, Mapping):
        return metadata
    return {
        **metadata,
        "annotations": {name: text for name, text in annotations.items() if name != CONTENTS_ANNOTATION},
    }
