"""Connections to clusters, and the requests to their API servers."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import urllib3
from kubernetes import client, config

from clusters import exec_plugin, impersonation, kubeconfig
from components.namespaced_name import NamespacedName
from settings import PROJECT, ClusterAccess, ConfigError

_TIMEOUT_SECONDS = 10
_PAUSE_SECONDS = 1.0
_CONNECTIONS = 32  # kept open, for checks in parallel
_PASSING = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_METADATA_ONLY, _METADATA_LIST = (
    f"application/json;as=PartialObjectMetadata{kind};g=meta.k8s.io;v=v1,application/json" for kind in ("", "List")
)


class Refused(ConfigError):  # noqa: N818 - an answer of the cluster
    """The cluster's user may not make this request."""


@dataclass(frozen=True)
class Cluster:
    """A connection to a cluster. Every request raises ConfigError if the cluster does not answer.

    access: the config keys that chose it
    kubeconfig: JSON of the one context that leads to it
    """

    access: ClusterAccess
    api: client.ApiClient
    kubeconfig: str = field(default="", repr=False)

    @cached_property
    def uid(self) -> str:
        """The uid of its namespace kube-system, which no two clusters share."""
        found = self.read("/api/v1/namespaces/kube-system")
        try:
            return str(found["metadata"]["uid"])
        except (TypeError, KeyError):
            raise self.problem("is no Kubernetes API server: it has no namespace kube-system") from None

    @property
    def host(self) -> str:
        """The URL of its API server."""
        return str(self.api.configuration.host)

    def problem(self, message: str, key: str = "") -> ConfigError:
        """Return a ConfigError about this cluster, naming a config key: by default the one that chose the cluster."""
        return ConfigError(f"{PROJECT}:{key or self.access.key}: cluster {self.host} {message}")

    def read(self, path: str, accept: str = "application/json") -> Any:
        """Return the object or list at this path; None if there is none."""
        return self._request("GET", path, {"Accept": accept})

    def patch(self, path: str, change: Mapping[str, Any]) -> Any:
        """Merge a change into the object at this path; return the result, None if there is no such object."""
        return self._request("PATCH", path, {"Content-Type": "application/merge-patch+json"}, change)

    def create(self, path: str, body: Mapping[str, Any]) -> Any:
        """Post an object to this path; return the answer, None if the API server has no such path."""
        return self._request("POST", path, {"Content-Type": "application/json"}, body)

    def delete(self, path: str, uid: str) -> Any:
        """Delete the object at this path if it has this uid."""
        return self._request("DELETE", path, {"Content-Type": "application/json"}, {"preconditions": {"uid": uid}})

    def metadata(self, api_version: str, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        """Return the metadata of an object; None if the cluster has no such object, or no such kind."""
        path = self.path(api_version, kind, namespace, name)
        found = self.read(path, _METADATA_ONLY) if path else None
        if found is None:
            return None
        if not isinstance(found.get("metadata"), dict):
            raise self.problem(f"answers {path} without metadata")
        return dict(found["metadata"])

    def labelled(self, api_version: str, kind: str, labels: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return the metadata of the objects of a kind with these labels; none if the cluster has no such kind."""
        path = self._list_path(api_version, kind)
        return [dict(item["metadata"]) for item in self.items(path, labels, _METADATA_LIST)] if path else []

    def listed(
        self, api_version: str, kind: str, labels: Mapping[str, str], namespace: str = ""
    ) -> dict[tuple[str, str], dict[str, Any]] | None:
        """Return the objects of a kind with these labels, by namespace and name; None if the user may not list them.

        namespace: where; everywhere by default
        """
        path = self._list_path(api_version, kind, namespace)
        try:
            items = self.items(path, labels) if path else []
        except Refused:
            return None
        return {(each["metadata"].get("namespace", ""), each["metadata"]["name"]): each for each in items}

    def items(
        self, path: str, labels: Mapping[str, str] | None = None, accept: str = "application/json"
    ) -> list[dict[str, Any]]:
        """Return the objects with these labels of the list at this path; none if the cluster has no such kind."""
        selector = ",".join(f"{name}={value}" for name, value in (labels or {}).items())
        query = f"?{urlencode({'labelSelector': selector})}" if selector else ""
        return list((self.read(f"{path}{query}", accept) or {}).get("items") or [])

    def find(self, api_version: str, kind: str, namespace: str, name: str) -> Any:
        """Return an object; None if the cluster has no such object, or no such kind."""
        path = self.path(api_version, kind, namespace, name)
        return self.read(path) if path else None

    def service(self, named: NamespacedName) -> Any:
        """Return a Service; None if the cluster has no such Service."""
        return self.read(f"/api/v1/namespaces/{named.namespace}/services/{named.name}")

    def path(self, api_version: str, kind: str, namespace: str, name: str) -> str | None:
        """Return the path of an object; None if the cluster has no such kind."""
        resource = self._kinds(api_version).get(kind)
        if not resource:
            return None
        scope = f"/namespaces/{namespace}" if resource["namespaced"] else ""
        return f"{_root(api_version)}{scope}/{resource['name']}/{name}"

    def _list_path(self, api_version: str, kind: str, namespace: str = "") -> str | None:
        """Return the path of a kind's objects, by default in all namespaces; None if the cluster has no such kind."""
        resource = self._kinds(api_version).get(kind)
        scope = f"/namespaces/{namespace}" if namespace else ""
        return f"{_root(api_version)}{scope}/{resource['name']}" if resource else None

    def check_apis(self, *needed: tuple[str, str]) -> None:
        """Raise ConfigError unless it serves each API, GROUP or GROUP/VERSION.

        The second text of each is the problem if it does not.
        """
        groups = (self.read("/apis") or {}).get("groups") or []
        versions = {version["groupVersion"] for group in groups for version in group.get("versions") or []}
        served = versions | {group["name"] for group in groups}
        for api, lack in needed:
            if api not in served:
                raise self.problem(lack)

    @cached_property
    def _known(self) -> dict[str, dict[str, Any]]:
        return {}

    def _kinds(self, api_version: str) -> dict[str, Any]:
        if api_version not in self._known:
            listed = (self.read(_root(api_version)) or {}).get("resources", [])
            kinds = {item["kind"]: item for item in listed if "/" not in item["name"]}
            self._known[api_version] = kinds
        return self._known[api_version]

    def _request(self, method: str, path: str, headers: Mapping[str, str], body: object = None) -> Any:
        request = self.api.param_serialize(
            method, path, header_params=dict(headers), body=body, auth_settings=["BearerToken"]
        )
        try:
            response, content = self._answer(request, again=method == "GET")
        except (client.ApiException, urllib3.exceptions.HTTPError, OSError) as error:
            raise self.problem(f"does not answer: {_brief(error)}") from None
        except ValueError:  # whose text is the token
            raise self.problem("cannot be reached: the token has characters that HTTP headers exclude") from None
        if response.status == HTTPStatus.NOT_FOUND:
            return None
        if response.status not in (HTTPStatus.OK, HTTPStatus.CREATED):
            remedy = "; renew the credentials of its kubeconfig" if response.status == HTTPStatus.UNAUTHORIZED else ""
            problem = self.problem(f"refuses {method} {path}: {response.status} {response.reason}{remedy}")
            raise Refused(str(problem)) if response.status == HTTPStatus.FORBIDDEN else problem
        return self._parsed(content, path)

    def _answer(self, request: Sequence[Any], *, again: bool) -> tuple[client.rest.RESTResponse, bytes]:
        """Return the answer.

        again: whether to send the request once more after a failure that passes by itself
        """
        method, url, headers, body, form = request
        try:
            response = self.api.call_api(method, url, headers, body, form, _TIMEOUT_SECONDS)
            content = response.read()
        except (urllib3.exceptions.HTTPError, OSError):
            if not again:
                raise
        else:
            if not again or response.status not in _PASSING:
                return response, content
        time.sleep(_PAUSE_SECONDS)
        return self._answer(request, again=False)

    def _parsed(self, content: bytes, path: str) -> dict[str, Any]:
        try:
            parsed = json.loads(content)
        except ValueError:
            parsed = None
        if not isinstance(parsed, dict):
            raise self.problem(f"answers {path} without a JSON object")
        return parsed


def connect(access: ClusterAccess) -> Cluster:
    """Connect to a cluster; raise ConfigError if its kubeconfig or context is unusable, or if it does not answer."""
    content = kubeconfig.load(access)
    settings = client.Configuration()
    settings.retries = False
    settings.connection_pool_maxsize = _CONNECTIONS
    try:
        plugin = exec_plugin.find(access, content)
        named = content["users"][0]["name"]
        usable = content | {"users": [{"name": named, "user": plugin.user()}]} if plugin else content
        config.load_kube_config_from_dict(usable, None, settings, persist_config=False)
        _keep_token(settings, plugin)
        api = impersonation.api(access, settings, content["users"][0]["user"])
        cluster = Cluster(access, api, json.dumps(content, sort_keys=True))
        _ = _answered(cluster)
    except ConfigError:
        raise
    except Exception as error:  # the library raises any type for malformed credentials
        raise ConfigError(f"{PROJECT}:{access.key}: not a usable kubeconfig: {_brief(error)}") from None
    return cluster


def _answered(cluster: Cluster) -> str:
    """Return the cluster's uid, by the first request: does it answer?"""
    try:
        return cluster.uid
    except ConfigError as error:
        path = cluster.access.path
        if not path.startswith("clients."):
            raise
        goes_on = f"`pulumi config set --path {path}.away true` goes on without this cluster"
        raise ConfigError(f"{error}; {goes_on}") from None


def _keep_token(settings: client.Configuration, plugin: exec_plugin.ExecPlugin | None) -> None:
    """Strip the newline that token files end with, as kubectl does; ask the plugin again when its token has expired."""
    load = settings.refresh_api_key_hook

    def refresh(configuration: client.Configuration) -> None:
        if load:
            load(configuration)
        if token := plugin and plugin.token():
            configuration.api_key["BearerToken"] = f"Bearer {token}"
        configuration.api_key = {name: token.strip() for name, token in configuration.api_key.items()}

    settings.refresh_api_key_hook = refresh  # type: ignore[assignment]


def _root(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def _brief(error: Exception) -> str:
    if isinstance(error, client.ApiException):
        return f"{error.status or ''} {error.reason}".split("\n")[-1].strip()
    if isinstance(error, urllib3.exceptions.HTTPError):
        return str(error).rpartition(": ")[2] or type(error).__name__
    return str(error).splitlines()[0] if str(error) else type(error).__name__
