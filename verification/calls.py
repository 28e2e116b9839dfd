"""Calls of a client's demo Pod: by plain HTTP to a host, and what curl shows of a direct TLS connection."""

from verification.answers import Answer
from verification.checks import Failed
from verification.context import ClientContext, HostContext
from verification.pods import Executed
from verification.probes import Probe

NOT_CONNECTED = {7, 28, 35}
"""Exit codes of curl: connection refused, timed out, reset before the TLS handshake."""
SECONDS = "20"
"""After which curl gives up."""


def call(client: ClientContext, host: HostContext, probe: Probe, marker: str, *options: str) -> Answer:
    """Call a host by plain HTTP from the demo's Pod, with the marker in the User-Agent, which the gateway logs."""
    query = f"?{marker}" if probe.shows_client else ""  # a user's service may refuse an unknown query
    agent = ("-A", f"kyma-mtls-verification {marker}")
    url = f"http://{host.domain}{probe.path}{query}"
    done = client.cluster.curl("-sS", *probe.options, *options, *agent, "--max-time", SECONDS, url)
    if done.code and not done.stdout.startswith("HTTP/"):
        raise Failed(f"curl ended with {done.code}: {done.stderr.strip()}")
    return Answer.printed(done.stdout)


def spoke_tls(done: Executed) -> bool:
    """Return whether a server took part in a TLS handshake, even if it ended the handshake by an alert.

    done: a run of curl that prints `%{time_appconnect}` only
    """
    try:
        return float(done.stdout) > 0 or " alert " in done.stderr
    except ValueError:
        raise Failed(f"curl printed {done.stdout[:200]!r} instead of a time: {done.stderr.strip()}") from None
