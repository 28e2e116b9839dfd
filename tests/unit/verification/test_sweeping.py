"""Removal of objects that a killed run left."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.verification.fake_api import FakeApi, attacker_of
from verification.manifests import LABEL, RUN


def dead_process() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


@pytest.mark.parametrize(
    ("mark", "run", "minutes", "is_swept"),
    [
        ("0a1b", lambda: f"{socket.gethostname()}/{dead_process()}", 1, True),
        ("0a1b", lambda: f"{socket.gethostname()}/{os.getpid()}", 1, False),
        ("0a1b", lambda: f"elsewhere/{dead_process()}", 1, False),
        ("0a1b", lambda: "elsewhere/1", 61, True),
        ("0a1b", lambda: "", 1, False),
        ("0a1b", lambda: "", 61, True),
        ("ffff", lambda: f"{socket.gethostname()}/{dead_process()}", 61, False),
    ],
)
def test_next_run_of_the_stack_removes_objects_of_a_killed_run(
    api: FakeApi, mark: str, run: Callable[[], str], minutes: int, is_swept: bool
) -> None:
    metadata = {
        "labels": {LABEL: mark},
        "annotations": {RUN: run()},
        "creation_timestamp": datetime.now(UTC) - timedelta(minutes=minutes),
    }
    api.objects = {"Namespace /old": {"metadata": metadata}, "Pod mtls/old": {"metadata": metadata}}
    attacker_of().curl_with_sidecar()
    assert {"Namespace /old", "Pod mtls/old"} & set(api.objects) == (
        set() if is_swept else {"Namespace /old", "Pod mtls/old"}
    )


def test_concurrent_runs_of_a_stack_keep_their_objects(api: FakeApi) -> None:
    first = attacker_of()
    first.curl_in_stack_namespace()
    second = attacker_of(name="second")
    second.curl_in_stack_namespace()
    assert {"Namespace /temporary", "Pod mtls/temporary", "Namespace /second"} < set(api.objects)
    assert second.remove() == []
    assert {"Namespace /temporary", "Pod mtls/temporary"} < set(api.objects)
