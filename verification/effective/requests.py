"""Requests by which a proxy's rules are judged: of declared peers, of strangers, and of peers that a rule names."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from components.istio_gateway import IstioGateway
from proxies import rbac
from proxies.dump import Chain, Dump, Listener
from proxies.matchers import Peer, Request
from verification.checks import Skipped, Unjudged

UNKNOWN_PATH = "/kyma-mtls-verification"
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "VERIFY")
WITHOUT_A_NAME = Peer(frozenset({"CN=kyma-mtls-verification"}), 'Hash=0;Subject="CN=kyma-mtls-verification"')
_TRUST_DOMAIN = "spiffe://cluster.local"


@dataclass(frozen=True)
class Served:
    """A filter chain that takes the connections for a host, and the listener that has it."""

    listener: Listener
    chain: Chain

    def request(self, domain: str, authority: str) -> Request:
        """Return a request by this chain, of nobody."""
        return Request(Peer(), authority, port=self.listener.port, server_name=domain)

    def problems(
        self, domain: str, examples: Collection[Peer], strangers: Iterable[Peer], is_declared: Callable[[Peer], bool]
    ) -> Iterator[str]:
        """Yield which declared peers are not admitted, and which others may be.

        examples: of declared peers
        strangers: tried beside those that the rules name
        """
        told: set[Peer] = set()
        for authority in (domain, f"{domain}:443", domain.upper()):
            asked = self.request(domain, authority)
            tried = {*examples, *strangers, *rbac.peers(self.chain.rbac, asked)} - told
            for peer in sorted(tried, key=lambda each: each.identity):
                admitted = rbac.admits(self.chain.rbac, replace(asked, peer=peer))
                if admitted is False if peer in examples else admitted is not False and not is_declared(peer):
                    told.add(peer)
                    verb, said = "refuses" if peer in examples else "admits", peer.identity
                    yield f"{verb} {said or 'a peer without a certificate'} for Host {authority}"


def serving(dump: Dump, domain: str) -> list[Served]:
    """Return the filter chains that take TLS connections for a domain."""
    return [Served(each, chain) for each in dump.listeners for chain in each.taking(domain) if chain.tls.is_used]


def naming(dump: Dump, domain: str) -> list[Served]:
    """Return those of them that name the domain: servers of others for any domain may be at further ports."""
    return [each for each in serving(dump, domain) if domain in each.chain.server_names]


def account(namespace: str, name: str) -> Peer:
    """Return a workload of the mesh, by its service account."""
    return Peer.of(f"{_TRUST_DOMAIN}/ns/{namespace}/sa/{name}")


def accounts(gateway: IstioGateway) -> list[Peer]:
    """Return the Pods of a gateway."""
    return [account(gateway.namespace, each) for each in gateway.accounts]


def check_judged(chains: Iterable[Chain], request: Request) -> None:
    """Raise Unjudged or Skipped if what the policies of one of these chains say of requests is not all known.

    request: what they ask for
    """
    found = list(chains)
    if policies := sorted({name for each in found for name in rbac.without_example(each.rbac, request)}):
        raise Unjudged(f"policy {', '.join(policies)} has a pattern of names that the verification cannot judge")
    if names := sorted({name for each in found for name in each.rewriting}):
        raise Skipped(
            f"filter {', '.join(names)} runs before the policies and may rewrite what they compare: move it behind them"
        )
