"""Checks of the target's Services that hosts lead to: the port, and the sidecars and labels of the Pods behind it.

Where the stack has a route to a Service already, its problems are warnings: they must block neither a `pulumi up`,
which may revoke a client, nor `pulumi destroy --run-program`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from clusters import capture, kyma_istio, pods, service_ports
from clusters.cluster import Cluster
from clusters.concurrency import parallel
from clusters.pods import Pod
from clusters.problems import Problems
from clusters.routes import Route, routes
from clusters.service_ports import Port
from components.namespaced_name import NamespacedName
from components.ownership import Owner
from settings import ConfigError, Platform, Service, Settings


@dataclass(frozen=True)
class _Found:
    """What a cluster has for the Service of a host.

    key: the config key of the Service
    domain: of the host
    service: the object; None if the cluster has no such Service
    pods: that the Service selects
    """

    cluster: Cluster
    key: str
    domain: str
    wanted: Service
    service: Any
    pods: Sequence[Pod] = ()

    def __str__(self) -> str:
        return f"Service {NamespacedName(self.wanted.namespace, self.wanted.name)}"

    @property
    def port(self) -> Port | None:
        """The port that the host leads to: of two with its number, that for TCP; None if there is none."""
        ports = [port for port in self.service["spec"].get("ports", ()) if port["port"] == self.wanted.port]
        return min(ports, key=lambda port: port.get("protocol", "TCP") != "TCP", default=None)

    def problem(self, message: str, key: str = "") -> ConfigError:
        """Return a problem of the Service, or of a key below it."""
        return self.cluster.problem(message, f"{self.key}{key}")


def check_services(settings: Settings, cluster: Cluster, owner: Owner) -> tuple[str, ...]:
    """Return the problems of the hosts' Services that the stack has a route to already.

    On platform kyma, further warnings are about the callers that the APIRule of a new host will refuse. Raise
    ConfigError with the problems of Services without a route. A demo host has no Service to check.
    """
    wanted = {name: host for name, host in settings.served.items() if host.service}
    if not wanted:
        return ()
    all_routes = cache(partial(_routes, cluster))
    reads = [partial(_find, cluster, name, host.domain, host.service) for name, host in wanted.items() if host.service]
    judge = _Judge(owner, all_routes)
    if settings.platform == Platform.KYMA:
        calls: list[Callable[[], Any]] = [partial(kyma_istio.find, cluster), all_routes, *reads]
        module, _, *found = parallel(calls)
        judge = _KymaJudge(owner, all_routes, kyma_istio.has_network_policies(module))
    else:
        found = parallel(reads)
    problems, warnings = Problems(), list[str]()
    for each in found:
        with problems:
            warnings += judge.warnings(each)
    problems.raise_any()
    return tuple(warnings)


@dataclass(frozen=True)
class _Judge:
    """Judges Services on platform istio.

    routes: returns all routes of the cluster
    """

    owner: Owner
    routes: Callable[[], Sequence[Route]]

    def warnings(self, found: _Found) -> list[str]:
        """Return the problems of a Service; raise ConfigError with them unless the stack has a route to it."""
        problems = [str(problem) for problem in self.problems(found)]
        if problems and not self.is_routed(found):
            raise ConfigError(*problems)
        return problems

    def is_routed(self, found: _Found) -> bool:
        """Return whether the stack has a route from the host's domain to the Service."""
        return self.owner.mark is not None and any(
            self.owner.owns(route.metadata) and found.domain in route.hosts and _leads_to(route, found.wanted)
            for route in self.routes()
        )

    def problems(self, found: _Found) -> Iterator[ConfigError]:
        """Yield every problem of a Service."""
        if not found.service:
            yield found.problem(f"has no {found}")
            return
        yield from _problems_of_pods(found)
        port = found.port
        if port:
            yield from self.problems_of_port(found, port)
        else:
            ports = [each["port"] for each in found.service["spec"].get("ports", ())]
            listed = ", ".join(map(str, ports)) or "none"
            yield found.problem(f"has no such port in {found}; it has {listed}", ".port")

    def problems_of_port(self, found: _Found, port: Port) -> Iterator[ConfigError]:
        """Yield every problem of the port that the host leads to."""
        protocol = port.get("protocol", "TCP")
        if protocol != "TCP":
            yield found.problem(f"has this port in {found} for {protocol}; a host needs one for TCP", ".port")
        elif service_ports.is_tls(port):
            yield found.problem(
                f"has TLS at this port of {found}, by its name or appProtocol ({service_ports.named(port)}); the "
                "gateway sends HTTP, which the sidecars encrypt: add a port that the server answers by HTTP",
                ".port",
            )
        elif bare := [pod for pod in found.pods if not capture.takes(pod, port)]:
            yield found.problem(
                f"excludes this port of {found} from the sidecars of Pods {pods.listed(bare)}, so that its requests "
                "would be plain text, of anybody; remove their annotations traffic.sidecar.istio.io/*InboundPorts and "
                "sidecar.istio.io/interceptionMode",
                ".port",
            )


