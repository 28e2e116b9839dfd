"""An API server as the controllers of Kyma's modules use it, and where their objects are."""

import json
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from kubernetes import client, config

API_GATEWAYS = "/apis/operator.kyma-project.io/v1alpha1/apigateways"
API_RULES = "/apis/gateway.kyma-project.io/v2"
ISTIOS = "/apis/operator.kyma-project.io/v1alpha2"
NETWORKING = "/apis/networking.istio.io/v1beta1"
SECURITY = "/apis/security.istio.io/v1beta1"
MODULE_LABEL = "kyma-project.io/module"

Object = dict[str, Any]


@dataclass(frozen=True)
class Api:
    """An API server, as a controller's client uses it: by updates, not by server-side apply."""

    kubeconfig: str

    @cached_property
    def _client(self) -> client.ApiClient:
        settings = client.Configuration()
        config.load_kube_config(self.kubeconfig, client_configuration=settings, persist_config=False)
        return client.ApiClient(settings)

    def get(self, path: str) -> Object | None:
        """Return an object or a list; None if there is none, or no such kind."""
        try:
            return self._request("GET", path)
        except client.ApiException as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def items(self, path: str, labels: dict[str, str] | None = None) -> list[Object]:
        """Return the objects of a list; none if there is no such kind."""
        selector = ",".join(f"{name}={value}" for name, value in (labels or {}).items())
        return list((self.get(f"{path}?{urlencode({'labelSelector': selector})}") or {}).get("items", []))

    def create(self, path: str, item: Object) -> None:
        """Create an object in a list."""
        self._request("POST", f"{path}?fieldManager=manager", item)

    def update(self, path: str, item: Object) -> None:
        """Replace an object, unless it has changed in the meantime."""
        self._request("PUT", f"{path}?fieldManager=manager", item)

    def delete(self, path: str) -> None:
        """Ask for an object's deletion, if there is one, and wait for nothing."""
        if self.get(path):
            self._request("DELETE", path)

    def create_or_update(self, path: str, item: Object) -> None:
        """Set what an object says beside its metadata, and its labels and annotations."""
        place, _, name = path.rpartition("/")
        found = self.get(path)
        if not found:
            self.create(place, {**item, "metadata": {**item["metadata"], "name": name}})
        else:
            self.update(path, {**found, **item, "metadata": {**found["metadata"], **item["metadata"]}})

    def finalize(self, path: str, finalizer: str, *, add: bool) -> None:
        """Put a finalizer on an object, or take it off."""
        item = self.get(path)
        if item:
            others = [each for each in item["metadata"].get("finalizers", []) if each != finalizer]
            item["metadata"]["finalizers"] = [*others, finalizer] if add else others
            self.update(path, item)

    def report(self, path: str, item: Object, state: str, description: str, **status: object) -> None:
        """Set the status of an object, unless somebody changed it since it was read."""
        self.update(f"{path}/status", {**item, "status": {"state": state, "description": description, **status}})

    def report_latest(self, path: str, state: str, description: str, **status: object) -> None:
        """Set the status of an object that may have changed in the meantime, as modules get theirs; APIRules don't."""
        if item := self.get(path):
            self.report(path, item, state, description, **status)

    def _request(self, method: str, path: str, body: object = None) -> Object:
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        request = self._client.param_serialize(
            method, path, header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        response = self._client.call_api(*request, _request_timeout=10)
        content = response.read()
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise client.ApiException(status=response.status, reason=content.decode())
        return dict(json.loads(content))


def path_of(group: str, plural: str, item: Object) -> str:
    """Return the path of an object in the list of its kind."""
    return f"{group}/namespaces/{item['metadata']['namespace']}/{plural}/{item['metadata']['name']}"
