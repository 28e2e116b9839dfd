"""What clusters say, for the report of a test that fails."""

import re
import subprocess
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.support.lab import Lab
from tests.e2e.support.session import LAB

SECONDS = 10
MINUTES = 3
LINES = 12
_EVENT = ":.lastTimestamp,:.metadata.namespace,:.involvedObject.kind,:.involvedObject.name,:.reason,:.message"
_SECRETS = re.compile(r"-----BEGIN [A-Z ]+-----.*?(?:-----END [A-Z ]+-----|\Z)|\beyJ[\w.-]+", re.DOTALL)
_READY = re.compile(r"\s(\d+)/\1\s+(Running|Completed)\s|\s\d+/\d+\s+Completed\s")
_USUAL = re.compile("no gateways for router|Could not find either istio-init|cgroup v1 detected")
_TROUBLE = re.compile(r"\b(warn(ing)?|error|fatal|critical)\b", re.IGNORECASE)


class ClusterReport:
    """Adds to the report of each failure what the clusters of its worker say at that moment."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Add them to a report; a failure to ask them is no failure of the test."""
        report = yield
        lab = item.config.stash.get(LAB, None)
        if report.failed and lab:
            with suppress(Exception):
                report.sections.append(("clusters", said_by(lab)))
        return report


def said_by(lab: Lab) -> str:
    """Return what is wrong in each cluster: Pods that are not ready, warnings, and what istiod and gateways log.

    Each answer takes SECONDS and LINES at most. Private keys and tokens are left out.
    """
    subjects = ("Pods", "events", "istiod", "istio-ingressgateway", "istio-egressgateway")
    asked = [(cluster, subject) for cluster in lab.nodes for subject in subjects]
    with ThreadPoolExecutor() as pool:
        answers = pool.map(lambda each: _trouble(lab, *each), asked)
    found = zip(asked, answers, strict=True)
    texts = [f"{cluster}, {subject}:\n{answer}" for (cluster, subject), answer in found if answer]
    return _SECRETS.sub("[left out]", "\n".join(texts)) or "nothing is wrong in them"


def _trouble(lab: Lab, cluster: str, subject: str) -> str:
    """Return the last lines of an answer that are about trouble, as of the last MINUTES."""
    recent = (datetime.now(UTC) - timedelta(minutes=MINUTES)).strftime("%Y-%m-%dT%H:%M")
    if subject == "Pods":
        lines = _ask(lab, cluster, "get", "pods", "-A", "--no-headers", "-o", "wide")
        lines = [line for line in lines if not _READY.search(line)]
    elif subject == "events":
        options = ("--field-selector=type=Warning", "--sort-by=.lastTimestamp", "--no-headers")
        lines = _ask(lab, cluster, "get", "events", "-A", *options, "-o", f"custom-columns={_EVENT}")
        lines = [line for line in lines if line >= recent or line.startswith("<none>")]
    else:
        logs = ("logs", f"deployment/{subject}", f"--since={MINUTES}m", "--tail=500")
        lines = [line for line in _ask(lab, cluster, "-n", "istio-system", *logs) if _TROUBLE.search(line)]
    lines = [line for line in lines if not _USUAL.search(line)]
    return "\n".join(f"  {line[:400]}" for line in lines[-LINES:])


def _ask(lab: Lab, cluster: str, *question: str) -> list[str]:
    command = ("kubectl", "--kubeconfig", lab.kubeconfig(cluster), f"--request-timeout={SECONDS}s", *question)
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return [f"error: no answer within {SECONDS} s"]
    return (done.stdout or done.stderr).splitlines()
