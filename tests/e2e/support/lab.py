"""The clusters of the lab that a test uses."""

import json
import time
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import urllib3
import yaml

from lab.node import Node
from tests.e2e.support.commands import MANIFESTS, run
from tests.e2e.support.waiting import eventually, together

CLUSTERS = ("target", "client", "client2")
"""The roles of clusters in the tests; the second worker has no `client2`."""

OF_EVERY_NAMESPACE = {
    ("ConfigMap", "kube-root-ca.crt"),
    ("ConfigMap", "istio-ca-root-cert"),
    ("ServiceAccount", "default"),
}
"""What controllers put into a namespace some time after it was made."""

PASSING = {
    ("Event", ""),
    ("Event", "events.k8s.io"),
    ("Lease", "coordination.k8s.io"),
    ("ComponentStatus", ""),
    ("Endpoints", ""),  # they follow Services in their own time
    ("APIService", "apiregistration.k8s.io"),  # they follow CustomResourceDefinitions in their own time
}
"""Kinds, each with its group, whose objects come and go in their own time."""

METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
"""The format of a list of objects without their content."""

_OF_FILTERS = "EnvoyFilter exposes internal implementation details"
"""What istioctl says of every EnvoyFilter."""

SETTLED_SECONDS = 120
"""The most that Pods and EndpointSlices take to follow what was deleted."""

Inventory = dict[str, set[str]]
"""By cluster, its objects as `Kind namespace name`."""


