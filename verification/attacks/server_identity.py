"""A server with a different name or CA in the place of a host.

The verification cannot put a server there without changing the stack's objects, so it reads from the egress gateway's
Envoy which servers it accepts.
"""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from verification import pods
from verification.checks import EXECUTES, Check, Failed
from verification.context import ClientContext, HostContext

_DUMP = "config_dump?resource=dynamic_active_clusters&name_regex="
_CA = "-cacert"


def checks(client: ClientContext) -> Iterator[Check]:
    """Yield the checks of one client's egress gateway."""
    gateway = client.gateway
    look = client.look(f"istioctl proxy-config clusters -n {gateway.namespace} svc/{gateway.name} -o yaml")
    for host in client.callable_hosts:
        promise = f"the egress gateway accepts no server with a different name or CA as {host.name}"
        if client.stack.read_only:
            yield client.skipped(promise, EXECUTES, host.name)
            continue
        expected = "in Envoy's configuration: this name, the CA and the certificate of the credential's Secret"
        yield client.check(promise, expected, partial(server_is_verified, client, host), look, host.name)


def server_is_verified(client: ClientContext, host: HostContext) -> str:
    """Read the configuration by which the egress gateway's Envoy connects to the host."""
    api, name = client.cluster.api, f"outbound|{host.port}||{host.domain}"
    pod = pods.selected(api, client.cluster.gateway)[0].metadata
    path = f"{_DUMP}^{name.replace('|', '[|]').replace('.', '[.]')}$"
    done = pods.execute(api, pod.namespace, pod.name, pods.SIDECAR, "pilot-agent", "request", "GET", path)
    if done.code:
        raise Failed(f"pilot-agent ended with {done.code}: {done.stderr.strip()}")
    return judge(done.stdout, name, host.domain, "" if host.settings.external else client.cluster.secret)


def judge(dump: str, name: str, domain: str, secret: str) -> str:
    """Return which server Envoy accepts; raise Failed unless it is this domain only, by the CA of its credential.

    dump: the answer of Envoy's admin interface to `config_dump`
    name: of the cluster in Envoy's configuration
    secret: the name of the credential's Secret; empty for any
    """
    try:
        found = [each["cluster"] for each in json.loads(dump).get("configs", [])]
    except (ValueError, LookupError, TypeError, AttributeError):
        raise Failed(f"Envoy printed no configuration: {dump[:100]!r}") from None
    if not found:
        raise Failed(f"Envoy has no cluster {name}")
    tls = found[0].get("transport_socket", {}).get("typed_config", {}).get("common_tls_context")
    if not tls:
        raise Failed(f"Envoy's cluster {name} is without TLS")
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
    matchers += context.get("match_subject_alt_names", [])  # the field that Istio sets
    return sorted({str(each.get("exact", each)) for each in matchers})


def _secret(tls: Mapping[str, Any], context: str) -> str:
    if context:
        source = tls.get(context, {}).get("validation_context_sds_secret_config", {})
    else:
        source = next(iter(tls.get("tls_certificate_sds_secret_configs", [])), {})
    return str(source.get("name", "")).removeprefix("kubernetes://")
