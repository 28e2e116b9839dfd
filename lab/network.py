"""The lab's network: one switch, in a namespace of its own that is the lab's whole internet and has no uplink.

    host (kyma-lab, 10.77.0.1) --+
    target (10.77.0.11) ---------+-- switch in kyma-lab-internet (10.77.0.2, *.internet.test on 203.0.113.10)
    client (10.77.0.12) ---------+
    client2 (10.77.0.13) and so on

The default route of every node ends there. The host forwards nothing for the nodes, and answers them only: it can
open connections to the lab, the lab none to the host.
"""

import ipaddress
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

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
SETTINGS = Path("/proc/sys/net")

# The filter for the lab's packets to the host, in classic BPF: (code, jump if true, jump if false, operand).
_PASS, _DROP = (0x06, 0, 0, 0), (0x06, 0, 0, 2)
ANSWERS_ONLY = (
    (0x28, 0, 0, 12),  # EtherType
    (0x15, 10, 0, 0x0806),  # pass ARP
    (0x15, 0, 10, 0x0800),  # drop protocols other than IPv4
    (0x30, 0, 0, 23),  # protocol
    (0x15, 7, 0, 1),  # pass ICMP
    (0x15, 0, 7, 6),  # drop protocols other than TCP
    (0x28, 0, 0, 20),  # flags and offset of the fragment
    (0x45, 5, 0, 0x3FFF),  # drop fragments: they could hide TCP's flags
    (0xB1, 0, 0, 14),  # length of the IP header
    (0x50, 0, 0, 27),  # TCP's flags
    (0x54, 0, 0, 0x12),
    (0x15, 1, 0, 0x02),  # drop SYN without ACK: a new connection
    _PASS,
    _DROP,
)


def namespace(name: str) -> str:
    """Return the name of a node's namespace."""
    return f"{PREFIX}-{name}"


def check_free() -> None:
    """Raise LabError when an address or the interface name of the lab is in use outside the lab."""
    for route in json.loads(_ip("-json", "-4", "route", "show", "table", "all")):
        if route.get("dev") != PREFIX and _competes(route):
            raise LabError(
                f"{RANGE} is in use: this machine has a route to {route['dst']} through "
                f"{route.get('dev') or route.get('type', 'a tunnel')}; the lab needs that range, so take the route "
                "away first"
            )
    if _host_interface_exists() and not (NAMESPACES / INTERNET).exists():
        raise LabError(f"the interface {PREFIX} is not the lab's; rename or remove it first (`ip link del {PREFIX}`)")


def _competes(route: dict[str, Any]) -> bool:
    """Return whether a route takes addresses from the lab, or the lab from a network that this machine is in.

    Beside a route of any other larger network, the lab's own wins.
    """
    if route["dst"] == "default":
        return False
    network = ipaddress.ip_network(route["dst"], strict=False)
    is_own = route.get("protocol") == "kernel"
    return network.overlaps(RANGE) and (is_own or network.prefixlen >= RANGE.prefixlen)


@contextmanager
def trial(name: str) -> Iterator[str]:
    """Make a namespace with a bridge and a guarded veth pair, as the lab's are, for as long as the context lasts."""
    inside = namespace(name)
    try:
        _add_namespace(inside)
        _ip(
            "-netns",
            inside,
            "-batch",
            "-",
            stdin="""
            link add lan type bridge
            link add port type veth peer name eth0
            link set port master lan up
        """,
        )
        _let_answers_in("eth0", "-netns", inside)
        yield inside
    finally:
        if (NAMESPACES / inside).exists():
            _ip("netns", "delete", inside)


def up() -> None:
    """Create the switch and connect the host to it."""
    _add_namespace(INTERNET)
    _ip("link", "add", PREFIX, "type", "veth", "peer", "name", "host", "netns", INTERNET)
    _let_answers_in(PREFIX)
    _set(f"ipv4/conf/{PREFIX}/forwarding", "0")
    if (SETTINGS / "ipv6").exists():
        _set(f"ipv6/conf/{PREFIX}/disable_ipv6", "1")
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
        link set host master lan up
    """,
    )
    _ip("address", "add", f"{HOST_ADDRESS}/24", "dev", PREFIX)
    _ip("link", "set", PREFIX, "up")
    _check_way()


def _check_way() -> None:
    """Raise LabError when a rule of the host, such as a VPN's, sends the lab's addresses elsewhere."""
    (way,) = json.loads(_ip("-json", "route", "get", INTERNET_ADDRESS))
    if way.get("dev") != PREFIX:
        raise LabError(
            f"this machine sends {RANGE} through {way.get('dev', 'no interface')}, not to the lab: "
            "see `ip rule`, and end the VPN that has this rule"
        )


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
    """Return whether the switch is there."""
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
        with suppress(OSError):  # another process has just made a namespace
            NAMESPACES.rmdir()


def _add_namespace(name: str) -> None:
    _ip("netns", "add", name)
    _ip("-netns", name, "link", "set", "lo", "up")


def _let_answers_in(link: str, *where: str) -> None:
    """Drop the packets that come in through an interface, except answers."""
    program = f"{len(ANSWERS_ONLY)}," + ",".join(" ".join(map(str, step)) for step in ANSWERS_ONLY)
    _run("tc", *where, "qdisc", "add", "dev", link, "clsact")
    _run("tc", *where, "filter", "add", "dev", link, "ingress", "bpf", "direct-action", "bytecode", program)


def _set(setting: str, value: str) -> None:
    try:
        (SETTINGS / setting).write_text(value)
    except OSError as error:
        raise LabError(
            f"{SETTINGS / setting} cannot be set to {value} ({error.strerror}): "
            "without it the host could let the lab out"
        ) from None


def _mac(address: str) -> str:
    """Return a hardware address that stays when a node is restarted or a bridge gets a port: neighbors remember it."""
    return ":".join(f"{byte:02x}" for byte in (2, 0, *ipaddress.ip_address(address).packed))


def _delete_link(link: str, *where: str) -> None:
    """Delete a veth pair now: the kernel does so only some time after a namespace's last process ends."""
    try:
        _ip(*where, "link", "delete", link)
    except LabError as error:
        if not any(reason in str(error) for reason in ("Cannot find device", "No such device")):
            raise


def _host_interface_exists() -> bool:
    return Path(f"/sys/class/net/{PREFIX}").exists()


def _ip(*arguments: str, stdin: str = "") -> str:
    return _run("ip", *arguments, stdin=stdin)


def _run(*command: str, stdin: str = "") -> str:
    result = subprocess.run(
        command, input=stdin, capture_output=True, text=True, check=False, env=os.environ | {"LC_ALL": "C"}
    )
    if result.returncode:
        raise LabError(f"`{' '.join(command)}` failed: {' '.join(result.stderr.split())}")
    return result.stdout
