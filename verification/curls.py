"""Several requests by one run of curl: to start a command in a Pod takes longer than a request."""

import re
import secrets
from collections.abc import Callable, Iterator, Sequence

from verification.checks import Unjudged
from verification.pods import Executed

NEXT = "--next"
_MOST = 10
"""The most requests of a run: each may take as long as its own limit, and `pods.execute` waits for all."""


def each(curl: Callable[..., Executed], requests: Sequence[Sequence[str]]) -> list[Executed]:
    """Send requests one after the other, each over a new connection; return the outcome of each.

    Raise Unjudged if curl does not say how each of them ended, as versions before 7.75 do not.

    curl: runs curl with these arguments
    requests: the arguments of curl for each, without `-w`
    """
    runs = (requests[start : start + _MOST] for start in range(0, len(requests), _MOST))
    return [done for some in runs for done in _outcomes(curl, some)]


def _outcomes(curl: Callable[..., Executed], requests: Sequence[Sequence[str]]) -> Iterator[Executed]:
    mark = secrets.token_hex(8)
    end = ("-H", "Connection: close", "-w", f"\\n{mark} %{{exitcode}} %{{errormsg}}\\n")
    first, *rest = ((*request, *end) for request in requests)
    done = curl(*first, *(argument for request in rest for argument in (NEXT, *request)))
    *parts, _ = re.split(rf"\n{mark} (\d+) ?(.*)\n", done.stdout)
    if len(parts) != 3 * len(requests):
        raise Unjudged(f"curl ended with {done.code} before its last request: {done.stderr.strip()}")
    for printed, code, message in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        yield Executed(int(code), printed, message)
