"""Resources for policies to judge, and the problems that a policy finds in them."""

from base64 import b64encode
from typing import Any

from policies.mtls_policies.policy import Resource, ResourcePolicy, StackPolicy
from tests.unit.pki import issue

KEY = issue("a holder").key_pem
CERTIFICATE = issue("a holder").pem
ISTIO = "kubernetes:networking.istio.io/v1"


def resource(kind: str, name: str = "it", provider: str = "cluster", **properties: Any) -> Resource:
    """Return a resource of this type, with these properties."""
    return Resource(kind, f"urn::{name}", properties, provider)


def defaults(policy: ResourcePolicy | StackPolicy) -> dict[str, Any]:
    """Return the config as the engine completes it."""
    return {name: setting["default"] for name, setting in policy.config.items()}


def problems(policy: ResourcePolicy, judged: Resource, **config: Any) -> list[str]:
    """Return the violations of a policy by a resource; `config` overrides the defaults."""
    return list(policy.judge(judged, defaults(policy) | config))


def stack_problems(policy: StackPolicy, *judged: Resource) -> list[tuple[str, str]]:
    """Return the violations of a stack policy by resources, each with its URN."""
    return list(policy.judge(judged, defaults(policy)))


def in_base64(text: str) -> str:
    """Return a text in Base64."""
    return b64encode(text.encode()).decode()
