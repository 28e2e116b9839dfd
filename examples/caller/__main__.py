"""A workload that calls a host of a kyma-mtls stack through the egress gateway of its cluster.

It calls by plain HTTP; the egress gateway calls the host by mutual TLS. The stack must declare it as a caller:

    pulumi config set --path 'clients.CLIENT.callers[0]' NAMESPACE/caller

The workload's Pod is ready while the host answers, so that `pulumi up` fails if the host cannot be reached.
"""

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

ACCOUNT = "caller"

config = pulumi.Config()
namespace = config.require("namespace")
client_name, host_name = config.require("client"), config.require("host")
stack = pulumi.StackReference(config.require("stack"))  # ORGANIZATION/kyma-mtls/STACK


def url_of(outputs: list[Mapping[str, Any]]) -> str:
    """Return the host's URL; raise RunError unless the egress gateway admits this workload, and the host its client."""
    clients, hosts = outputs
    client = clients.get(client_name, {})
    if not {namespace, f"{namespace}/{ACCOUNT}"} & {*client.get("callers", [])}:
        raise pulumi.RunError(f"client {client_name} has no caller {namespace}/{ACCOUNT}: declare it in its stack")
    if host_name not in client["hosts"]:
        raise pulumi.RunError(f"host {host_name} does not admit client {client_name}: list it in its stack")
    return f"http://{hosts[host_name]['domain']}{config.get('path') or '/'}"


url = pulumi.Output.all(stack.require_output("clients"), stack.require_output("hosts")).apply(url_of)
cluster = k8s.Provider("client", kubeconfig=config.get("kubeconfig"), context=config.get("context"))
in_cluster = pulumi.ResourceOptions(provider=cluster)
home = k8s.core.v1.Namespace(
    "caller", metadata={"name": namespace, "labels": {"istio-injection": "enabled"}}, opts=in_cluster
)
metadata: k8s.meta.v1.ObjectMetaArgsDict = {"name": ACCOUNT, "namespace": home.metadata.name}
account = k8s.core.v1.ServiceAccount("caller", metadata=metadata, opts=in_cluster)
k8s.apps.v1.Deployment(
    "caller",
    metadata=metadata,
    spec={
        "selector": {"match_labels": {"app": ACCOUNT}},
        "template": {
            "metadata": {"labels": {"app": ACCOUNT}},
            "spec": {
                "service_account_name": account.metadata.name,
                "automount_service_account_token": False,
                "termination_grace_period_seconds": 0,  # sleep ignores the signal to terminate
                "security_context": {
                    "run_as_non_root": True,
                    "run_as_user": 65532,
                    "seccomp_profile": {"type": "RuntimeDefault"},
                },
                "containers": [
                    {
                        "name": "curl",
                        "image": config.get("image") or "docker.io/curlimages/curl:8.11.1",
                        "command": ["/bin/sleep", "infinity"],
                        "readiness_probe": {
                            "exec": {"command": ["curl", "-fsS", "-o", "/dev/null", url]},
                            "timeout_seconds": 10,
                        },
                        "security_context": {
                            "allow_privilege_escalation": False,
                            "read_only_root_filesystem": True,
                            "capabilities": {"drop": ["ALL"]},
                        },
                    }
                ],
            },
        },
    },
    opts=in_cluster,
)
pulumi.export("url", url)