@dataclass(frozen=True)
class _KymaJudge(_Judge):
    """Judges Services on platform kyma, where the route is an APIRule.

    has_network_policies: whether Kyma's Istio module makes NetworkPolicies for its gateways
    """

    has_network_policies: bool

    def warnings(self, found: _Found) -> list[str]:
        """Return the problems of a Service, and a warning about the callers within the cluster of a new host's."""
        problems = super().warnings(found)
        if not self.is_routed(found):
            refused = found.problem(
                f"will answer 403 to requests of its own Pods for {found}: the policy of the host's APIRule admits the "
                "ingress gateway only; admit them by an AuthorizationPolicy of yours for the same Pods"
            )
            problems.append(str(refused))
        return problems

    def problems(self, found: _Found) -> Iterator[ConfigError]:
        """Yield every problem of a Service, labels that its Pods lack included."""
        yield from super().problems(found)
        bare = [pod for pod in found.pods if pods.label(pod, kyma_istio.FROM_INGRESS_GATEWAY) != kyma_istio.ALLOWED]
        if self.has_network_policies and bare:
            yield found.problem(
                f"lets the ingress gateway reach Pods by label only (networkPoliciesEnabled of the Istio CR), which "
                f"Pods behind {found} lack: {pods.listed(bare)}; label them {kyma_istio.FROM_INGRESS_GATEWAY}: "
                f"{kyma_istio.ALLOWED}"
            )

    def problems_of_port(self, found: _Found, port: Port) -> Iterator[ConfigError]:
        """Yield every problem of the port; its protocol has to be known."""
        problems = list(super().problems_of_port(found, port))
        yield from problems
        if not problems and not service_ports.is_http(port):
            # The rules of the APIRule's policy are for HTTP; on a TCP port, Istio denies by them.
            yield found.problem(
                f"does not declare HTTP for this port of {found}, so that the policy of the host's APIRule would "
                "refuse every request; name the port http, or set its appProtocol to http",
                ".port",
            )


def _find(cluster: Cluster, name: str, domain: str, wanted: Service) -> _Found:
    service = cluster.service(NamespacedName(wanted.namespace, wanted.name))
    selector = service["spec"].get("selector") if service else None
    behind = pods.running(cluster, wanted.namespace, selector) if selector else []
    return _Found(cluster, f"hosts.{name}.service", domain, wanted, service, behind)


def _routes(cluster: Cluster) -> list[Route]:
    return [*routes(cluster, "APIRule"), *routes(cluster, "VirtualService")]


def _leads_to(route: Route, wanted: Service) -> bool:
    if route.kind == "APIRule":
        named = {"name": wanted.name, "namespace": wanted.namespace, "port": wanted.port}
        return bool(route.spec.get("service") == named)
    host, port = f"{wanted.name}.{wanted.namespace}.svc.cluster.local", {"number": wanted.port}
    led = [each.get("destination") for http in route.spec.get("http", ()) for each in http.get("route", ())]
    return {"host": host, "port": port} in led


def _problems_of_pods(found: _Found) -> Iterator[ConfigError]:
    spec = found.service["spec"]
    if spec.get("type") == "ExternalName":
        yield found.problem(f"has {found} of type ExternalName, which leads out of the cluster")
    elif not spec.get("selector"):
        yield found.problem(f"has no Pods behind {found}, which has no selector")
    elif bare := [pod for pod in found.pods if not pods.has_sidecar(pod)]:
        # Without sidecars, the gateway's requests travel in plain text, and no policy refuses those of other clients.
        yield found.problem(
            f"has no sidecars in Pods behind {found}: {pods.listed(bare)}; label their namespace for injection, and "
            "restart them"
        )
