"""Fakes for clusters and attackers, and the outcome of one check with them."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, cast

from tests.unit.deployed import AUTHORITY, CA
from tests.unit.verification.answered import REFUSED
from verification import __main__ as command
from verification import curls
from verification.attacker import Attacker
from verification.checks import Failed, Skipped, Unjudged
from verification.client_cluster import ClientCluster
from verification.issuing import Authority
from verification.pods import Executed
from verification.stack import DeployedStack
from verification.tls import ClientCredential


@dataclass
class FakeCluster:
    """A client's cluster.

    answers: of curl, one for each call
    log: the line of the egress gateway
    calls: the arguments of curl, by call
    """

    answers: list[Executed] = field(default_factory=list)
    log: str = "{marker}"
    calls: list[tuple[str, ...]] = field(default_factory=list)

    def credential(self) -> ClientCredential:
        return ClientCredential(b"certificate", b"key")

    def curl(self, *arguments: str) -> Executed:
        self.calls.append(arguments)
        return self.answers.pop(0)

    def wait_for_log(self, marker: str, _: datetime) -> str:
        line = self.log.replace("{marker}", marker)
        if marker not in line:
            raise Failed("the egress gateway's log has no line of this request")
        return line


@dataclass
class FakeAttacker:
    """An attacker's Pods, whose curl prints what a function returns for its arguments."""

    curl_with_sidecar: Callable[..., Executed]
    curl_without_sidecar: Callable[..., Executed]
    curl_in_stack_namespace: Callable[..., Executed] = lambda *_: REFUSED
    curl_of_undeclared_account: Callable[..., Executed] = lambda *_: REFUSED
    deployments: list[tuple[Any, ...]] = field(default_factory=list)
    api: object = None
    stack_namespace: str = "mtls"

    def __post_init__(self) -> None:
        self.curl_with_sidecar = _for_each(self.curl_with_sidecar)
        self.curl_without_sidecar = _for_each(self.curl_without_sidecar)

    @contextmanager
    def deployed(self, *objects: Any) -> Iterator[None]:
        self.deployments.append(objects)
        yield


def _for_each(curl: Callable[..., Executed]) -> Callable[..., Executed]:
    """Return a curl that prints the outcome of each of its requests by the format that `-w` gives, as the real one."""

    def run(*arguments: str) -> Executed:
        if not any("%{exitcode}" in each for each in arguments):
            return curl(*arguments)
        requests: list[list[str]] = [[]]
        for each in arguments:
            if each == curls.NEXT:
                requests.append([])
            else:
                requests[-1].append(each)
        printed, code = "", 0
        for *request, _, _, _, form in requests:
            done = curl(*request)
            ended = form.replace("\\n", "\n").replace("%{exitcode}", str(done.code)).replace("%{errormsg}", done.stderr)
            printed, code = printed + done.stdout + ended, done.code
        return Executed(code, printed, "")

    return run


def state_with(*keys: str) -> str:
    """Return a state, exported with its secrets, that has these private keys."""
    outputs = [
        {"privateKeyPem": {"4dabf18193072939515e22adb298388d": "x", "plaintext": json.dumps(key)}} for key in keys
    ]
    resources = [{"type": "tls:index/privateKey:PrivateKey", "outputs": each} for each in outputs]
    return json.dumps({"deployment": {"resources": [*resources, {"type": "pulumi:pulumi:Stack"}]}})


def outcome(stack: DeployedStack, cluster: FakeCluster, promise: str) -> str:
    """Return the result of a check, or `FAILED: ` and why; without an attacker."""
    fake = cast(ClientCluster, cluster)
    return _outcome(replace(stack, clients={"warehouse": fake}), promise)


def attacked(stack: DeployedStack, promise: str, attacker: FakeAttacker | None = None, *answers: Executed) -> str:
    """Return the result of an attack, or `FAILED: `, `SKIPPED: ` or `UNJUDGED: ` and why.

    answers: of the demo's curl, one after the other
    """
    prepared = replace(
        stack,
        clients={"warehouse": cast(ClientCluster, FakeCluster(list(answers)))},
        attackers=dict.fromkeys(("target", "clients.warehouse"), cast(Attacker, attacker)),
        authority=Authority(CA, lambda: state_with(AUTHORITY.key_pem)),
    )
    try:
        return _outcome(prepared, promise)
    except Skipped as reason:
        return f"SKIPPED: {reason}"
    except Unjudged as trouble:
        return f"UNJUDGED: {trouble}"


def _outcome(stack: DeployedStack, promise: str) -> str:
    check = next(check for check in command.every_check(stack) if check.promise == promise)
    try:
        return check.run()
    except Failed as failure:
        return f"FAILED: {failure}"
