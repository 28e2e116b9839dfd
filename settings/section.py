"""The base of all models of the config: frozen, without unknown keys; and functions that read their fields."""

from collections.abc import Callable, Mapping
from typing import get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr, ValidationInfo
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

PROJECT = "kyma-mtls"

# A part of the config: a top-level key, or the entry of one client or host.
Entry = tuple[str, ...]


class Section(BaseModel):
    """A structure of the config, with a field for each key, there in camelCase."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, coerce_numbers_to_str=True)


def encrypted_in(key: str) -> AfterValidator:
    """Return a validator that refuses a secret which this top-level key of the config holds unencrypted.

    The validation's context is a function that returns whether a key is encrypted.
    """

    def check(value: SecretStr, info: ValidationInfo) -> SecretStr:
        is_encrypted: Callable[[str], bool] | None = info.context
        if value and is_encrypted and not is_encrypted(f"{PROJECT}:{key}"):
            raise PydanticCustomError("not_encrypted", "not encrypted")
        return value

    return AfterValidator(check)


def keys(section: type[BaseModel]) -> Mapping[str, FieldInfo]:
    """Return each key of a structure, and the field that it is read into."""
    return {str(field.alias): field for field in section.model_fields.values()}


def within(annotation: object) -> type[Section] | None:
    """Return the model of a field that holds a structure, an optional one, or several by name."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next(filter(None, map(within, get_args(annotation))), None)


def is_by_name(annotation: object) -> bool:
    """Return whether a field holds structures by name."""
    return get_origin(annotation) is dict


def is_list(annotation: object) -> bool:
    """Return whether a field holds a list, or an optional one."""
    return get_origin(annotation) is tuple or any(map(is_list, get_args(annotation)))
