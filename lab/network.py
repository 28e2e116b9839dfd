"""The lab's network: one switch, in a namespace of its own that is the lab's whole internet and has no uplink.

    host (kyma-lab, 10.77.0.1) --+
    target (10.77.0.11) ---------+-- switch in kyma-lab-internet (10.77.0.2, www.internet.test on 203.0.113.10)
    client (10.77.0.12) ---------+

The default route of both nodes ends there, and the host forwards nothing for them.
"""

import ipaddress
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

from lab.errors import LabError

RANGE = ipaddress.ip_network("10.77.0.0/24")
PREFIX = "kyma-lab"  # of every namespace; also the host's interface
INTERNET = f"{PREFIX}-internet"
HOST_ADDRESS = "10.77.0.1"
INTERNET_ADDRESS = "10.77.0.2"
WEBSITE_ADDRESS = "203.0.113.10"  # a documentation range (RFC 5737): it looks like an outside host
NAMESPACES = Path("/run/netns")


def namespace(name: str) -> str:
    return f"{PREFIX}-{name}"


def check_free() -> None:
    """Raise LabError when somebody else uses the lab's addresses or interface name."""
    for route in json.loads(_ip("-json", "-4", "route", "show", "table", "all")):
        if route.get("dev") == PREFIX or route["dst"] == "default":
            continue
        if ipaddress.ip_network(route["dst"], strict=False).overlaps(RANGE):
            raise LabError(
                f"{RANGE} is in use: this machine has a route to {route['dst']} through "
                f"{route.get('dev', 'a tunnel')}; the lab needs that range, so take the route away first"
            )
    if _host_interface_exists() and not (NAMESPACES / INTERNET).exists():
        raise LabError(f"the interface {PREFIX} is not the lab's; rename or remove it first (`ip link del {PREFIX}`)")


def up(addresses: Mapping[str, str]) -> None:
    """Make the switch and a namespace for each node (name -> address)."""
    for name in (INTERNET, *map(namespace, addresses)):
        _ip("netns", "add", name)
        _ip("-netns", name, "link", "set", "lo", "up")
    _ip(
        "-netns",
        INTERNET,
        "-batch",
        "-",
        stdin=f"""
        link add lan type bridge
        link set lan up
        address add {INTERNET_ADDRESS}/24 dev lan
        address add {WEBSITE_ADDRESS}/32 dev lo
        link add host type veth peer name {PREFIX} netns 1
        link set host master lan up
    """,
    )
    for setting in ("ipv4/conf/{}/forwarding=0", "ipv6/conf/{}/disable_ipv6=1"):
        path, value = ("/proc/sys/net/" + setting.format(PREFIX)).split("=")
        if Path(path).exists():
            Path(path).write_text(value)
    _ip("address", "add", f"{HOST_ADDRESS}/24", "dev", PREFIX)
    _ip("link", "set", PREFIX, "up")
    for name, address in addresses.items():
        _ip("-netns", INTERNET, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", namespace(name))
        _ip("-netns", INTERNET, "link", "set", name, "master", "lan", "up")
        _ip(
            "-netns",
            namespace(name),
            "-batch",
            "-",
            stdin=f"""
            address add {address}/24 dev eth0
            link set eth0 up
            route add default via {INTERNET_ADDRESS}
        """,
        )


def down() -> None:
    """Remove the namespaces and with them every interface; nothing to remove is no error."""
    for path in sorted(NAMESPACES.glob(f"{PREFIX}-*")):
        _ip("netns", "delete", path.name)
    # A namespace goes a moment after its last process; a veth's other end need not wait for that.
    if _host_interface_exists():
        _ip("link", "delete", PREFIX)
    if NAMESPACES.is_dir() and not any(NAMESPACES.iterdir()):
        # `ip netns` has mounted it on itself.
        subprocess.run(["umount", "--lazy", NAMESPACES], capture_output=True, check=False)
        NAMESPACES.rmdir()


def _host_interface_exists() -> bool:
    return Path(f"/sys/class/net/{PREFIX}").exists()


def _ip(*arguments: str, stdin: str = "") -> str:
    result = subprocess.run(["ip", *arguments], input=stdin, capture_output=True, text=True, check=False)
    if result.returncode:
        raise LabError(f"`ip {' '.join(arguments)}` failed: {result.stderr.strip()}")
    return result.stdout