@dataclass(frozen=True)
class Lab:
    """The clusters of one worker, each under the name of its role.

    directory: where each has its kubeconfig, ROLE.kubeconfig, with the role as its context
    nodes: of each cluster, at whose address its API server and its ingress gateway answer
    """

    directory: Path
    nodes: Mapping[str, Node]

    @property
    def ingress(self) -> str:
        """The address of the target's ingress gateway."""
        return self.nodes["target"].address

    def server(self, cluster: str) -> str:
        """Return the URL of a cluster's API server."""
        return f"https://{self.nodes[cluster].address}:6443"

    def kubeconfig(self, cluster: str) -> str:
        """Return the path of a cluster's kubeconfig."""
        return str(self.directory / f"{cluster}.kubeconfig")

    def kubectl(self, cluster: str, *arguments: str, check: bool = True, stdin: str = "") -> str:
        """Return the output of kubectl against a cluster."""
        return run("kubectl", "--kubeconfig", self.kubeconfig(cluster), *arguments, check=check, stdin=stdin).stdout

    def apply(self, cluster: str, *manifests: dict[str, Any]) -> None:
        """Apply objects, each a manifest."""
        self.kubectl(cluster, "apply", "-f", "-", stdin=yaml.safe_dump_all(manifests))

    def get(self, cluster: str, kind: str, namespace: str, name: str) -> dict[str, Any]:
        """Return an object; Secrets with their data decoded."""
        item = json.loads(self.kubectl(cluster, "-n", namespace, "get", kind, name, "-o", "json"))
        if kind == "secret":
            item["data"] = {key: b64decode(value).decode() for key, value in item.get("data", {}).items()}
        return dict(item)

    def curl(self, namespace: str, *arguments: str, cluster: str = "client", pod: str = "curl") -> tuple[int, str]:
        """Return exit code and output of curl in a Pod of the Deployment `pod`."""
        inside = ("-n", namespace, "exec", f"deploy/{pod}", "-c", "curl", "--", "curl", "-sS", "--max-time", "20")
        done = run("kubectl", "--kubeconfig", self.kubeconfig(cluster), *inside, *arguments, check=False)
        return done.returncode, done.stdout

    def status(self, namespace: str, *arguments: str, cluster: str = "client", pod: str = "curl") -> str:
        """Return the HTTP status that curl in a Pod gets."""
        return self.curl(namespace, "-o", "/dev/null", "-w", "%{http_code}", *arguments, cluster=cluster, pod=pod)[1]

    def expect_no_complaint(self, cluster: str, namespace: str) -> None:
        """Let istioctl analyze a stack's namespace and istio-system, and validate what the stack has there."""
        config = ("--kubeconfig", self.kubeconfig(cluster))
        kinds = "gateways.networking.istio.io,virtualservices,destinationrules,serviceentries,authorizationpolicies"
        for place in (namespace, "istio-system"):
            analyzed = run("istioctl", *config, "analyze", "-n", place, "-o", "json", check=False).stdout
            complaints = [each for each in json.loads(analyzed or "[]") or [] if _OF_FILTERS not in each["message"]]
            assert not complaints, analyzed
            objects = self.kubectl(cluster, "-n", place, "get", f"{kinds},telemetries.telemetry.istio.io", "-o", "yaml")
            done = run("istioctl", "validate", "-f", "-", stdin=objects)
            assert "warning" not in (done.stdout + done.stderr).lower(), done.stdout + done.stderr

    @contextmanager
    def namespaces(self, *places: tuple[str, str]) -> Iterator[None]:
        """Create namespaces that no stack owns, each with the workloads of its manifest, which are ready."""
        try:
            for cluster, name in places:
                self.kubectl(cluster, "apply", "-f", str(MANIFESTS / f"{name}.yaml"))
            for cluster, name in places:
                self.kubectl(cluster, "-n", name, "rollout", "status", "deployment", "--timeout=240s")
            yield
        finally:
            together(
                lambda place: self.kubectl(place[0], "delete", "namespace", place[1], "--ignore-not-found"), places
            )

    def add_kinds(self, cluster: str, *crds: str) -> None:
        """Create CustomResourceDefinitions, each a manifest, and wait until the cluster serves them."""
        applied = self.kubectl(cluster, "apply", "--server-side", *_files(crds)).splitlines()
        wait = ("wait", "--for=condition=Established", "--timeout=10s", *_files(crds))

        def served() -> bool:  # kubectl fails on a kind that has no conditions yet
            return self.kubectl(cluster, *wait, check=False).count("condition met") == len(applied)

        eventually(served, f"cluster {cluster} serves {', '.join(applied)}")

    def remove(self, cluster: str, manifest: str, namespace: str, *crds: str) -> None:
        """Delete what a manifest made, its namespace included, and then the kinds that it needs."""
        # kubectl waits for nothing once it meets a kind that is gone.
        self.kubectl(cluster, "delete", "--ignore-not-found", "--wait=false", "-f", manifest, check=False)
        self.remove_kinds(cluster, *crds)
        self.kubectl(cluster, "wait", "--for=delete", "--timeout=240s", f"namespace/{namespace}")

    def remove_kinds(self, cluster: str, *crds: str) -> None:
        """Delete CustomResourceDefinitions, each a manifest, with all objects, whose controllers are not asked."""
        kinds = self.kubectl(cluster, "get", "--ignore-not-found", "-o", "name", *_files(crds)).split()
        self.kubectl(cluster, "delete", "--ignore-not-found", "--wait=false", *_files(crds))
        free = json.dumps({"metadata": {"finalizers": None}})
        for kind in (each.partition("/")[2] for each in kinds):
            columns = "custom-columns=:.metadata.namespace,:.metadata.name"
            listed = self.kubectl(cluster, "get", kind, "-A", "--no-headers", "-o", columns, check=False)
            for namespace, name in (line.split() for line in listed.splitlines()):
                place = () if namespace == "<none>" else ("-n", namespace)
                self.kubectl(cluster, *place, "patch", kind, name, "--type=merge", "-p", free, check=False)
        if kinds:
            self.kubectl(cluster, "wait", "--for=delete", "--timeout=120s", *kinds)

    def objects(self, cluster: str) -> set[str]:
        """Return every object of a cluster once none is being deleted.

        Those that come and go in their own time are left out, and those that follow their owner.
        """
        found: list[tuple[str, dict[str, Any]]] = []

        def settled() -> bool:
            found[:] = self._metadata(cluster)
            return not any("deletionTimestamp" in each for _, each in found)

        eventually(settled, f"cluster {cluster} has deleted its objects", SETTLED_SECONDS)
        kept = ((kind, each) for kind, each in found if (kind, each["name"]) not in OF_EVERY_NAMESPACE)
        return {f"{kind} {each.get('namespace', '<none>')} {each['name']}" for kind, each in kept}

    def _metadata(self, cluster: str) -> list[tuple[str, dict[str, Any]]]:
        """Return the kind and the metadata of the objects of a cluster that have no owner, and do not pass."""
        kinds = self.kubectl(cluster, "api-resources", "--verbs=list", "--no-headers").splitlines()
        found = []
        with self._reader(cluster) as read:
            for resource, *_, version, _, kind in map(str.split, kinds):
                if (kind, version.rpartition("/")[0]) not in PASSING:
                    listed = read(f"/{'apis' if '/' in version else 'api'}/{version}/{resource}")
                    found += [(kind, each) for each in listed if "ownerReferences" not in each]
        return found

    @contextmanager
    def _reader(self, cluster: str) -> Iterator[Callable[[str], list[dict[str, Any]]]]:
        """Yield what reads the metadata of a list of a cluster's API: `kubectl get` would read the objects as well."""
        kubeconfig = yaml.safe_load(Path(self.kubeconfig(cluster)).read_text())
        authority = b64decode(kubeconfig["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
        headers = {"Accept": METADATA, "Authorization": f"Bearer {kubeconfig['users'][0]['user']['token']}"}
        with urllib3.PoolManager(headers=headers, ca_cert_data=authority) as pool:

            def read(path: str) -> list[dict[str, Any]]:
                answer = pool.request("GET", f"{self.server(cluster)}{path}")
                assert answer.status == HTTPStatus.OK, f"{cluster}: {path}: {answer.data!r}"
                return [each["metadata"] for each in answer.json()["items"] or ()]

            yield read

    def inventory(self, *clusters: str) -> Inventory:
        """Return the objects of each cluster."""
        return dict(zip(clusters, together(self.objects, clusters), strict=True))

    def expect_as_before(self, before: Inventory) -> None:
        """Wait until clusters have the objects of an earlier inventory, and no other ones."""
        end = time.monotonic() + SETTLED_SECONDS
        while (now := self.inventory(*before)) != before and time.monotonic() < end:
            time.sleep(1)
        for cluster in before:
            assert not now[cluster] - before[cluster], f"left in cluster {cluster}"
            assert not before[cluster] - now[cluster], f"missing in cluster {cluster}"


def _files(paths: Iterable[str]) -> list[str]:
    return [word for path in paths for word in ("-f", path)]
