"""What Envoy rejected last."""

import json
from pathlib import Path

from proxies.dump import Dump
from tests.unit.proxies import recorded
from tests.unit.verification.effective.recorded import changed
from verification.effective.updates import problems


def test_a_rejected_listener_is_named_once() -> None:
    listeners = json.loads((Path(recorded.__file__).parent / "rejected_listener.json").read_text())
    dump = Dump.parse({"listeners": listeners})
    assert list(problems(dump, 18443)) == [f"rejects listener 0.0.0.0_8443: {recorded.REJECTION}"]


def test_a_rejected_listener_of_others_is_none_of_the_stacks() -> None:
    listeners = json.loads((Path(recorded.__file__).parent / "rejected_listener.json").read_text())
    assert list(problems(Dump.parse({"listeners": listeners}), 8443)) == []


def test_taken_updates_pass() -> None:
    assert list(problems(changed("ingress"), 8443)) == []
