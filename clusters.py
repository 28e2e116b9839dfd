"""What must be true of the two clusters before anything is planned for them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import urllib3
from kubernetes import client, config

from settings import PROJECT, ClusterAccess, ConfigError, Platform, Settings

_ISTIO = ("networking.istio.io", "has no Istio; install it (on Kyma: add the Istio module)")
_KYMA_ISTIO = ("operator.kyma-project.io", "has no Kyma Istio module; add it, or set platform to istio")
_API_GATEWAY = ("gateway.kyma-project.io", "has no Kyma API Gateway module; add it, or set platform to istio")
_TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class Cluster:
    """A cluster that answered. `uid` is that of its kube-system namespace, which no two clusters share."""

    access: ClusterAccess
    api: client.ApiClient
    uid: str

    def problem(self, message: str) -> ConfigError:
        """A ConfigError about this cluster, naming the key that chose it."""
        return _problem(self.access, f"cluster {self.api.configuration.host} {message}")


def check(settings: Settings) -> tuple[Cluster, Cluster]:
    """Connect to target and client; raise ConfigError unless they are two, each with what the platform needs."""
    target, caller = connect(settings.target), connect(settings.client)
    if target.uid == caller.uid:
        raise caller.problem("is the target cluster too; mutual TLS needs two")
    if settings.platform == Platform.KYMA:
        check_apis(target, _ISTIO, _API_GATEWAY)
        check_apis(caller, _ISTIO, _KYMA_ISTIO)
    else:
        check_apis(target, _ISTIO)
        check_apis(caller, _ISTIO)
        _check_gateway(caller, "istio-egressgateway")
    _check_gateway(target, "istio-ingressgateway")
    return target, caller


def check_claims(cluster: Cluster, paths: Iterable[str], owner_annotation: str, key: str, remedy: str) -> None:
    """Raise ConfigError if somebody else has made an object that the stack is about to make, and to delete some day.

    Server-side apply would take it over without a word. What bears the annotation is left for it to judge. `key` of the
    config made the stack claim it, and `remedy` is what else there is.
    """
    for path in paths:
        found = read(cluster, path)
        if found and owner_annotation not in found["metadata"].get("annotations", {}):
            raise ConfigError(
                f"{PROJECT}:{key}: cluster {cluster.api.configuration.host} has {path} already, and no stack made it; "
                f"{remedy}"
            )


def read(cluster: Cluster, path: str) -> Any:
    """What the API server has at this path; None if there is nothing."""
    request = cluster.api.param_serialize("GET", path, auth_settings=["BearerToken"])
    response = cluster.api.call_api(*request, _request_timeout=_TIMEOUT_SECONDS)
    found = json.loads(response.read())
    if response.status == HTTPStatus.NOT_FOUND:
        return None
    if response.status != HTTPStatus.OK:
        raise cluster.problem(f"does not let {path} be read: {response.status} {response.reason}")
    return found


def connect(access: ClusterAccess) -> Cluster:
    """Reach a cluster; raise ConfigError for an unusable kubeconfig or context, or a cluster that does not answer."""
    _check_kubeconfig(access)
    settings = client.Configuration()
    settings.retries = False
    try:
        config.load_kube_config(access.path, access.context or None, settings, persist_config=False)
        api = client.ApiClient(settings)
        system: Any = client.CoreV1Api(api).read_namespace("kube-system", _request_timeout=_TIMEOUT_SECONDS)
    except config.ConfigException as error:
        raise _problem(access, str(error)) from None
    except (client.ApiException, urllib3.exceptions.HTTPError, OSError) as error:
        raise _problem(access, f"cluster {settings.host} does not answer: {_brief(error)}") from None
    return Cluster(access, api, system.metadata.uid)


def _check_kubeconfig(access: ClusterAccess) -> None:
    key, source = f"{PROJECT}:{access.side}Kubeconfig", access.kubeconfig or "KUBECONFIG or ~/.kube/config"
    if access.path and not Path(access.path).is_file():
        raise ConfigError(f"{key}: no such file: {access.kubeconfig}")
    try:
        contexts, _ = config.list_kube_config_contexts(access.path)
    except Exception as error:  # the library lets through whatever a malformed file brings about
        raise ConfigError(f"{key}: {source} is not a usable kubeconfig: {_brief(error)}") from None
    names = [context["name"] for context in contexts]
    if access.context and access.context not in names:
        raise ConfigError(
            f"{PROJECT}:{access.side}Context: {source} has no context {access.context!r}; it has {', '.join(names)}"
        )


def check_apis(cluster: Cluster, *needed: tuple[str, str]) -> None:
    """Raise ConfigError unless the cluster serves each API group; the second text says what it means to lack it."""
    served = {group.name for group in client.ApisApi(cluster.api).get_api_versions().groups}
    for group, lack in needed:
        if group not in served:
            raise cluster.problem(lack)


def _check_gateway(cluster: Cluster, service: str) -> None:
    try:
        client.CoreV1Api(cluster.api).read_namespaced_service(service, "istio-system")
    except client.ApiException as error:
        raise cluster.problem(f"has no usable Service {service} in istio-system: {_brief(error)}") from None


def _problem(access: ClusterAccess, message: str) -> ConfigError:
    key = "Context" if access.context else "Kubeconfig"
    return ConfigError(f"{PROJECT}:{access.side}{key}: {message}")


def _brief(error: Exception) -> str:
    if isinstance(error, client.ApiException):
        return f"{error.status or ''} {error.reason}".split("\n")[-1].strip()
    if isinstance(error, urllib3.exceptions.HTTPError):
        return str(error).rpartition(": ")[2] or type(error).__name__
    return str(error).splitlines()[0] if str(error) else type(error).__name__
