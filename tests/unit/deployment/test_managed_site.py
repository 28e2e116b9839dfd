"""Drift of managed sites, as the program reports it."""

import asyncio

from components.lifecycle import Lifecycle
from deployment.managed_site import find_drift
from settings import ConfigError


class Drifted(Lifecycle):
    """Reports these lines, or fails with this error."""

    def __init__(self, *lines: str, error: str = "") -> None:
        self.lines, self.error = list(lines), error

    async def drift(self) -> list[str]:
        if self.error:
            raise ConfigError(self.error)
        return self.lines


def drift(*lifecycles: Lifecycle) -> list[str]:
    """Return the lines about sites with these lifecycles."""
    return asyncio.run(find_drift(lifecycles))


def test_drift_of_all_sites_is_reported_with_its_remedy() -> None:
    assert drift(Drifted(), Drifted()) == []
    *lines, remedy = drift(Drifted("no Secret"), Drifted("no Gateway"))
    assert lines == ["no Secret", "no Gateway"]
    assert remedy.startswith("`pulumi up --refresh` makes deleted objects anew")


def test_drift_of_a_cluster_without_an_answer_is_that_error() -> None:
    assert drift(Drifted(error="no answer"), Drifted()) == ["no answer"], "no refresh makes a cluster answer"
    *lines, _ = drift(Drifted(error="no answer"), Drifted("no Secret"))
    assert lines == ["no answer", "no Secret"]
