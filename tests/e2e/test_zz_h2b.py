"""Temporary."""

import json
from pathlib import Path
from tests.e2e.test_verification import attacked, Attacked  # noqa
from verification.context import ClientContext
from proxies.forward import admin
from proxies.parts import ways_out_parts
from verification.effective import callers


def test_probe(attacked: Attacked) -> None:
    client = ClientContext(attacked.connected, "client")
    pods = client.reached.items("/api/v1/namespaces/broken/pods")
    out = {}
    for name, path in {
        **callers._parts(client),
        "e1": "/config_dump?resource=dynamic_endpoint_configs&include_eds",
        "e2": "/config_dump?include_eds&resource=dynamic_endpoint_configs&name_regex=outbound.*",
        "e3": "/config_dump?include_eds&mask=dynamic_endpoint_configs",
        "e4": "/config_dump?include_eds=&resource=static_endpoint_configs",
        "e5": "/config_dump?include_eds&resource=dynamic_endpoint_configs&mask=endpoint_config.cluster_name,endpoint_config.endpoints",
        "e6": "/clusters?format=json&filter=one.broken",
        "c": "/config_dump?resource=dynamic_active_clusters&name_regex=.*broken.*",
    }.items():
        with admin(client.reached, "broken", pods[0]["metadata"]["name"]) as a:
            a._connection.request("GET", path)
            r = a._connection.getresponse()
            body = r.read().decode()
            out[name] = f"{path} {r.status} {len(body)} {body[:20000]}"
    Path("/tmp/h2/out/probe").write_text("\n\n".join(f"{k}: {v}" for k, v in out.items()))
