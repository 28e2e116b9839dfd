"""Names of hosts in the lab: each worker's clusters resolve *.target.test and *.client.test to themselves."""

import json
from collections.abc import Mapping

from lab.node import NODES, Node
from tests.e2e.support.commands import ROOT, run
from tests.e2e.support.waiting import together


def resolve(clusters: Mapping[str, Node]) -> None:
    """Let clusters resolve the domain of each role, ROLE.test, to the cluster that has the role."""
    usual = {node.name: node.address for node in NODES}
    moved = {usual[role]: node.address for role, node in clusters.items() if role != node.name}
    if moved:
        together(lambda node: _resolve(node.name, moved), clusters.values())


def _resolve(cluster: str, moved: Mapping[str, str]) -> None:
    kubectl = ("kubectl", "--kubeconfig", str(ROOT / f".lab/{cluster}.kubeconfig"), "-n", "kube-system")
    names = run(*kubectl, "get", "configmap", "coredns", "-o", "jsonpath={.data.Corefile}").stdout
    wanted = names
    for old, new in moved.items():
        wanted = wanted.replace(f'IN A {old}"', f'IN A {new}"')
    if wanted != names:
        patch = json.dumps({"data": {"Corefile": wanted}})
        run(*kubectl, "patch", "configmap", "coredns", "--type=merge", "-p", patch)
        run(*kubectl, "rollout", "restart", "deployment/coredns")
        run(*kubectl, "rollout", "status", "deployment/coredns", "--timeout=120s")
