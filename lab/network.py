"""The lab's network: one switch, in a namespace of its own that is the lab's whole internet and has no uplink.

    host (kyma-lab, 10.77.0.1) --+
    target (10.77.0.11) ---------+-- switch in kyma-lab-internet (10.77.0.2, *.internet.test on 203.0.113.10)
    client (10.77.0.12) ---------+
    client2 (10.77.0.13) and so on

The default route of every node ends there, and the host forwards nothing for them.
"""

import ipaddress
import json
import subprocess
from pathlib import Path

from lab.errors import LabError

# Every address of the lab. Those with {} are of the node with that number.
RANGE = ipaddress.ip_network("10.77.0.0/24")
NODE_ADDRESS = "10.77.0.1{}"
PODS = "10.78.{}.0/24"
SERVICES = "10.79.{}.0/24"
DNS = "10.79.{}.10"
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


def up() -> None:
    """Create the switch and connect the host to it."""
    _add_namespace(INTERNET)
    _ip(
        "-netns",
        INTERNET,
        "-batch",
        "-",
        stdin=f"""
        link add lan address {_mac(INTERNET_ADDRESS)} type bridge
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


def connect(name: str, address: str) -> None:
    """Create a node's namespace and connect it to the switch."""
    inside = namespace(name)
    _add_namespace(inside)
    _ip(
        "-netns",
        INTERNET,
        "-batch",
        "-",
        stdin=f"""
        link add {name} type veth peer name eth0 address {_mac(address)} netns {inside}
        link set {name} master lan up
    """,
    )
    _ip(
        "-netns",
        inside,
        "-batch",
        "-",
        stdin=f"""
        address add {address}/24 dev eth0
        link set eth0 up
        route add default via {INTERNET_ADDRESS}
    """,
    )


def exists() -> bool:
    """Tell whether the switch is there."""
    return (NAMESPACES / INTERNET).exists()


def disconnect(name: str) -> None:
    """Remove a node's namespace and its connection to the switch; nothing to remove is no error."""
    inside = namespace(name)
    if (NAMESPACES / inside).exists():
        _delete_link("eth0", "-netns", inside)
        _ip("netns", "delete", inside)


def down() -> None:
    """Remove the namespaces and with them every interface; nothing to remove is no error."""
    for path in sorted(NAMESPACES.glob(f"{PREFIX}-*")):
        _ip("netns", "delete", path.name)
    _delete_link(PREFIX)
    if NAMESPACES.is_dir() and not any(NAMESPACES.iterdir()):
        # `ip netns` has mounted it on itself.
        subprocess.run(["umount", "--lazy", NAMESPACES], capture_output=True, check=False)
        NAMESPACES.rmdir()


def _add_namespace(name: str) -> None:
    _ip("netns", "add", name)
    _ip("-netns", name, "link", "set", "lo", "up")


def _mac(address: str) -> str:
    """A hardware address that stays when a node is restarted or a bridge gets a port: neighbors remember it."""
    return ":".join(f"{byte:02x}" for byte in (2, 0, *ipaddress.ip_address(address).packed))


def _delete_link(link: str, *where: str) -> None:
    """Delete a veth pair now: by itself it goes some time after the last process of a namespace, maybe meanwhile."""
    try:
        _ip(*where, "link", "delete", link)
    except LabError as error:
        if "Cannot find device" not in str(error):
            raise


def _host_interface_exists() -> bool:
    return Path(f"/sys/class/net/{PREFIX}").exists()


def _ip(*arguments: str, stdin: str = "") -> str:
    result = subprocess.run(["ip", *arguments], input=stdin, capture_output=True, text=True, check=False)
    if result.returncode:
        raise LabError(f"`ip {' '.join(arguments)}` failed: {result.stderr.strip()}")
    return result.stdout
