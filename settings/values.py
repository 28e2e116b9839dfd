"""Types and checks of values that several config keys share."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from components.rules import LABEL, host_name, label

_COMMON_NAME_LENGTH = 64
_DOMAIN_LENGTH = 253
_NAME_LENGTH = 30
_LONGEST_SHOWN = 100
_SERVICE = rf"{LABEL}/{LABEL}"


def _domain(value: str) -> str:
    if len(value) > _DOMAIN_LENGTH:
        raise ValueError(f"longer than {_DOMAIN_LENGTH} characters, the most of a domain name")
    return host_name(value)


def common_name(value: str) -> str:
    """Return a domain that a certificate is made for; raise ValueError if it is too long for that."""
    if len(value) > _COMMON_NAME_LENGTH:
        raise ValueError(
            f"longer than {_COMMON_NAME_LENGTH} characters, the most that a certificate's common name holds"
        )
    return value


def _optional_domain(value: str) -> str:
    return common_name(_domain(value)) if value else value


def _name(value: str) -> str:
    if len(value) > _NAME_LENGTH or not re.fullmatch(LABEL, value):
        raise ValueError(f"not a name: at most {_NAME_LENGTH} lower-case letters, digits and hyphens")
    return value


def _not_a_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("not a number")  # noqa: TRY004 - pydantic takes a TypeError for a fault of the program
    return value


def _service(value: str) -> str:
    if not re.fullmatch(_SERVICE, value):
        raise ValueError("not a Service: NAMESPACE/NAME")
    return value


def _optional_service(value: str) -> str:
    return _service(value) if value else value


def _optional_label(value: str) -> str:
    return label(value) if value else value


def _pattern(pattern: str, longest: int) -> object:
    return Field(json_schema_extra={"pattern": f"^{pattern}$", "maxLength": longest})


# For editors: `pulumi config set --path` writes a value of digits only as a number.
TEXT_OR_NUMBER = Field(json_schema_extra={"type": ["string", "integer"]})


Domain = Annotated[str, AfterValidator(_domain), _pattern(rf"({LABEL}\.)+{LABEL}", _DOMAIN_LENGTH)]
OptionalDomain = Annotated[
    str, AfterValidator(_optional_domain), _pattern(rf"(({LABEL}\.)+{LABEL})?", _COMMON_NAME_LENGTH)
]
Label = Annotated[str, AfterValidator(label), _pattern(LABEL, 63), TEXT_OR_NUMBER]
OptionalLabel = Annotated[str, AfterValidator(_optional_label), _pattern(rf"({LABEL})?", 63), TEXT_OR_NUMBER]
ServiceName = Annotated[str, AfterValidator(_service), _pattern(_SERVICE, 127)]
OptionalServiceName = Annotated[str, AfterValidator(_optional_service), _pattern(rf"({_SERVICE})?", 127)]
Name = Annotated[str, AfterValidator(_name), _pattern(LABEL, _NAME_LENGTH)]
Days = Annotated[int, Field(ge=1, le=36500)]
Port = Annotated[int, Field(ge=1, le=65535), BeforeValidator(_not_a_boolean)]


def listed(value: str) -> tuple[str, ...]:
    """Return the names of a comma-separated list."""
    return tuple(name.strip() for name in value.split(",")) if value else ()


def each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names; raise ValueError if one of them is listed twice."""
    doubled = {name for name in names if names.count(name) > 1}
    if doubled:
        raise ValueError(f"{', '.join(sorted(doubled))} is listed more than once")
    return names


def may_be_shown(text: str) -> bool:
    """Return whether a text is too short for a private key, and no PEM."""
    return len(text) <= _LONGEST_SHOWN and "-----" not in text


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like this one; None if no name is like it."""
    return next(iter(get_close_matches(name, list(known), n=1, cutoff=0.75)), None)


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return a hint for an unknown name: the known name that is most like it, or all known names."""
    known = sorted(known)
    near = nearest(name, known)
    return f"did you mean {near}?" if near else f"known are {', '.join(known)}" if known else "there are none"


def refuse(*problems: tuple[str, str]) -> None:
    """Fail pydantic's validation of a section with these problems, if there are any.

    Each is a config path, relative to the section, and a message.
    """
    if problems:
        raise PydanticCustomError("conflict", "values that do not agree", {"problems": problems})
