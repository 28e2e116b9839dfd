"""Reads how a gateway of Istio is set up, and prints it for a program's config, as IstioGateway takes it."""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from .istio_gateway import GatewayError, IstioGateway

_COMMAND = "kyma-mtls-gateway"
_WORKLOADS = {"Deployment", "DaemonSet"}
_INPUT = "kubectl -n NAMESPACE get services,deployments,daemonsets,pods -o json"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the gateway behind a Service; exit with 1 and one line if there is none, or if it cannot be used."""
    parser = argparse.ArgumentParser(
        prog=_COMMAND,
        description="Print how an Istio gateway is set up, as JSON that a program gives to IstioGateway(**…).",
        epilog=f"It reads the cluster's objects from stdin: {_INPUT} | {_COMMAND} NAMESPACE/SERVICE",
    )
    parser.add_argument("service", metavar="NAMESPACE/SERVICE", help="the gateway's Service")
    wanted = parser.parse_args(arguments).service
    if sys.stdin.isatty():
        parser.error(f"stdin has no objects; pipe in the output of: {_INPUT}")
    try:
        offer = _offer(_items(sys.stdin.read()), wanted)
    except GatewayError as lack:
        sys.exit(f"{_COMMAND}: stdin {lack}")
    print(json.dumps(asdict(offer)))


def _items(text: str) -> list[dict[str, Any]]:
    try:
        items = json.loads(text)["items"]
    except (ValueError, KeyError, TypeError):
        raise GatewayError(f"has no list of objects; pipe in the output of: {_INPUT}") from None
    return list(items)


def _offer(items: Sequence[Mapping[str, Any]], wanted: str) -> IstioGateway:
    namespace, _, name = wanted.partition("/")
    there = [item for item in items if item["metadata"].get("namespace") == namespace]
    for item in there:
        if item["kind"] == "Service" and item["metadata"]["name"] == name:
            return IstioGateway.read(item, _pods(there, item["spec"].get("selector") or {}))
    raise GatewayError(f"has no Service {wanted}")


def _pods(items: Sequence[Mapping[str, Any]], selector: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    """Yield the Pods that a selector means: as their workloads describe them, or as they run."""
    described = (item["spec"]["template"] for item in items if item["kind"] in _WORKLOADS)
    running = (item for item in items if item["kind"] == "Pod")
    for pods in (described, running):
        behind = [pod for pod in pods if selector.items() <= pod["metadata"].get("labels", {}).items()]
        if behind:
            yield from behind
            return


if __name__ == "__main__":
    main()
