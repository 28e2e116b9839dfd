"""Keeps a proxy of the user's out of connections to the lab."""

from collections.abc import Mapping

from lab import network
from lab.node import NODES

VARIABLES = ("NO_PROXY", "no_proxy")


def exceptions(environment: Mapping[str, str]) -> dict[str, str]:
    """Return both spellings of NO_PROXY: what the environment names, and the lab's addresses and domains.

    Each address is named by itself, since not every program reads networks there.
    """
    named = [entry.strip() for name in VARIABLES for entry in environment.get(name, "").split(",")]
    own = [*(node.address for node in NODES), network.WEBSITE_ADDRESS, ".test"]
    value = ",".join(dict.fromkeys(entry for entry in [*named, *own] if entry))
    return dict.fromkeys(VARIABLES, value)
