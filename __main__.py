"""The stack: trust between two clusters, what serves in one and what calls out in the other."""

import sys

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random

import clusters
import gateway
from clusters import gateway_hooks, gateway_site
from components import egress_client, mtls_target
from components.certificates import AuthorityArgs, Certificates, CertificatesArgs
from components.egress_client import EgressClient, EgressClientArgs
from components.kubernetes import OWNER, Ownership
from components.mtls_target import MtlsTarget, MtlsTargetArgs
from settings import ConfigError, Settings

# The exit code by which a program tells the engine that its error has been shown.
_USER_WAS_TOLD = 32

try:
    settings = Settings.from_config(pulumi.runtime.get_config_env(), pulumi.runtime.is_config_secret)
    target_cluster, client_cluster = clusters.check(settings)
    if settings.namespace:
        remedy = "choose another namespace, or leave it empty for names of the stack's own"
        for cluster, claims in ((target_cluster, mtls_target.claims), (client_cluster, egress_client.claims)):
            cluster.check_claims(claims(settings.namespace), OWNER, "namespace", remedy)
    site = gateway_site.find(settings, target_cluster)
except ConfigError as error:
    pulumi.log.error(f"stack {pulumi.get_stack()} cannot be planned:\n{error}")
    sys.exit(_USER_WAS_TOLD)


def provider(cluster: clusters.Cluster) -> k8s.Provider:
    """A provider for one cluster, which updates its Secrets in place and is replaced only with the cluster itself."""
    return k8s.Provider(
        cluster.access.side,
        kubeconfig=cluster.access.path,
        context=cluster.access.context or None,
        cluster_identifier=cluster.uid,
        enable_secret_mutable=True,
    )


owner = random.RandomId("owner", byte_length=8).hex
ownership = Ownership("", owner)
namespace: pulumi.Input[str] = settings.namespace
if not settings.namespace:
    suffix = pulumi.Output.concat("-", random.RandomString("suffix", length=5, special=False, upper=False).result)
    ownership = Ownership(suffix, owner)
    namespace = pulumi.Output.concat("kyma-mtls", suffix)

authority = AuthorityArgs(
    key_algorithm=settings.key_algorithm,
    validity_hours=settings.validity_days * 24,
    ca_validity_hours=settings.ca_validity_days * 24,
    early_renewal_hours=settings.renew_before_days * 24,
    generation=settings.generation,
)
target_options = pulumi.ResourceOptions(provider=provider(target_cluster))
certificates = Certificates("certificates", CertificatesArgs(settings.domain, settings.client_domain, authority))
target = MtlsTarget(
    "target",
    MtlsTargetArgs(
        platform=settings.platform,
        domain=settings.domain,
        namespace=namespace,
        ownership=ownership,
        image=settings.target_image,
        server=certificates.server,
        ca_certificate=certificates.ca.certificate,
    ),
    target_options,
)
client = EgressClient(
    "client",
    EgressClientArgs(
        platform=settings.platform,
        domain=settings.domain,
        namespace=namespace,
        ownership=ownership,
        image=settings.client_image,
        client=certificates.client,
        ca_certificate=certificates.ca.certificate,
        network_policy=settings.network_policy,
    ),
    pulumi.ResourceOptions(provider=provider(client_cluster)),
)

hooks = gateway_hooks.register(target_cluster)
if site:
    pulumi.export("gateway", gateway.deploy(settings.gateway, site, target, authority, owner, hooks, target_options))
pulumi.export("domain", settings.domain)
pulumi.export("clientSubject", certificates.client.subject)
pulumi.export("caCertificate", certificates.ca.certificate)
pulumi.export("expiry", {role: getattr(certificates, role).expiry for role in ("ca", "server", "client")})
pulumi.export(
    "target",
    {"namespace": target.namespace, "secret": target.secret, "gateway": target.gateway, "address": target.address},
)
pulumi.export("client", {"namespace": client.namespace, "secret": client.secret})
