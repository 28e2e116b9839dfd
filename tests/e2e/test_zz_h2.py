"""Temporary."""

import json, time
from pathlib import Path
import pytest
from tests.e2e.support.loosened import LOOSENED
from tests.e2e.test_verification import attacked, Attacked  # noqa
from proxies import replicas
from proxies.forward import Admin
from verification.effective import of_host, of_client, of_stack
from verification.context import HostContext, ClientContext
from verification.runner import judge
import threading


def checks_of(attacked):
    stack = attacked.connected
    for n in stack.settings.served:
        yield from of_host(HostContext(stack, n))
    for n in stack.settings.clients:
        yield from of_client(ClientContext(stack, n))
    yield from of_stack(stack)


def test_all(lab, attacked: Attacked, monkeypatch) -> None:
    read = Admin.read

    def recording(self, path):
        found = read(self, path)
        with open("/tmp/h2/out/dumps.jsonl", "a") as f:
            f.write(json.dumps([path, found]) + "\n")
        return found

    monkeypatch.setattr(Admin, "read", recording)
    Path("/tmp/h2/out/dumps.jsonl").write_text("")
    start = time.monotonic()
    lines = []
    for c in checks_of(attacked):
        o = judge(c, 0, lambda _: None, threading.Event())
        lines.append(f"{o.verdict.name} {o.seconds:.2f} {c.group}: {c.promise}: {o.saw}")
    with LOOSENED.played(lab):
        time.sleep(12)
        for c in checks_of(attacked):
            o = judge(c, 0, lambda _: None, threading.Event())
            lines.append(f"{o.verdict.name} {o.seconds:.2f} {c.group}: {c.promise}: {o.saw}")
    Path("/tmp/h2/out/lines").write_text("\n".join(lines) + f"\n{time.monotonic() - start}\n")
