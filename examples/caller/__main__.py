"""A workload that calls a host of a kyma-mtls stack through the egress gateway of its cluster.

It calls by plain HTTP; the egress gateway calls the host by mutual TLS. The stack must declare it as a caller:

    pulumi config set --path 'clients.CLIENT.callers[0]' NAMESPACE/caller

The namespace exists already, with injection of sidecars. The workload's Pod is ready while the host answers 2xx:
`pulumi up` fails if the host cannot be reached.
"""

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

ACCOUNT = "caller"
# Without it, Kyma's NetworkPolicies of the egress gateway, if they are enabled, keep the workload out.
LABELS = {"app": ACCOUNT, "networking.kyma-project.io/to-egressgateway": "allowed"}
# A redirect is no answer of the host: where a request leaves in clear, many servers answer 301.
IS_ANSWERED = """case "$(curl -sS -o /dev/null -w '%{http_code}' "$0")" in 2??) ;; *) exit 1 ;; esac"""

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
metadata: k8s.meta.v1.ObjectMetaArgsDict = {"name": ACCOUNT, "namespace": namespace}
account = k8s.core.v1.ServiceAccount("caller", metadata=metadata, opts=in_cluster)
k8s.apps.v1.Deployment(
    "caller",
    metadata=metadata,
    spec={
        "selector": {"match_labels": {"app": ACCOUNT}},
        "template": {
            "metadata": {"labels": LABELS},
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
                            "exec": {"command": ["/bin/sh", "-c", IS_ANSWERED, url]},
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
