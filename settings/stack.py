"""The config keys of a stack, those of the Kyma gateway aside, and what must be true of them together."""

import re
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from settings.gateway import GatewayMode, GatewaySettings
from settings.values import LABEL, Days, Domain, KeyAlgorithm, refuse

PROJECT = "kyma-mtls"

_SHORTEST_GARDENER_DAYS = 60
_OWNED_BY_OTHERS = re.compile(r"default|istio-system|kyma-system|kube-.*")


class ConfigError(Exception):
    """Problems that the user can put right in the stack's config, one line each, naming the key."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))


class Platform(StrEnum):
    """What runs on both clusters."""

    KYMA = "kyma"
    ISTIO = "istio"


def _namespace(value: str) -> str:
    if value and not re.fullmatch(LABEL, value):
        raise ValueError("not a namespace's name: at most 63 lower-case letters, digits and hyphens")
    if _OWNED_BY_OTHERS.fullmatch(value):
        raise ValueError("belongs to the cluster; the stack makes (and destroys) a namespace of its own")
    return value


class ClusterAccess(BaseModel):
    """How to reach one cluster. `side` (target or client) begins the names of its config keys."""

    model_config = ConfigDict(frozen=True)

    side: str
    kubeconfig: str
    context: str

    @property
    def key(self) -> str:
        """The config key that chose the cluster."""
        return f"{self.side}{'Context' if self.context else 'Kubeconfig'}"

    @property
    def path(self) -> str | None:
        """The kubeconfig's path with ~ expanded; None for KUBECONFIG or ~/.kube/config."""
        return str(Path(self.kubeconfig).expanduser()) if self.kubeconfig else None


class Settings(BaseModel):
    """One field for each config key, in camelCase there; those of the Kyma gateway are in `gateway`."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)

    platform: Platform = Platform.KYMA
    domain: Domain
    client_domain: Domain
    target_kubeconfig: str = ""
    target_context: str = ""
    client_kubeconfig: str = ""
    client_context: str = ""
    namespace: Annotated[str, AfterValidator(_namespace)] = ""
    key_algorithm: KeyAlgorithm = KeyAlgorithm.ECDSA_P256
    ca_validity_days: Days = 1825
    validity_days: Days = 365
    renew_before_days: Days = 30
    generation: Annotated[str, Field(min_length=1)] = "1"
    target_image: Annotated[str, Field(min_length=1)] = "docker.io/mccutchen/go-httpbin:v2.15.0"
    client_image: Annotated[str, Field(min_length=1)] = "docker.io/curlimages/curl:8.11.1"
    network_policy: bool = True
    gateway: GatewaySettings = GatewaySettings()

    @classmethod
    def from_config(cls, config: Mapping[str, str], is_encrypted: Callable[[str], bool] = lambda _: True) -> Self:
        """Read the project's keys (`kyma-mtls:KEY`) from a stack's whole config; raise ConfigError if any is wrong.

        A secret for which `is_encrypted` says no is wrong, too.
        """
        prefix = f"{PROJECT}:"
        values = {key.removeprefix(prefix): value for key, value in config.items() if key.startswith(prefix)}
        bare = [key for key in values if _is_secret(key) and values[key] and not is_encrypted(prefix + key)]
        if bare:
            raise ConfigError(*(f"{prefix}{key}: not encrypted; `pulumi config set --secret {key}`" for key in bare))
        gateway = {key: values.pop(key) for key in tuple(values) if key.startswith("gateway")}
        try:
            return cls.model_validate({**values, "gateway": gateway})
        except ValidationError as error:
            raise ConfigError(*(line for each in error.errors() for line in _problems(each))) from None

    @classmethod
    def keys(cls) -> dict[str, FieldInfo]:
        """Every config key, and the field that it is read into."""
        fields = [field for name, field in cls.model_fields.items() if name != "gateway"]
        return {f"{field.alias}": field for field in (*fields, *GatewaySettings.model_fields.values())}

    @property
    def target(self) -> ClusterAccess:
        """The cluster that serves."""
        return ClusterAccess(side="target", kubeconfig=self.target_kubeconfig, context=self.target_context)

    @property
    def client(self) -> ClusterAccess:
        """The cluster that calls out."""
        return ClusterAccess(side="client", kubeconfig=self.client_kubeconfig, context=self.client_context)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        refuse(*self._conflicts())
        return self

    def _conflicts(self) -> Iterator[tuple[str, str]]:
        if self.client_domain == self.domain:
            yield "clientDomain", "the same as domain: client and server need names of their own"
        validity = self.validity_days
        if self.renew_before_days >= validity:
            yield "renewBeforeDays", f"not less than validityDays ({validity}): every `pulumi up` would renew"
        if validity > self.ca_validity_days:
            yield "validityDays", f"more than caValidityDays ({self.ca_validity_days}): no certificate outlives its CA"
        if self.gateway.mode == GatewayMode.GARDENER and validity < _SHORTEST_GARDENER_DAYS:
            yield (
                "validityDays",
                f"less than {_SHORTEST_GARDENER_DAYS}, the least that Gardener issues certificates for",
            )


def _problems(error: ErrorDetails) -> Iterator[str]:
    if error["type"] == "conflict":
        for key, message in error["ctx"]["problems"]:
            yield f"{PROJECT}:{key}: {message}"
        return
    key, known = str(error["loc"][-1]), Settings.keys()
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        near = get_close_matches(key, known, n=1)
        message = (
            f"unknown key; did you mean {near[0]}?" if near else f"unknown key; known are {', '.join(sorted(known))}"
        )
    elif error["type"] == "missing":
        message = f"not set; `pulumi config set {key} VALUE` sets it"
    elif not _is_secret(key):
        message = f"{error['input']!r}: {message}"
    yield f"{PROJECT}:{key}: {message}"


def _is_secret(key: str) -> bool:
    field = Settings.keys().get(key)
    return field is not None and field.annotation is SecretStr
