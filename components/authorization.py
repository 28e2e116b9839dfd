"""Admission of peers to one host of a shared gateway, by an AuthorizationPolicy that denies all requests but theirs.

A DENY for one host does not concern the gateway's further hosts; an ALLOW would deny all requests for them
(https://istio.io/latest/docs/reference/config/security/authorization-policy/).

Istio sees no host in a connection that the gateway passes on undecrypted: a DENY by host applies to each of them that
has no principal, since Istio ignores the HTTP fields of a DENY rule on TCP
(https://istio.io/latest/docs/tasks/security/authorization/authz-tcp/). With IstioGateway.passthrough, the policy spares
connections without a principal, and so requests for the host that came in without a client certificate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from . import rules
from .arguments import check_each
from .istio_gateway import IstioGateway
from .objects import domain_mark, in_gateway_namespace, istio

_STATUS_PORT = "15021"
_CLIENT_CERTIFICATE = "request.headers[x-forwarded-client-cert]"


@dataclass(frozen=True)
class Identities:
    """Peers that a gateway admits; none by default. Raises RunError for wildcards that would admit more peers.

    principals: SPIFFE IDs without spiffe://; */ns/NAMESPACE/sa/SERVICEACCOUNT stands for one in any trust domain
    namespaces: for all of their service accounts
    dns_names: each the last DNS name in the subject alternative names of a client certificate
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

    Names of resource and object end in a hash of the domain (domain_mark).
    """
    mark = domain_mark(admission.domain)
    # All ports but that of the gateway's own health check: without ports, Istio warns that the DENY applies to TCP.
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
        # The gateway writes this header itself, and appends the DNS names last, as they are, so that a name may have
        # ;DNS= within it: certificate_names compares each name as a whole.
        # https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers#x-forwarded-client-cert
        endings = [f"*;DNS={name}" for name in admitted.dns_names]
        rule["when"] = [{"key": _CLIENT_CERTIFICATE, "notValues": endings}]
    return rule


def _of_peers(operation: Mapping[str, Any]) -> dict[str, Any]:
    return {"from": [{"source": {"principals": ["*"]}}], "to": [{"operation": operation}]}
