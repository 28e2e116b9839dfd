"""Requests to the REST API of a forge, which answers in JSON."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import urllib3

from settings import ConfigError

_PAGE = 100
_TIMEOUT_SECONDS = 30
_LONGEST_WAIT_SECONDS = 60
# A request that is refused because of too many was not carried out, so that a POST is sent again, too.
_PATIENCE = urllib3.Retry(4, read=0, allowed_methods=None, raise_on_status=False, retry_after_max=_LONGEST_WAIT_SECONDS)


@dataclass(frozen=True)
class Rest:
    """The REST API of a forge.

    forge: its name, for messages
    url: what every path is below, such as that of a repository
    headers: of every request, the token included
    remedy: what to do where it refuses a request, for messages
    """

    forge: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    remedy: str = ""

    def all(self, path: str) -> Iterator[dict[str, Any]]:
        """Yield the entries of a list, whose pages it asks for as needed; raise ConfigError if it is none.

        A page may be shorter than asked for, and not the last: GitLab leaves out what the account may not read.
        """
        page = 1
        while page:
            asked = f"{path}{'&' if '?' in path else '?'}per_page={_PAGE}&page={page}"
            answer = self._send("GET", asked, None)
            entries = self._content("GET", asked, answer)
            if not isinstance(entries, list):
                raise ConfigError(f"{self.forge} does not answer GET {asked} with a list: is the URL its API's?")
            yield from entries
            page = page + 1 if 'rel="next"' in answer.headers.get("Link", "") else 0

    def ask(self, method: str, path: str, content: Mapping[str, Any] | None = None) -> Any:
        """Send a request and return the answer; raise ConfigError if it is refused, or if there is none.

        While the forge names a time by Retry-After, the request is sent again after it, up to four times.
        """
        return self._content(method, path, self._send(method, path, content))

    def _send(self, method: str, path: str, content: Mapping[str, Any] | None) -> urllib3.response.BaseHTTPResponse:
        headers = {"Content-Type": "application/json", "User-Agent": "kyma-mtls", **self.headers}
        body = json.dumps(content) if content is not None else None
        with urllib3.PoolManager(headers=headers, timeout=_TIMEOUT_SECONDS, retries=_PATIENCE) as pool:
            try:
                # To where a redirection leads, urllib3 would send headers that it does not know as secret.
                answer = pool.request(method, f"{self.url}/{path}", body=body, redirect=False)
            except urllib3.exceptions.HTTPError as error:
                raise ConfigError(f"{self.forge} does not answer {method} {path}: {type(error).__name__}") from None
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
            said = " ".join(answer.data.decode(errors="replace")[:200].split())
            remedy = f"; {self.remedy}" if self.remedy else ""
            raise ConfigError(f"{self.forge} refuses {method} {path}: {answer.status} {said}{remedy}")
        return answer

    def _content(self, method: str, path: str, answer: urllib3.response.BaseHTTPResponse) -> Any:
        try:
            return json.loads(answer.data)
        except ValueError:
            raise ConfigError(f"{self.forge} does not answer {method} {path} in JSON: is the URL its API's?") from None
