"""Destinations that a client's closed namespaces may reach, as the config writes them."""

import re
from ipaddress import ip_network

from components.istio_gateway import Destination, Pods
from components.rules import LABEL

_PORT = r"[0-9]{1,5}"
_OF_NAMESPACE = re.compile(rf"(?P<namespace>{LABEL})(:(?P<port>{_PORT}))?")
_OF_CIDR = re.compile(rf"(?P<cidr>[0-9A-Fa-f.:]+/[0-9]{{1,3}}):(?P<port>{_PORT})")
_PORTS = range(1, 65536)
PATTERN = rf"{LABEL}(:{_PORT})?|[0-9A-Fa-f.:]+/[0-9]{{1,3}}:{_PORT}"


def parse(text: str) -> Destination:
    """Return the destination NAMESPACE, NAMESPACE:PORT or CIDR:PORT; raise ValueError with the reason if it is none.

    A port is one for TCP; NAMESPACE alone stands for every port of its Pods.
    """
    found = _OF_CIDR.fullmatch(text) or _OF_NAMESPACE.fullmatch(text)
    if not found:
        raise ValueError("not a destination: NAMESPACE, NAMESPACE:PORT or CIDR:PORT")
    parts = found.groupdict()
    port = parts["port"]
    if port and int(port) not in _PORTS:
        raise ValueError("not a port: 1 to 65535")
    ports = ((int(port), "TCP"),) if port else ()
    if cidr := parts.get("cidr"):
        return Destination(ports, (_network(cidr),))
    return Destination(ports, pods=Pods(parts["namespace"], {}))


def _network(cidr: str) -> str:
    try:
        network = ip_network(cidr)
    except ValueError as error:
        raise ValueError(f"not a CIDR: {error}") from None
    if network.prefixlen == 0:
        raise ValueError("every address; leave networkPolicy at own to leave the namespace open")
    return str(network)
