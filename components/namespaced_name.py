"""The name of an object and the namespace that it is in, as one value."""

from typing import NamedTuple, Self


class NamespacedName(NamedTuple):
    """Namespace and name of an object. Its text is NAMESPACE/NAME, as config keys and outputs write it."""

    namespace: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the two parts of NAMESPACE/NAME; raise ValueError if the text is no such pair."""
        namespace, slash, name = text.partition("/")
        if not (namespace and slash and name) or "/" in name:
            raise ValueError("not NAMESPACE/NAME")
        return cls(namespace, name)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"
