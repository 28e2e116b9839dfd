"""Certificates of the stack's own CA that a host must refuse. The verification signs them itself."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from verification.checks import READS_KEY, Check, Failed, Skipped, skipped
from verification.hosts import (
    BY_BOTH,
    STRANGER,
    admitted_names,
    denied,
    group_of,
    look,
    look_policy,
    refused_by_tls,
    trusts_the_stacks_ca,
)
from verification.issuing import Authority, Wanted
from verification.probes import NO_SAFE_METHOD, Probe, probe
from verification.stack import DeployedStack
from verification.tls import VERSIONS, ClientCredential

_FLAWS: dict[str, dict[str, Any]] = {
    "an expired certificate is refused": {"starts": timedelta(hours=-2), "ends": timedelta(hours=-1)},
    "a certificate that is not valid yet is refused": {"starts": timedelta(hours=1), "ends": timedelta(hours=2)},
    "a certificate without clientAuth is refused": {"usage": ExtendedKeyUsageOID.SERVER_AUTH},
}
_IDENTITY = "a certificate of the CA with an identity that is not listed is refused"


def checks(stack: DeployedStack, host: str) -> Iterator[Check]:
    """Yield the checks of one host."""
    group, asked = group_of(stack, host), probe(stack.settings.hosts[host])
    for promise, flaw in _FLAWS.items():
        if stack.read_only:
            yield skipped(group, promise, READS_KEY, host)
        elif not trusts_the_stacks_ca(stack, host):
            yield skipped(group, promise, "it trusts the CAs of partners only", host)
        else:
            run = partial(flawed_certificate_is_refused, stack, host, flaw)
            yield Check(group, promise, f"{BY_BOTH}; a handshake without the flaw", run, look(stack), host)
    if stack.read_only or not asked:
        yield skipped(group, _IDENTITY, READS_KEY if stack.read_only else NO_SAFE_METHOD, host)
    else:
        run = partial(unlisted_identity_is_refused, stack, host, asked)
        yield Check(group, _IDENTITY, "403 of the gateway's policy, or a TLS alert", run, look_policy(stack), host)


def flawed_certificate_is_refused(stack: DeployedStack, host: str, flaw: Mapping[str, Any]) -> str:
    """Show a certificate of the stack's CA for an admitted client with one flaw."""
    right = Wanted(*admitted_names(stack, host))
    seen = refused_by_tls(stack.endpoint(host), authority(stack).sign(replace(right, **flaw)))
    alert = stack.endpoint(host).alert(authority(stack).sign(right), VERSIONS["TLS 1.3"])
    if alert:
        raise Failed(f"{seen}, but so is one without the flaw: {alert}")
    return seen


def unlisted_identity_is_refused(stack: DeployedStack, host: str, asked: Probe) -> str:
    """Show a certificate of the stack's CA for a client that no host lists."""
    return denied(stack.endpoint(host), asked, unlisted_credential(stack))


def unlisted_credential(stack: DeployedStack) -> ClientCredential:
    """Issue a credential of the stack's CA for a client that no host lists."""
    identity = x509.UniformResourceIdentifier(f"spiffe://kyma-mtls/{stack.name}/client/verification-{uuid4().hex}")
    return authority(stack).sign(Wanted(STRANGER, [identity]))


def authority(stack: DeployedStack) -> Authority:
    """Return the stack's CA."""
    if stack.authority is None or stack.read_only:
        raise Skipped(READS_KEY)
    return stack.authority
