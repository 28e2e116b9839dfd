"""A server of another name or CA in the place of a host.

Nobody can be put there without touching the stack's objects, so the egress gateway's Envoy is asked what it accepts.
"""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from verification import pods
from verification.checks import EXECUTES, Check, Failed, skipped
from verification.clients import awaits_partner, port_of
from verification.stack import DeployedStack

_DUMP = "config_dump?resource=dynamic_active_clusters&name_regex="
_CA = "-cacert"


def checks(stack: DeployedStack, client: str) -> Iterator[Check]:
    """Yield the checks of one client's egress gateway."""
    group, hosts = f"client {client}", stack.settings.hosts_of(client)
    gateway = stack.outputs.clients[client].gateway
    look = (
        f"cluster of client {client}: istioctl proxy-config clusters -n {gateway.namespace} svc/{gateway.name} -o yaml"
    )
    for host in hosts:
        if awaits_partner(hosts[host], client):
            continue  # there is no route
        promise = f"its Envoy accepts no server of another name or CA as {host}"
        if stack.read_only:
            yield skipped(group, promise, EXECUTES, host, client)
            continue
        run = partial(server_is_verified, stack, client, host)
        expected = "in Envoy's configuration: this name, the CA and the certificate of the credential's Secret"
        yield Check(group, promise, expected, run, look, host, client)


def server_is_verified(stack: DeployedStack, client: str, host: str) -> str:
    """Read the configuration with which Envoy connects to the host."""
    cluster, domain = stack.clients[client], stack.outputs.hosts[host].domain
    called = f"outbound|{port_of(stack.settings.hosts[host])}||{domain}"
    pod = pods.selected(cluster.api, cluster.gateway)[0].metadata
    ask = f"{_DUMP}^{called.replace('|', '[|]').replace('.', '[.]')}$"
    done = pods.execute(cluster.api, pod.namespace, pod.name, pods.SIDECAR, "pilot-agent", "request", "GET", ask)
    if done.code:
        raise Failed(f"pilot-agent ended with {done.code}: {done.stderr.strip()}")
    external = stack.settings.hosts[host].external
    return judge(done.stdout, called, domain, "" if external else cluster.secret)


def judge(dump: str, called: str, domain: str, secret: str) -> str:
    """Return what Envoy accepts; raise Failed unless it is this domain alone, by this Secret if one is given."""
    try:
        found = [each["cluster"] for each in json.loads(dump).get("configs", [])]
    except (ValueError, LookupError, TypeError, AttributeError):
        raise Failed(f"Envoy told no configuration: {dump[:100]!r}") from None
    if not found:
        raise Failed(f"Envoy has no cluster {called}")
    tls = found[0].get("transport_socket", {}).get("typed_config", {}).get("common_tls_context")
    if not tls:
        raise Failed(f"Envoy's cluster {called} is without TLS")
    names = _names(tls)
    if names != [domain]:
        raise Failed(f"accepts a server of {'the names ' + ', '.join(names) if names else 'any name'}")
    authority, own = _secret(tls, "combined_validation_context"), _secret(tls, "")
    if not own or authority != f"{own}{_CA}":
        raise Failed(f"trusts the CA of {authority or 'no Secret'}, and shows the certificate of {own or 'no Secret'}")
    if secret and own != secret:
        raise Failed(f"shows the certificate of Secret {own}, not {secret}")
    return f"{domain} only, by the CA of Secret {own}"


def _names(tls: Mapping[str, Any]) -> list[str]:
    context = tls.get("combined_validation_context", {}).get("default_validation_context", {})
    matchers = [each.get("matcher", {}) for each in context.get("match_typed_subject_alt_names", [])]
    matchers += context.get("match_subject_alt_names", [])  # what Istio writes
    return sorted({str(each.get("exact", each)) for each in matchers})


def _secret(tls: Mapping[str, Any], context: str) -> str:
    if context:
        source = tls.get(context, {}).get("validation_context_sds_secret_config", {})
    else:
        source = next(iter(tls.get("tls_certificate_sds_secret_configs", [])), {})
    return str(source.get("name", "")).removeprefix("kubernetes://")
