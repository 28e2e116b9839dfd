"""Whose addresses the lab takes, and what it does when the machine does otherwise than expected."""

import json
import struct
from pathlib import Path

import pytest

from lab import network
from lab.errors import LabError

HOST, NODE = bytes([10, 77, 0, 1]), bytes([10, 77, 0, 11])
ACK, SYN, RST = 0x10, 0x02, 0x04


def check(monkeypatch: pytest.MonkeyPatch, *routes: dict[str, str]) -> None:
    monkeypatch.setattr(network, "_ip", lambda *_: json.dumps(routes))
    monkeypatch.setattr(network, "_host_interface_exists", lambda: False)
    network.check_free()


@pytest.mark.parametrize(
    ("route", "through"),
    [
        ({"dst": "10.77.0.9", "dev": "eth0"}, "eth0"),
        ({"dst": "10.77.0.0/25", "gateway": "192.0.2.1", "dev": "tun0"}, "tun0"),
        ({"dst": "10.77.0.0/24", "type": "blackhole"}, "blackhole"),
        ({"dst": "10.0.0.0/8", "dev": "eth0", "protocol": "kernel"}, "eth0"),
    ],
)
def test_taken_address_is_reported(monkeypatch: pytest.MonkeyPatch, route: dict[str, str], through: str) -> None:
    found = f"10.77.0.0/24 is in use: this machine has a route to {route['dst']} through {through};"
    with pytest.raises(LabError, match=found):
        check(monkeypatch, route)


@pytest.mark.parametrize(
    "route",
    [
        {"dst": "default", "dev": "eth0"},
        {"dst": "192.168.1.0/24", "dev": "eth0", "protocol": "kernel"},
        {"dst": "0.0.0.0/1", "gateway": "192.0.2.1", "dev": "tun0"},
        {"dst": "10.0.0.0/8", "dev": "wg0", "scope": "link"},
        {"dst": "10.77.0.0/24", "dev": "kyma-lab", "protocol": "kernel"},
    ],
)
def test_routes_beside_which_the_labs_own_wins_are_accepted(
    monkeypatch: pytest.MonkeyPatch, route: dict[str, str]
) -> None:
    check(monkeypatch, route)


def test_interface_of_the_same_name_is_not_taken_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(network, "_ip", lambda *_: "[]")
    monkeypatch.setattr(network, "_host_interface_exists", lambda: True)
    monkeypatch.setattr(network, "NAMESPACES", tmp_path)
    with pytest.raises(LabError, match="the interface kyma-lab is not the lab's"):
        network.check_free()
    (tmp_path / network.INTERNET).touch()
    network.check_free()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, ...]]:
    """A machine with IPv4 and IPv6 settings of the lab's interface; the commands that `up` runs there."""
    commands: list[tuple[str, ...]] = []

    def run(*command: str, stdin: str = "") -> str:
        commands.append((*command, stdin) if stdin else command)
        return json.dumps([{"dev": "kyma-lab"}])

    for setting in ("ipv4/conf/kyma-lab/forwarding", "ipv6/conf/kyma-lab/disable_ipv6"):
        (tmp_path / setting).parent.mkdir(parents=True)
        (tmp_path / setting).write_text("unset")
    monkeypatch.setattr(network, "SETTINGS", tmp_path)
    monkeypatch.setattr(network, "_run", run)
    return commands


def test_host_is_guarded_before_its_interface_is_up(machine: list[tuple[str, ...]], tmp_path: Path) -> None:
    network.up()
    assert (tmp_path / "ipv4/conf/kyma-lab/forwarding").read_text() == "0"
    assert (tmp_path / "ipv6/conf/kyma-lab/disable_ipv6").read_text() == "1"
    guarded = next(number for number, command in enumerate(machine) if command[:3] == ("tc", "filter", "add"))
    assert guarded < machine.index(("ip", "link", "set", "kyma-lab", "up"))


def test_host_that_cannot_be_kept_from_forwarding_gets_no_lab(
    machine: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(network, "SETTINGS", tmp_path / "none")
    with pytest.raises(LabError, match=r"ipv4/conf/kyma-lab/forwarding cannot be set to 0 \(No such file or directory"):
        network.up()
    assert ("ip", "link", "set", "kyma-lab", "up") not in machine


@pytest.mark.usefixtures("machine")
def test_rule_that_sends_the_labs_addresses_elsewhere_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_run", lambda *_, **__: json.dumps([{"dev": "wg0"}]))
    with pytest.raises(
        LabError, match=r"this machine sends 10\.77\.0\.0/24 through wg0, not to the lab: see `ip rule`"
    ):
        network.up()


@pytest.mark.parametrize(
    ("reason", "fails"),
    [
        ('Cannot find device "kyma-lab"', False),
        ("RTNETLINK answers: No such device", False),
        ("RTNETLINK answers: Operation not permitted", True),
    ],
)
def test_link_that_goes_by_itself_meanwhile_is_deleted(
    reason: str, fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ip(*arguments: str) -> str:
        raise LabError(f"`ip {' '.join(arguments)}` failed: {reason}")

    monkeypatch.setattr(network, "_ip", ip)
    if not fails:
        return network._delete_link("kyma-lab")
    with pytest.raises(LabError, match="not permitted"):
        network._delete_link("kyma-lab")
    return None


def run_filter(packet: bytes) -> str:
    """Run the filter as the kernel does; the instructions are those of classic BPF."""
    accumulator = index = step = 0
    while True:
        code, if_true, if_false, operand = network.ANSWERS_ONLY[step]
        step += 1
        match code:
            case 0x28:
                accumulator = int.from_bytes(packet[operand : operand + 2])
            case 0x30:
                accumulator = packet[operand]
            case 0x50:
                accumulator = packet[index + operand]
            case 0x54:
                accumulator &= operand
            case 0xB1:
                index = 4 * (packet[operand] & 0xF)
            case 0x15:
                step += if_true if accumulator == operand else if_false
            case 0x45:
                step += if_true if accumulator & operand else if_false
            case 0x06:
                return {0: "pass", 2: "drop"}[operand]


def packet(protocol: int, flags: int = 0, *, options: int = 0, fragment: int = 0, ether_type: int = 0x0800) -> bytes:
    payload = bytes(13) + bytes([flags]) + bytes(20)
    header = struct.pack("!BBHHHBBH", 0x45 + options, 0, 0, 0, fragment, 64, protocol, 0) + NODE + HOST
    return bytes(12) + struct.pack("!H", ether_type) + header + bytes(4 * options) + payload


TCP, UDP, ICMP = 6, 17, 1


@pytest.mark.parametrize(
    ("sent", "verdict"),
    [
        (packet(TCP, ACK), "pass"),
        (packet(TCP, SYN | ACK), "pass"),
        (packet(TCP, RST), "pass"),
        (packet(TCP, ACK, options=3), "pass"),
        (packet(TCP, ACK, fragment=0x4000), "pass"),  # "do not fragment"
        (packet(ICMP), "pass"),
        (packet(0, ether_type=0x0806), "pass"),  # ARP
        (packet(TCP, SYN), "drop"),
        (packet(TCP, SYN, options=3), "drop"),
        (packet(TCP, SYN | RST), "drop"),
        (packet(TCP, ACK, fragment=0x2000), "drop"),
        (packet(TCP, ACK, fragment=0x0001), "drop"),
        (packet(UDP), "drop"),
        (packet(TCP, ACK, ether_type=0x86DD), "drop"),  # IPv6
    ],
)
def test_lab_sends_answers_only_to_the_host(sent: bytes, verdict: str) -> None:
    assert run_filter(sent) == verdict
