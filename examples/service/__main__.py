"""A service behind the Kyma gateway of a kyma-mtls stack, at hello.DOMAIN.

The namespace exists already, with injection of sidecars. The gateway has a certificate for `*.DOMAIN`; clients trust
the CA in output `caCertificate`. On platform kyma, use an APIRule instead of the VirtualService, with the same
`gateway`, NAMESPACE/NAME.
"""

import pulumi
import pulumi_kubernetes as k8s

NAME = "hello"
# Without it, Kyma's NetworkPolicies of the ingress gateway, if they are enabled, keep the gateway out.
LABELS = {"app": NAME, "networking.kyma-project.io/from-ingressgateway": "allowed"}

config = pulumi.Config()
namespace = config.require("namespace")
gateway = pulumi.StackReference(config.require("stack")).require_output("gateway")  # ORGANIZATION/kyma-mtls/STACK
host = pulumi.Output.concat(NAME, ".", gateway["domain"])

cluster = k8s.Provider("target", kubeconfig=config.get("kubeconfig"), context=config.get("context"))
in_cluster = pulumi.ResourceOptions(provider=cluster)
metadata: k8s.meta.v1.ObjectMetaArgsDict = {"name": NAME, "namespace": namespace}
k8s.apps.v1.Deployment(
    NAME,
    metadata=metadata,
    spec={
        "selector": {"match_labels": {"app": NAME}},
        "template": {
            "metadata": {"labels": LABELS},
            "spec": {
                "automount_service_account_token": False,
                "security_context": {
                    "run_as_non_root": True,
                    "run_as_user": 65532,
                    "seccomp_profile": {"type": "RuntimeDefault"},
                },
                "containers": [
                    {
                        "name": NAME,
                        "image": config.get("image") or "docker.io/mccutchen/go-httpbin:v2.15.0",
                        "ports": [{"container_port": 8080}],
                        "readiness_probe": {"http_get": {"path": "/status/200", "port": 8080}},
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
k8s.core.v1.Service(
    NAME,
    metadata=metadata,
    spec={"selector": {"app": NAME}, "ports": [{"name": "http", "port": 80, "target_port": 8080}]},
    opts=in_cluster,
)
k8s.apiextensions.CustomResource(
    NAME,
    api_version="networking.istio.io/v1",
    kind="VirtualService",
    metadata=metadata,
    spec={
        "hosts": [host],
        "gateways": [gateway["gateway"]],
        "http": [{"route": [{"destination": {"host": NAME, "port": {"number": 80}}}]}],
    },
    opts=in_cluster,
)
pulumi.export("url", pulumi.Output.concat("https://", host, "/headers"))
pulumi.export("caCertificate", gateway["caCertificate"])
