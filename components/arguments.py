"""What components check of their arguments, since they would take a mistake for something else."""

from collections.abc import Iterable

import pulumi

_PLATFORMS = ("kyma", "istio")
_IDENTITIES = ("spiffe://", "dns:")


def check_platform(platform: str) -> None:
    """Raise RunError unless there is such a platform."""
    if platform not in _PLATFORMS:
        raise pulumi.RunError(f"platform {platform!r}: use one of {', '.join(_PLATFORMS)}")


def check_identities(admitted: Iterable[str]) -> None:
    """Raise RunError unless each is an identity: of any other text, nobody would be admitted."""
    for identity in admitted:
        if not identity.startswith(_IDENTITIES):
            raise pulumi.RunError(f"admitted {identity!r}: use spiffe://TRUSTDOMAIN/PATH or dns:NAME")
