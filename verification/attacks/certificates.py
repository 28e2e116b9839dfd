"""Certificates of the stack's own CA that a host must refuse. The verification signs them itself."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from verification.checks import READS_KEY, Check, Failed, Skipped
from verification.context import HostContext
from verification.hosts import admitted_names
from verification.issuing import Authority, Wanted
from verification.probes import NO_SAFE_METHOD, Probe
from verification.refusals import BY_POLICY_OR_TLS, BY_TLS, STRANGER, denied, refused_by_tls
from verification.stack import DeployedStack
from verification.tls import VERSIONS, ClientCredential

_FLAWS: dict[str, dict[str, Any]] = {
    "an expired certificate is refused": {"starts": timedelta(hours=-2), "ends": timedelta(hours=-1)},
    "a certificate that is not valid yet is refused": {"starts": timedelta(hours=1), "ends": timedelta(hours=2)},
    "a certificate without clientAuth is refused": {"usage": ExtendedKeyUsageOID.SERVER_AUTH},
}
_IDENTITY = "a certificate of the stack's CA with an unlisted identity is refused"


def checks(host: HostContext) -> Iterator[Check]:
    """Yield the checks of one host."""
    for promise, flaw in _FLAWS.items():
        if host.stack.read_only:
            yield host.skipped(promise, READS_KEY)
        elif not host.trusts_the_stacks_ca:
            yield host.skipped(promise, "the host trusts the CAs of partners only")
        else:
            run = partial(flawed_certificate_is_refused, host, flaw)
            yield host.check(promise, f"{BY_TLS}; a handshake without the flaw", run)
    probe = host.probe
    if host.stack.read_only or not probe:
        yield host.skipped(_IDENTITY, READS_KEY if host.stack.read_only else NO_SAFE_METHOD)
    else:
        run = partial(unlisted_identity_is_refused, host, probe)
        yield host.check(_IDENTITY, BY_POLICY_OR_TLS, run, host.look_policy)


def flawed_certificate_is_refused(host: HostContext, flaw: Mapping[str, Any]) -> str:
    """Show a certificate of the stack's CA for an admitted client, with one flaw; show one without it, too."""
    right, authority = Wanted(*admitted_names(host)), authority_of(host.stack)
    seen = refused_by_tls(host.endpoint, authority.sign(replace(right, **flaw)))
    alert = host.endpoint.alert(authority.sign(right), VERSIONS["TLS 1.3"])
    if alert:
        raise Failed(f"{seen}, but a certificate without the flaw is refused, too: {alert}")
    return seen


def unlisted_identity_is_refused(host: HostContext, probe: Probe) -> str:
    """Show a certificate of the stack's CA for a client that no host lists."""
    return denied(host.endpoint, probe, unlisted_credential(host.stack))


def unlisted_credential(stack: DeployedStack) -> ClientCredential:
    """Issue a credential of the stack's CA for a client that no host lists."""
    identity = x509.UniformResourceIdentifier(f"spiffe://kyma-mtls/{stack.name}/client/verification-{uuid4().hex}")
    return authority_of(stack).sign(Wanted(STRANGER, [identity]))


def authority_of(stack: DeployedStack) -> Authority:
    """Return the stack's CA; raise Skipped if the verification may not read its key."""
    if stack.authority is None or stack.read_only:
        raise Skipped(READS_KEY)
    return stack.authority
