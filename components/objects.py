"""Kubernetes objects that several components make."""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from . import secret_contents
from .istio_gateway import IstioGateway
from .kinds import KINDS


def injected_namespace(
    resource: str, name: pulumi.Input[str], injection: Mapping[str, str], opts: pulumi.ResourceOptions
) -> k8s.core.v1.Namespace:
    """Return a namespace with the labels `injection`, by which its Pods get a sidecar."""
    return k8s.core.v1.Namespace(resource, metadata={"name": name, "labels": dict(injection)}, opts=opts)


def in_gateway_namespace(gateway: IstioGateway, name: pulumi.Input[str]) -> dict[str, Any]:
    """Return the metadata of an object in a gateway's namespace, where Istio looks for its Secrets and policies."""
    return {"name": name, "namespace": gateway.namespace}


def domain_mark(domain: str) -> str:
    """Return a hash that ends the name of an object for a domain.

    While a host's domain changes, the object for the old one stays: requests for that are judged and encrypted as
    before until nothing leads there.
    """
    return hashlib.sha256(domain.encode()).hexdigest()[:8]


def istio(
    resource: str,
    kind: str,
    metadata: Mapping[str, Any],
    spec: Mapping[str, Any],
    opts: pulumi.ResourceOptions,
) -> k8s.apiextensions.CustomResource:
    """Return an object of one of Istio's kinds, at the newest version that Istio serves."""
    return k8s.apiextensions.CustomResource(
        resource, api_version=KINDS[kind], kind=kind, metadata=metadata, spec=spec, opts=opts
    )


def _without_dependencies(output: pulumi.Output[str]) -> pulumi.Output[str]:
    """Return an output that depends on no resource, for a field of an object whose other fields depend on the same.

    Where a resource that `metadata` depends on is replaced, the engine counts the name of the object as unknown, and
    deletes the object twice.
    """
    value: Any = output.future(with_unknowns=True)
    return pulumi.Output(set(), value, output.is_known(), output.is_secret())


def credential_secret(
    resource: str,
    metadata: dict[str, Any],
    data: Mapping[str, pulumi.Output[str]],
    opts: pulumi.ResourceOptions,
) -> k8s.core.v1.Secret:
    """Return a Secret that holds PEM texts by their keys, and says by its annotation what it must hold."""
    # The annotation shows digests of certificates, which are public, and nothing of a key.
    contents = _without_dependencies(pulumi.Output.unsecret(pulumi.Output.all(**data).apply(secret_contents.described)))
    annotations = {**metadata.get("annotations", {}), secret_contents.CONTENTS_ANNOTATION: contents}
    return k8s.core.v1.Secret(
        resource,
        metadata={**metadata, "annotations": annotations},
        data={key: in_base64(pem) for key, pem in data.items()},
        opts=opts,
    )


def in_base64(text: pulumi.Output[str]) -> pulumi.Output[str]:
    """Return a text as the data of a Secret holds it."""
    # In `pulumi destroy --run-program` of a stack whose first update failed, the text may be None.
    return text.apply(lambda plain: base64.b64encode((plain or "").encode()).decode())
