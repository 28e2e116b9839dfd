"""What every structure of a stack's config is: a frozen model that knows no keys but its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr, ValidationInfo
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

PROJECT = "kyma-mtls"

Entry = tuple[str, ...]


class Section(BaseModel):
    """A structure of the config, with a field for each key, there in camelCase."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, coerce_numbers_to_str=True)


@dataclass(frozen=True)
class Reading:
    """What validators have to know of the config that is read, beyond its values."""

    is_encrypted: Callable[[str], bool] = lambda _: True
    refused: frozenset[Entry] = frozenset()
    """Keys, and entries of clients and hosts, that are refused already and left out of the values."""

    @classmethod
    def of(cls, info: ValidationInfo) -> "Reading":
        """Return the reading that a validation is part of."""
        return info.context if isinstance(info.context, Reading) else cls()


def encrypted_in(key: str) -> AfterValidator:
    """Make a validator that refuses a secret that this key of the config holds unencrypted."""

    def check(value: SecretStr, info: ValidationInfo) -> SecretStr:
        if value and not Reading.of(info).is_encrypted(f"{PROJECT}:{key}"):
            raise PydanticCustomError("not_encrypted", "not encrypted")
        return value

    return AfterValidator(check)


def keys(section: type[BaseModel]) -> Mapping[str, FieldInfo]:
    """Each key of a structure, and the field that it is read into."""
    return {str(field.alias): field for field in section.model_fields.values()}


def within(annotation: object) -> type[Section] | None:
    """Return the model of a field that holds a structure, an optional one, or several by name."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next(filter(None, map(within, get_args(annotation))), None)


def is_by_name(annotation: object) -> bool:
    """Whether a field holds structures by name."""
    return get_origin(annotation) is dict


def is_list(annotation: object) -> bool:
    """Whether a field holds a list, or a list or nothing."""
    return get_origin(annotation) is tuple or any(map(is_list, get_args(annotation)))
