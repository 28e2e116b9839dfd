"""What the values of several config keys have in common."""

import re
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"

_COMMON_NAME_LENGTH = 64


class KeyAlgorithm(StrEnum):
    """Algorithm and size of a private key."""

    ECDSA_P256 = "ECDSA-P256"
    ECDSA_P384 = "ECDSA-P384"
    RSA_2048 = "RSA-2048"
    RSA_3072 = "RSA-3072"
    RSA_4096 = "RSA-4096"


def host_name(value: str) -> str:
    """Raise ValueError unless it is a lower-case DNS name of two labels or more; give it back."""
    if not re.fullmatch(rf"({LABEL}\.)+{LABEL}", value):
        raise ValueError("not a domain name: at least two labels of lower-case letters, digits and hyphens")
    return value


def _domain(value: str) -> str:
    host_name(value)
    if len(value) > _COMMON_NAME_LENGTH:
        raise ValueError(
            f"longer than {_COMMON_NAME_LENGTH} characters, the most that a certificate's common name holds"
        )
    return value


Domain = Annotated[str, AfterValidator(_domain)]
Days = Annotated[int, Field(ge=1, le=36500)]


def listed(value: str) -> tuple[str, ...]:
    """The names of a comma-separated list."""
    return tuple(name.strip() for name in value.split(",")) if value else ()


def each_once(value: str) -> str:
    """Raise ValueError for a comma-separated list in which a name stands twice; give it back."""
    doubled = {name for name in listed(value) if listed(value).count(name) > 1}
    if doubled:
        raise ValueError(f"{', '.join(sorted(doubled))} stands there more than once")
    return value


def refuse(*problems: tuple[str, str]) -> None:
    """Fail the validation of a model with these problems, if there are any: config keys and what is wrong with them."""
    if problems:
        raise PydanticCustomError("conflict", "keys that do not agree", {"problems": problems})
