"""Whether a promise that was not tried is an error."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Self

from settings import ConfigError
from verification.checks import Check
from verification.runner import Outcome, Verdict


@dataclass(frozen=True)
class Strict:
    """Judges skipped promises.

    is_on: whether a skipped promise is one that cannot be judged; not by default
    allowed: texts, in any case; a promise is skipped all the same if it, or the reason, contains one of them; so is
        the search for what a killed run left
    """

    is_on: bool = False
    allowed: tuple[str, ...] = ()

    @classmethod
    def of(cls, allowed: Collection[str], *, is_on: bool) -> Self:
        """Return the strictness that the options choose.

        Raise ConfigError if they allow what nothing forbids, or everything.
        """
        if allowed and not is_on:
            raise ConfigError("--allow-skip: without --strict, every promise may be skipped; add --strict")
        if not all(text.strip() for text in allowed):
            raise ConfigError(
                "--allow-skip: an empty text is in every promise; name a part of those that may be skipped"
            )
        return cls(is_on, tuple(text.lower() for text in allowed))

    def judged(self, check: Check, outcome: Outcome) -> Outcome:
        """Return the outcome of a check; of a skipped one that is not allowed, that it cannot be judged."""
        if outcome.verdict != Verdict.SKIPPED or not self.forbids(f"{check.promise}\n{outcome.saw}"):
            return outcome
        return replace(outcome, verdict=Verdict.ERROR, saw=f"not tried (--strict): {outcome.saw}")

    def forbids(self, said: str) -> bool:
        """Return whether something that is not tried, and of which this is said, is an error."""
        return self.is_on and not any(text in said.lower() for text in self.allowed)
