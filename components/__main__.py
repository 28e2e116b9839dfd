"""The command kyma-mtls-gateway: prints a gateway of Istio for a program's config, as arguments of IstioGateway."""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from .istio_gateway import GatewayError, IstioGateway
from .namespaced_name import NamespacedName

_COMMAND = "kyma-mtls-gateway"
_WORKLOADS = {"Deployment", "DaemonSet"}
_INPUT = "kubectl -n NAMESPACE get services,deployments,daemonsets,pods -o json"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the gateway behind a Service, from objects of its cluster on stdin.

    Exit with 1 and one line on stderr if stdin has no such Service, or if no gateway is behind it.
    """
    parser = argparse.ArgumentParser(
        prog=_COMMAND,
        description="Print an Istio gateway as JSON, which a program passes to IstioGateway(**…).",
        epilog=f"It reads the cluster's objects from stdin: {_INPUT} | {_COMMAND} NAMESPACE/SERVICE",
    )
    parser.add_argument("service", metavar="NAMESPACE/SERVICE", help="the gateway's Service")
    service = parser.parse_args(arguments).service
    if sys.stdin.isatty():
        parser.error(f"stdin has no objects; pipe in the output of: {_INPUT}")
    try:
        gateway = _gateway(_items(sys.stdin.read()), service)
    except GatewayError as lack:
        sys.exit(f"{_COMMAND}: stdin {lack}")
    print(json.dumps(asdict(gateway)))


def _items(text: str) -> list[dict[str, Any]]:
    try:
        items = json.loads(text)["items"]
    except (ValueError, KeyError, TypeError):
        raise GatewayError(f"has no list of objects; pipe in the output of: {_INPUT}") from None
    return list(items)


def _gateway(items: Sequence[Mapping[str, Any]], service: str) -> IstioGateway:
    try:
        named = NamespacedName.parse(service)
    except ValueError:
        raise GatewayError(f"has no Service {service}") from None
    there = [item for item in items if item["metadata"].get("namespace") == named.namespace]
    for item in there:
        if item["kind"] == "Service" and item["metadata"]["name"] == named.name:
            return IstioGateway.read(item, _pods(there, item["spec"].get("selector") or {}))
    raise GatewayError(f"has no Service {service}")


def _pods(items: Sequence[Mapping[str, Any]], selector: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    """Yield the Pods that a selector matches: as their workloads describe them, else as they run."""
    described = (item["spec"]["template"] for item in items if item["kind"] in _WORKLOADS)
    running = (item for item in items if item["kind"] == "Pod")
    for pods in (described, running):
        behind = [pod for pod in pods if selector.items() <= pod["metadata"].get("labels", {}).items()]
        if behind:
            yield from behind
            return


if __name__ == "__main__":
    main()
