"""Problems of several checks, reported together."""

from types import TracebackType

from settings import ConfigError


class Problems:
    """Collects the problems of checks.

    Each check runs in a `with` block of its own, which ends at its first ConfigError. A block may be within another
    one, for checks of an object that the outer one has found.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []

    def __enter__(self) -> None:
        """Begin a check."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        """Keep the problems of a ConfigError; let any other exception through."""
        if not isinstance(error, ConfigError):
            return False
        self._lines += str(error).splitlines()
        return True

    def raise_any(self) -> None:
        """Raise one ConfigError with all problems; do nothing if there are none."""
        if self._lines:
            raise ConfigError(*self._lines)
