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
    assert set(problems(dump)) == {f"rejects listener 0.0.0.0_8443: {recorded.REJECTION}"}


def test_a_rejected_cluster_is_named() -> None:
    dump = Dump.parse({"clusters": {"configs": [{"cluster": {"name": "a"}, "error_state": {"details": "no\nCA"}}]}})
    assert list(problems(dump)) == ["rejects cluster a: no CA"]


def test_taken_updates_pass() -> None:
    assert list(problems(changed("ingress"))) == []
