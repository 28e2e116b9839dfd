"""Who may ask a shared gateway for a host: policies that deny everybody else, and touch no other host.

A DENY for one host leaves the other hosts of the gateway alone; an ALLOW would end them. Of connections that the
gateway does not terminate, Istio sees no host: there such a DENY concerns every connection without a principal.
`passthrough` spares those, and with them requests for the host that came in without a client certificate.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from . import rules
from .arguments import check_each
from .istio_gateway import IstioGateway
from .objects import in_gateway_namespace, istio

_STATUS_PORT = "15021"
_CLIENT_CERTIFICATE = "request.headers[x-forwarded-client-cert]"


@dataclass(frozen=True)
class Identities:
    """Those who are admitted.

    principals: SPIFFE IDs without spiffe://; */ns/NAMESPACE/sa/SERVICEACCOUNT is one of any trust domain
    namespaces: for each of their service accounts
    dns_names: each the last DNS name of a client certificate
    """

    principals: Sequence[pulumi.Input[str]] = ()
    namespaces: Sequence[str] = ()
    dns_names: Sequence[str] = ()

    def __post_init__(self) -> None:
        known = [each for each in self.principals if not isinstance(each, pulumi.Output)]
        check_each("principals", known, rules.principal)
        check_each("namespaces", self.namespaces, rules.label)
        check_each("dns_names", self.dns_names, rules.dns_name)


@dataclass(frozen=True)
class Admission:
    """Which requests a gateway admits to a domain.

    domain: the host name that is asked for, at any port
    admitted: the peers
    methods: HTTP methods; empty for all
    paths: exact, or ending in /*; empty for all
    """

    domain: str
    admitted: Identities
    methods: Sequence[str] = ()
    paths: Sequence[str] = ()


def admission_policy(
    resource: str,
    name: pulumi.Input[str],
    gateway: IstioGateway,
    admission: Admission,
    opts: pulumi.ResourceOptions,
) -> pulumi.Resource:
    """Return a policy by which a gateway denies all requests for a domain but those that are admitted.

    Names of resource and object end in a hash of the domain: while a domain changes, the old one keeps its policy.
    """
    mark = hashlib.sha256(admission.domain.encode()).hexdigest()[:8]
    # All ports but that of the gateway's own health check. Named ports keep the DENY to HTTP: Istio warns of one that
    # would mean TCP, too.
    hosts = {"hosts": [admission.domain, f"{admission.domain}:*"], "notPorts": [_STATUS_PORT]}
    denied = [_unless_admitted(hosts, admission.admitted, gateway.passthrough)]
    if admission.methods:
        denied.append(_of_peers({**hosts, "notMethods": list(admission.methods)}))
    if admission.paths:
        denied.append(_of_peers({**hosts, "notPaths": list(admission.paths)}))
    spec = {"selector": {"matchLabels": dict(gateway.selector)}, "action": "DENY", "rules": denied}
    metadata = in_gateway_namespace(gateway, pulumi.Output.concat(name, "-", mark))
    return istio(f"{resource}-{mark}", "AuthorizationPolicy", metadata, spec, opts)


def _unless_admitted(hosts: Mapping[str, Any], admitted: Identities, passthrough: bool) -> dict[str, Any]:
    source: dict[str, Any] = {"principals": ["*"]} if passthrough else {}
    if admitted.principals:
        source["notPrincipals"] = list(admitted.principals)
    if admitted.namespaces:
        source["notNamespaces"] = list(admitted.namespaces)
    rule: dict[str, Any] = {"to": [{"operation": dict(hosts)}]}
    if source:
        rule["from"] = [{"source": source}]
    if admitted.dns_names:
        # The gateway writes this header itself, the DNS names last.
        endings = [f"*;DNS={name}" for name in admitted.dns_names]
        rule["when"] = [{"key": _CLIENT_CERTIFICATE, "notValues": endings}]
    return rule


def _of_peers(operation: Mapping[str, Any]) -> dict[str, Any]:
    return {"from": [{"source": {"principals": ["*"]}}], "to": [{"operation": operation}]}
