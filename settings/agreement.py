"""Judges the keys of a stack's config together, where each of them is right by itself."""

from collections.abc import Iterator
from pathlib import PurePath

from settings import authorities, certificate_checks
from settings.clusters import INGRESS_GATEWAY
from settings.gateway import GatewayMode
from settings.hosts import Host
from settings.problems import set_command
from settings.section import Entry
from settings.stack import Settings
from settings.values import suggestion

Problems = Iterator[tuple[str, str]]

_CA_ENDING = "-cacert"


def conflicts(settings: Settings, refused: frozenset[Entry]) -> Problems:
    """Yield each conflict, as the path of a key and a message.

    refused: entries that are wrong by themselves, and are missing in the settings for that reason
    """
    yield from _clusters(settings)
    yield from _identities(settings)
    yield from _domains(settings)
    yield from _authorities(settings)
    yield from _admissions(settings, refused)
    yield from _target(settings, refused)
    yield from _days(settings)
    yield from _generations(settings)
    yield from _secrets(settings)


def _clusters(settings: Settings) -> Problems:
    access = [settings.target_access, *map(settings.client_access, settings.own_clients)]
    seen: dict[tuple[PurePath, str], str] = {}
    for each in filter(None, access):
        first = seen.setdefault((PurePath(each.kubeconfig), each.context), each.path)
        if first != each.path:
            yield each.key, f"the same as that of {first}; each needs a cluster of its own"


def _identities(settings: Settings) -> Problems:
    seen = {f"dns:{client.domain}": name for name, client in settings.own_clients.items() if client.domain}
    for name, client in settings.clients.items():
        first = seen.setdefault(client.identity, name) if client.is_partner else name
        if first != name:
            yield f"clients.{name}.identity", f"{client.identity!r}: would admit clients.{first}, too"


def _domains(settings: Settings) -> Problems:
    seen: dict[str, list[str]] = {}
    for name, host in settings.hosts.items():
        for first in seen.setdefault(host.domain, []):
            if not _apart(settings, first, name):
                yield f"hosts.{name}.domain", f"{host.domain!r}: also the domain of hosts.{first}"
                break
        seen[host.domain].append(name)
    for name, client in settings.clients.items():
        if client.domain in seen:
            yield f"clients.{name}.domain", f"{client.domain!r}: also the domain of hosts.{seen[client.domain][0]}"


def _apart(settings: Settings, first: str, second: str) -> bool:
    """Return whether two hosts may have one domain: a partner's, at two ports, and no client calls both.

    Callers ask for http://DOMAIN, by which they cannot tell the ports.
    """
    one, other = settings.hosts[first].external, settings.hosts[second].external
    if one is None or other is None or one.port == other.port:
        return False
    return not set(settings.admitted(first)) & set(settings.admitted(second))


def _authorities(settings: Settings) -> Problems:
    for name in settings.served:
        partners = [settings.clients[each] for each in settings.admitted(name) if each in settings.clients]
        several = [each.certificate_authority for each in partners if each.is_partner]
        if len(several) > 1:
            found = authorities.name_problems(certificate_checks.read("".join(dict.fromkeys(several))))
            yield from ((f"hosts.{name}.clients", problem) for problem in found)


def _admissions(settings: Settings, refused: frozenset[Entry]) -> Problems:
    if ("clients",) in refused:
        return
    known = (*settings.clients, *(entry[1] for entry in refused if entry[0] == "clients"))
    for name, host in settings.hosts.items():
        if host.clients is None and len(known) != 1:
            count = f"there are {len(known)}" if known else "there is none"
            yield f"hosts.{name}.clients", f"not set, which only a stack with exactly one client allows; {count}"
            continue
        admitted = known if host.clients is None else host.clients
        for index, client in enumerate(admitted):
            place = f"hosts.{name}.clients" + ("" if host.clients is None else f"[{index}]")
            if client not in known:
                yield place, f"{client!r}: no such client; {suggestion(client, known)}"
            elif host.external and client in settings.clients and settings.clients[client].is_partner:
                yield place, f"{client!r}: a partner's client; it calls a partner's host without this stack"
        yield from _credentials(name, host, admitted)


def _credentials(name: str, host: Host, admitted: tuple[str, ...]) -> Problems:
    for client in host.external.credentials if host.external else ():
        if client not in admitted:
            place = f"hosts.{name}.external.credentials.{client}"
            yield place, f"not one of the host's clients; {suggestion(client, admitted)}"


def _target(settings: Settings, refused: frozenset[Entry]) -> Problems:
    has_gateway = settings.gateway.mode != GatewayMode.NONE
    if settings.target is None and ("target",) not in refused:
        users = [*(f"hosts.{name}" for name in settings.served), *(["gatewayMode"] if has_gateway else [])]
        if users:
            command = set_command("target.kubeconfig")
            yield "target", f"not set, but needed by {', '.join(users)}; {command} sets it"
    if settings.platform == "kyma" and settings.target and settings.target.ingress_gateway != INGRESS_GATEWAY:
        chosen = settings.target.ingress_gateway
        yield "target.ingressGateway", f"{chosen!r}: APIRules of platform kyma admit {INGRESS_GATEWAY} only"
    unclear = {entry[0] for entry in refused} & {"clients", "hosts", "gateway"}
    if not (settings.served or settings.own_clients or has_gateway or unclear):
        yield "hosts", f"nothing to deploy; {set_command('hosts.NAME.domain')} adds a host"


def _days(settings: Settings) -> Problems:
    validity = settings.validity_days
    if settings.renew_before_days >= validity:
        yield "renewBeforeDays", f"not less than validityDays ({validity}): every `pulumi up` would renew"
    elif validity + settings.renew_before_days >= settings.ca_validity_days:
        both = f"validityDays and renewBeforeDays together ({validity} + {settings.renew_before_days})"
        yield (
            "caValidityDays",
            f"not more than {both}: no certificate outlives its CA, and every `pulumi up` would renew",
        )
    if 0 < settings.gateway.validity_days <= settings.renew_before_days:
        yield (
            "gatewayValidityDays",
            f"not more than renewBeforeDays ({settings.renew_before_days}), which Gardener refuses",
        )


def _generations(settings: Settings) -> Problems:
    for index, generation in enumerate(settings.trusted_generations):
        if generation == settings.generation:
            yield f"trustedGenerations[{index}]", f"{generation!r}: is generation itself, which is trusted anyway"


def _secrets(settings: Settings) -> Problems:
    """Yield a name in which that of a credential's Secret would end: Istio reads a CA only from NAME-cacert."""
    if settings.gateway.mode != GatewayMode.NONE and settings.namespace.endswith(_CA_ENDING):
        problem = "ends in -cacert, by which Istio knows Secrets that hold a CA, as that of gatewayMode would"
        yield "namespace", f"{settings.namespace!r}: {problem}"
