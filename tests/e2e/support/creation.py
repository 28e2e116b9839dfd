"""Objects as the Kubernetes provider 4.29 and later creates them by default: by POST, whatever their own manager.

https://github.com/pulumi/pulumi-kubernetes/blob/master/provider/pkg/await/await.go (Creation). An update of theirs
hands their fields over to the manager that the annotation names (fixCSAFieldManagers).
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from tests.e2e.support.lab import Lab

_CREATE = ("create", "--validate=false", "--field-manager=pulumi-kubernetes", "-f", "-")


def would_be(lab: Lab, cluster: str, manifests: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return objects of further names as the cluster would have them, which it does not make."""
    named = [{**each, "metadata": {**each["metadata"], "name": f"{each['metadata']['name']}-2"}} for each in manifests]
    options = ("--dry-run=server", "--show-managed-fields", "-o", "yaml")
    return list(yaml.safe_load_all(lab.kubectl(cluster, *_CREATE, *options, stdin=yaml.safe_dump_all(named))))


def make_again(lab: Lab, cluster: str, named: Sequence[str], labels: Mapping[str, str]) -> None:
    """Delete an object, which kubectl names so, and create it with further labels."""
    found = json.loads(lab.kubectl(cluster, "get", *named, "-o", "json"))
    lab.kubectl(cluster, "delete", *named)
    kept = {key: found["metadata"][key] for key in ("namespace", "name", "labels", "annotations")}
    made = {**found, "metadata": {**kept, "labels": {**kept["labels"], **labels}}}
    lab.kubectl(cluster, *_CREATE, stdin=json.dumps(made))
