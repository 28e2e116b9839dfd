"""The config keys of a stack, as one object."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, ValidationError, ValidationInfo, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from components.choices import KeyAlgorithm, Platform
from components.rules import LABEL
from settings import agreement, validity
from settings.clients import Client
from settings.clusters import ClusterAccess, TargetCluster
from settings.gateway import GatewaySettings
from settings.hosts import Host
from settings.problems import ConfigError, line, lines
from settings.section import PROJECT, Entry, Reading, Section, is_list, keys, within
from settings.values import TEXT_OR_NUMBER, Days, Name, each_once, nearest, refuse

_OWNED_BY_OTHERS = re.compile(r"default|istio-system|kyma-system|kyma-installer|kube-.*")
_LONGEST_NAMESPACE = 30
_CONFIRMATION = r"[A-Za-z][A-Za-z0-9._-]*=.*"
_BY_NAME = ("clients", "hosts")
# They are judged by each other: if one is wrong, nothing can be said of the rest.
_TOGETHER = (("caValidityDays", "validityDays", "renewBeforeDays"), ("generation", "trustedGenerations"))
_LONGEST_GENERATION = 20
_MOST_TRUSTED = 3


def _namespace(value: str) -> str:
    if value and not re.fullmatch(LABEL, value):
        raise ValueError("not a namespace's name: lower-case letters, digits and hyphens")
    if len(value) > _LONGEST_NAMESPACE:
        raise ValueError(f"longer than {_LONGEST_NAMESPACE} characters: it is part of the names of objects")
    if _OWNED_BY_OTHERS.fullmatch(value):
        raise ValueError("belongs to the cluster; the stack makes (and destroys) a namespace of its own")
    return value


def _confirmation(value: str) -> str:
    if not re.fullmatch(_CONFIRMATION, value):
        raise ValueError("not KEY=VALUE, the changed key and its new value")
    return value


def _generation(value: str) -> str:
    if len(value) > _LONGEST_GENERATION or not re.fullmatch(LABEL, value):
        raise ValueError(f"not a generation: at most {_LONGEST_GENERATION} lower-case letters, digits and hyphens")
    if value.endswith("-cacert"):
        raise ValueError("ends in -cacert, by which Istio knows Secrets that hold a CA")
    return value


def _each_once(value: tuple[str, ...]) -> tuple[str, ...]:
    each_once(value)
    return value


Confirmation = Annotated[str, AfterValidator(_confirmation), Field(json_schema_extra={"pattern": f"^{_CONFIRMATION}$"})]

Generation = Annotated[
    str,
    AfterValidator(_generation),
    Field(json_schema_extra={"pattern": f"^{LABEL}$", "maxLength": _LONGEST_GENERATION}),
    TEXT_OR_NUMBER,
]


class Settings(Section):
    """One field for each config key, in camelCase there; those of the Kyma gateway are in `gateway`."""

    platform: Platform = Field(
        default=Platform.KYMA,
        description="Expects this on all clusters: kyma (APIRule v2, Istio CR) or istio (VirtualService, egress "
        "gateway as installed)",
    )
    namespace: Annotated[str, AfterValidator(_namespace)] = Field(
        default="",
        description="Makes this namespace in every cluster. Empty for kyma-mtls-SUFFIX with a random suffix. It also "
        "ends the names of what the stack puts into the gateways' namespaces, so that several stacks share a cluster",
    )
    target: TargetCluster | None = Field(
        default=None,
        description="Names the cluster that serves the hosts. May be left out if it serves none, and has no Kyma "
        "gateway",
    )
    clients: dict[Name, Client] = Field(
        default={},
        description="Names who calls the hosts: clusters, and clients of partners, by a name of at most 30 "
        "lower-case letters, digits and hyphens",
    )
    hosts: dict[Name, Host] = Field(
        default={},
        description="Names what is called: what the target serves, and hosts of partners, by a name of at most 30 "
        "lower-case letters, digits and hyphens",
    )
    confirm: Annotated[tuple[Confirmation, ...], AfterValidator(_each_once)] = Field(
        default=(),
        description="Confirms changes that interrupt what serves, each KEY=VALUE with the new value, as the preview "
        "asks",
    )
    key_algorithm: KeyAlgorithm = Field(
        default=KeyAlgorithm.ECDSA_P256,
        description="Makes every new private key with this algorithm. Another one re-issues those of hosts and "
        "clients; a CA's stays until `generation` changes",
    )
    ca_validity_days: Days = Field(
        default=1825,
        description="Makes a CA's certificate valid for so many days; more than validityDays and renewBeforeDays "
        "together",
    )
    validity_days: Days = Field(
        default=365,
        description="Makes the certificates of hosts and clients valid for so many days",
    )
    renew_before_days: Days = Field(
        default=30,
        description="Renews a certificate in the first `pulumi up` within so many days of its end, and a CA's so "
        "early that whatever it signs ends before it; less than validityDays",
    )
    generation: Generation = Field(
        default="1",
        description="Names the CA that signs. Any other name re-issues every key and certificate, and ends trust in "
        "the old CA: at most 20 lower-case letters, digits and hyphens",
    )
    trusted_generations: Annotated[tuple[Generation, ...], AfterValidator(_each_once)] = Field(
        default=(),
        max_length=_MOST_TRUSTED,
        description="Trusts the CAs of these generations, too, while certificates move from one to another; three "
        "at most",
    )
    target_image: Annotated[str, Field(min_length=1)] = Field(
        default="docker.io/mccutchen/go-httpbin:v2.15.0",
        description="Runs this image as the demo httpbin, a go-httpbin that listens on 8080",
    )
    client_image: Annotated[str, Field(min_length=1)] = Field(
        default="docker.io/curlimages/curl:8.11.1",
        description="Runs this image as the demo caller; it has curl and sleep",
    )
    gateway: GatewaySettings = GatewaySettings()

    @classmethod
    def from_config(cls, config: Mapping[str, str], is_encrypted: Callable[[str], bool] = lambda _: True) -> Self:
        """Read the project's keys (`kyma-mtls:KEY`) from a stack's whole config; raise ConfigError if any is wrong.

        A secret for which `is_encrypted` says no is wrong, too.
        """
        prefix, reading = f"{PROJECT}:", Reading(is_encrypted)
        texts = {key.removeprefix(prefix): text for key, text in config.items() if key.startswith(prefix)}
        gateway = {key: texts.pop(key) for key in tuple(texts) if key.startswith("gateway")}
        values = {key: _decoded(key, text) for key, text in texts.items()} | {"gateway": gateway}
        try:
            return cls.model_validate(values, context=reading)
        except ValidationError:
            raise ConfigError(*cls._judge(values, reading)) from None

    @classmethod
    def keys(cls) -> dict[str, FieldInfo]:
        """Every top-level config key, and the field that it is read into."""
        own = {key: field for key, field in keys(cls).items() if key != "gateway"}
        return own | dict(keys(GatewaySettings))

    @property
    def served(self) -> dict[str, Host]:
        """The hosts that the target serves."""
        return {name: host for name, host in self.hosts.items() if host.external is None}

    @property
    def own_clients(self) -> dict[str, Client]:
        """The clients with a cluster of the stack."""
        return {name: client for name, client in self.clients.items() if not client.is_partner}

    def admitted(self, host: str) -> tuple[str, ...]:
        """Return the names of the clients that a host admits."""
        named = self.hosts[host].clients
        return tuple(self.clients) if named is None else named

    def hosts_of(self, client: str) -> dict[str, Host]:
        """Return the hosts that admit a client."""
        return {name: host for name, host in self.hosts.items() if client in self.admitted(name)}

    @property
    def target_access(self) -> ClusterAccess | None:
        """How to reach the cluster that serves, if there is one."""
        if self.target is None:
            return None
        return ClusterAccess(path="target", kubeconfig=self.target.kubeconfig, context=self.target.context)

    def client_access(self, name: str) -> ClusterAccess:
        """How to reach the cluster of an own client."""
        client = self.clients[name]
        return ClusterAccess(path=f"clients.{name}", kubeconfig=client.kubeconfig, context=client.context)

    @property
    def warnings(self) -> tuple[str, ...]:
        """A line for each certificate of others that is not or no longer valid."""
        return tuple(line(place, problem) for place, problem in validity.problems(self))

    @model_validator(mode="after")
    def _agree(self, info: ValidationInfo) -> Self:
        refuse(*agreement.conflicts(self, Reading.of(info).refused))
        return self

    @classmethod
    def _judge(cls, values: Mapping[str, Any], reading: Reading) -> Iterator[str]:
        """Tell every problem: what is wrong by itself is left out, to see whether the rest agrees."""
        try:
            cls.model_validate(values, context=reading)
        except ValidationError as error:
            yield from lines(error, cls, cls.keys())
            refused = frozenset(entry for each in error.errors() for entry in _refused(each))
            if refused:
                rest = _without(values, refused)
                yield from cls._judge(rest, replace(reading, refused=reading.refused | refused))


def _decoded(key: str, text: str) -> Any:
    """Return the value of a structured key, which the engine gives as JSON; otherwise, the text."""
    field = Settings.keys().get(key)
    if field is None or not (within(field.annotation) or is_list(field.annotation)):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _refused(error: ErrorDetails) -> Iterator[Entry]:
    """Return the entries of the config that cannot be checked because this one is wrong; none if it is the whole."""
    location = [str(step) for step in error["loc"]]
    if not location:
        return
    yield tuple(location[: 2 if location[0] in _BY_NAME else 1])
    key = location[0]
    if error["type"] == "extra_forbidden" and len(location) == 1:
        key = nearest(key, Settings.keys()) or key
        yield (key,)
    yield from ((each,) for together in _TOGETHER if key in together for each in together)


def _without(values: Mapping[str, Any], refused: frozenset[Entry]) -> dict[str, Any]:
    rest = {key: value for key, value in values.items() if (key,) not in refused}
    for section in _BY_NAME:
        if isinstance(rest.get(section), dict):
            rest[section] = {name: value for name, value in rest[section].items() if (section, name) not in refused}
    return rest
