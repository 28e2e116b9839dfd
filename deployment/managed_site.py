"""Sites that the stack deploys into, and drift: objects and fields that their clusters no longer have."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from inspect import signature
from typing import Any, Self

import pulumi
import pulumi_kubernetes as k8s

from clusters import Cluster, Site
from clusters.facts import ClusterFacts
from components.lifecycle import Lifecycle
from components.placement import Placement
from components.readiness import Ready
from proxies.confirmation import Confirmation
from settings import ConfigError

_REMEDY = (
    "`pulumi up --refresh` makes deleted objects anew, and sets changed fields again, once what was added is removed; "
    "before a destroy, `pulumi refresh` removes deleted objects from the state"
)


@dataclass(frozen=True)
class ManagedSite:
    """A site with the provider that deploys into its cluster, and the rule for the life of its objects.

    confirmation: asks the site's gateway what it has
    """

    site: Site
    provider: k8s.Provider
    lifecycle: Lifecycle
    confirmation: Confirmation

    @classmethod
    def create(cls, site: Site, owner: pulumi.Input[str], placement: Placement) -> Self:
        """Register the provider, which is configured once the placement is recorded."""
        cluster = site.cluster
        # Another cluster gets another provider: the old one stays until its objects are deleted.
        provider = k8s.Provider(
            f"{site.path}-{cluster.uid}",
            kubeconfig=placement.secret(cluster.kubeconfig),
            cluster_identifier=cluster.uid,
            enable_secret_mutable=True,
            enable_config_map_mutable=True,
            **_creation(),
        )
        manifest = f"rbac/{'client' if site.client else 'target'}.yaml"
        confirmation = Confirmation(cluster, site.facts.gateway, manifest)
        return cls(site, provider, Lifecycle(site.path, owner, cluster), confirmation)

    @property
    def client(self) -> str:
        """Name of the client whose cluster it is; empty for the target."""
        return self.site.client

    @property
    def cluster(self) -> Cluster:
        """The connection to its cluster."""
        return self.site.cluster

    @property
    def facts(self) -> ClusterFacts:
        """What the checks read from its cluster."""
        return self.site.facts

    def options(self, key: str = "namespace", *, to_be_released: Collection[str] = ()) -> pulumi.ResourceOptions:
        """Return options for a component, which deploy all of its objects into the cluster, under the lifecycle's rule.

        key: config key that decides the names of the objects
        to_be_released: objects, each KIND NAMESPACE/NAME, that Kyma's operator releases before the stack makes its own
        """
        rule = self.lifecycle.options(key, to_be_released=to_be_released)
        return pulumi.ResourceOptions.merge(rule, pulumi.ResourceOptions(provider=self.provider))

    def confirm(
        self,
        name: str,
        called: str,
        component: pulumi.Resource,
        parent: pulumi.Resource,
        credential: pulumi.Resource | None = None,
    ) -> None:
        """Let `pulumi up` end only once each replica of the site's gateway has the objects of a component.

        name: of the resource that waits, without its ending
        called: what messages call the objects
        parent: of that resource, and of the component
        credential: a further component, of whose objects the Secrets are waited for, too; none by default
        """
        opts = pulumi.ResourceOptions(parent=parent, depends_on=[component])
        if objects := self.lifecycle.made_by(component):
            further = self.lifecycle.made_by(credential) if credential else []
            objects += [each for each in further if isinstance(each, k8s.core.v1.Secret)]
            Ready(f"{name}-gateway", objects, self.confirmation.judge, opts, called=called)


def _creation() -> dict[str, Any]:
    """Return the provider's arguments by which it creates objects by server-side apply.

    From 4.29 on, it does so only with this argument (https://github.com/pulumi/pulumi-kubernetes/issues/2926). Without
    it, the provider could not create again the objects that a killed update left (AlreadyExists), and they would have a
    second field manager. The lifecycle refuses all further objects that exist.
    """
    name = "upsert_existing_objects"
    return {name: True} if name in signature(k8s.ProviderArgs).parameters else {}


async def find_drift(lifecycles: Iterable[Lifecycle]) -> list[str]:
    """Return a line for each object, or field, that the state has and a cluster lacks; the last line has the remedy.

    A cluster that does not answer has a line that says so; these lines come first.
    """
    missing: list[str] = []
    unanswered: list[str] = []
    for lifecycle in lifecycles:
        try:
            missing += await lifecycle.drift()
        except ConfigError as error:
            unanswered.append(str(error))
    return [*unanswered, *missing, *([_REMEDY] if missing else [])]
