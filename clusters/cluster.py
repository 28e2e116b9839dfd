"""A connection to a cluster, and what every stack needs of its two."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
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
    """A connection to a cluster. Whatever it is asked raises ConfigError if the cluster does not answer."""

    access: ClusterAccess
    api: client.ApiClient

    @cached_property
    def uid(self) -> str:
        """That of its kube-system namespace, which no two clusters share."""
        return str(self.read("/api/v1/namespaces/kube-system")["metadata"]["uid"])

    @property
    def host(self) -> str:
        """The URL of its API server."""
        return str(self.api.configuration.host)

    def problem(self, message: str, key: str = "") -> ConfigError:
        """A ConfigError about this cluster, naming `key` of the config; the key that chose the cluster by default."""
        return ConfigError(f"{PROJECT}:{key or self.access.key}: cluster {self.host} {message}")

    def read(self, path: str) -> Any:
        """What the API server has at this path; None if there is nothing."""
        return self._request("GET", path)

    def patch(self, path: str, change: Mapping[str, Any]) -> Any:
        """Merge a change into what is at this path; give what it became, None if there is nothing."""
        return self._request("PATCH", path, change)

    def check_apis(self, *needed: tuple[str, str]) -> None:
        """Raise ConfigError unless it serves each API group; the second text says what it means to lack it."""
        served = {group["name"] for group in self.read("/apis")["groups"]}
        for group, lack in needed:
            if group not in served:
                raise self.problem(lack)

    def check_claims(self, paths: Iterable[str], owner_annotation: str, key: str, remedy: str) -> None:
        """Raise ConfigError if somebody else has made an object that the stack is to make, and to delete some day.

        Server-side apply would take it over without a word. What bears the annotation is left for it to judge. `key` of
        the config made the stack claim it, and `remedy` is what else there is.
        """
        for path in paths:
            found = self.read(path)
            if found and owner_annotation not in found["metadata"].get("annotations", {}):
                raise self.problem(f"has {path} already, and no stack made it; {remedy}", key)

    def _request(self, method: str, path: str, body: object = None) -> Any:
        merge = {"Content-Type": "application/merge-patch+json"} if body else {}
        request = self.api.param_serialize(method, path, header_params=merge, body=body, auth_settings=["BearerToken"])
        try:
            response = self.api.call_api(*request, _request_timeout=_TIMEOUT_SECONDS)
            content = response.read()
        except (client.ApiException, urllib3.exceptions.HTTPError, OSError) as error:
            raise self.problem(f"does not answer: {_brief(error)}") from None
        if response.status == HTTPStatus.NOT_FOUND:
            return None
        if response.status != HTTPStatus.OK:
            raise self.problem(f"refuses {method} {path}: {response.status} {response.reason}")
        return json.loads(content)


def check(settings: Settings) -> tuple[Cluster, Cluster]:
    """Connect to target and client; raise ConfigError unless they are two, each with what the platform needs."""
    target, caller = connect(settings.target), connect(settings.client)
    if target.uid == caller.uid:
        raise caller.problem("is the target cluster too; mutual TLS needs two")
    if settings.platform == Platform.KYMA:
        target.check_apis(_ISTIO, _API_GATEWAY)
        caller.check_apis(_ISTIO, _KYMA_ISTIO)
    else:
        target.check_apis(_ISTIO)
        caller.check_apis(_ISTIO)
        _check_service(caller, "istio-egressgateway")
    _check_service(target, "istio-ingressgateway")
    return target, caller


def connect(access: ClusterAccess) -> Cluster:
    """Reach a cluster; raise ConfigError for an unusable kubeconfig or context, or a cluster that does not answer."""
    _check_kubeconfig(access)
    settings = client.Configuration()
    settings.retries = False
    try:
        config.load_kube_config(access.path, access.context or None, settings, persist_config=False)
    except config.ConfigException as error:
        raise ConfigError(f"{PROJECT}:{access.key}: {error}") from None
    cluster = Cluster(access, client.ApiClient(settings))
    _ = cluster.uid  # whether it answers shows here
    return cluster


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
            f"{PROJECT}:{access.key}: {source} has no context {access.context!r}; it has {', '.join(names)}"
        )


def _check_service(cluster: Cluster, name: str) -> None:
    if not cluster.read(f"/api/v1/namespaces/istio-system/services/{name}"):
        raise cluster.problem(f"has no Service {name} in istio-system")


def _brief(error: Exception) -> str:
    if isinstance(error, client.ApiException):
        return f"{error.status or ''} {error.reason}".split("\n")[-1].strip()
    if isinstance(error, urllib3.exceptions.HTTPError):
        return str(error).rpartition(": ")[2] or type(error).__name__
    return str(error).splitlines()[0] if str(error) else type(error).__name__
