"""Waits until the controllers of a cluster have done the work that an object asks for.

The provider makes an object and goes on; the program waits, since it can say why it waits. The state keeps the
readiness of an object as a resource of its own (Ready). Hence:

- `pulumi up` warns of a controller's complaint at once, in the controller's own words;
- a complaint that stays fails `pulumi up`; the state has the whole object, and the next `pulumi up` waits again;
- no preview, no update without changes and no destroy waits.
"""

import asyncio
import hashlib
import itertools
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import pulumi
import pulumi_kubernetes as k8s

from .threads import RunInThread

_PAUSES_SECONDS = (0.25, 0.5)
_PAUSE_SECONDS = 1.0
_UNANSWERED_SECONDS = 60
_SILENCE_WARNS_SECONDS, _SILENT_SECONDS = 30, 120
_LIMIT_SECONDS = 600


class Reader(Protocol):
    """Finds objects of a cluster, for judges."""

    @property
    def host(self) -> str:
        """The URL of its API server."""

    def find(self, api_version: str, kind: str, namespace: str, name: str) -> Any:
        """Return an object; None if the cluster has no such object, or no such kind."""

    def items(self, path: str, labels: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """Return the objects of the list at this path, those that bear these labels; none if there is no such kind."""


class ClusterReader(Reader, Protocol):
    """Finds objects, and the metadata of objects, of a cluster."""

    def metadata(self, api_version: str, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        """Return the metadata of an object; None if there is none."""

    def listed(
        self, api_version: str, kind: str, labels: Mapping[str, str], namespace: str = ""
    ) -> dict[tuple[str, str], dict[str, Any]] | None:
        """Return the objects of a kind with these labels, by namespace and name; None if the user may not list them."""


@dataclass(frozen=True)
class Verdict:
    """The state of an object, after its controller's words.

    says: these words
    patience: of a complaint, for how many seconds it may stand before the wait fails; of readiness, for how many
        seconds it must stand before the object counts as ready
    warns: whether the user gets a warning, at once
    warns_after: seconds after which the user gets a warning; never by default
    answered: whether the cluster answered, and had the object
    """

    ready: bool = False
    says: str = ""
    patience: float = 0
    warns: bool = False
    warns_after: float = math.inf
    answered: bool = True


READY = Verdict(ready=True)


def waiting(says: str, *, warns: bool = False) -> Verdict:
    """Return the verdict "in progress": no complaint."""
    return Verdict(says=says, patience=math.inf, warns=warns)


def silent(says: str) -> Verdict:
    """Return the verdict on a controller that has not answered yet, as one does within seconds if it runs."""
    return Verdict(says=says, patience=_SILENT_SECONDS, warns_after=_SILENCE_WARNS_SECONDS)


def failing(says: str, patience: float) -> Verdict:
    """Return a complaint, which fails the wait if it stands for `patience` seconds."""
    return Verdict(says=says, patience=patience, warns=True)


def _unanswered(says: str) -> Verdict:
    return Verdict(says=says, patience=_UNANSWERED_SECONDS, warns=True, answered=False)


# Returns the verdict on an object, as the cluster has it; called until the object is ready, or the wait fails.
Judge = Callable[[Reader, dict[str, Any]], Verdict]


class NotReady(Exception):  # noqa: N818 - the engine shows the text alone
    """An object did not become ready in time; the message has the last words of its controller."""


class Ready(pulumi.Stash):
    """A resource that is made, or updated, once an object is ready: dependents of it wait for that.

    waited: the object's resource, or those of several objects
    judge: returns the verdict on it; on several objects, as a List
    limit: seconds until the wait fails without a complaint, or takes readiness that does not stand for true; 600 by
        default
    finish: a last step once the object is ready, before this resource is made; it may run again
    called: what messages call several objects

    Lifecycle, the rule for the life of objects, knows the object's cluster, and sets `is_changing`.

    is_changing: tells of the URN of an object whether the preview updates it; never by default
    """

    is_changing: Callable[[str], bool]

    def __init__(
        self,
        name: str,
        waited: Any,
        judge: Judge,
        opts: pulumi.ResourceOptions,
        *,
        limit: float = _LIMIT_SECONDS,
        finish: Callable[[], None] | None = None,
        called: str = "",
    ) -> None:
        objects = waited if isinstance(waited, list) else [waited]
        self.wait = Wait(judge, limit, objects[0], finish)
        self.is_changing = lambda _: False
        known = [part for each in objects for part in (each.urn, self._identified(each), _content(each))]

        def version(parts: list[Any]) -> dict[str, Any]:
            items = [_version(*parts[start : start + 3]) for start in range(0, len(parts), 3)]
            return {"called": called, "items": items} if isinstance(waited, list) else items[0]

        super().__init__(f"{name}-ready", input=pulumi.Output.all(*known).apply(version), opts=opts)

    # Of texts, Pulumi makes no outputs within outputs, as it does of each part of the metadata, which takes seconds.
    def _identified(self, made: Any) -> pulumi.Output[str]:
        """Return what changes with an object: a change gives it a new generation; a replacement, a new uid.

        In a preview, it is unknown of an object that is to be made or changed. A plan refuses an update that differs
        from its preview: uid and generation would be those of a dry run, which only users who may write can make
        (https://github.com/pulumi/pulumi-kubernetes/blob/master/provider/pkg/provider/provider.go, Create and Update).
        """

        def identity(known: list[Any]) -> Any:
            urn, metadata, _ = known  # an object that is to be made has no id
            keys = ("namespace", "name", "uid", "generation")
            named = {key: metadata[key] for key in keys if (metadata or {}).get(key)}
            is_unknown = pulumi.runtime.is_dry_run() and ("uid" not in named or self.is_changing(urn))
            return pulumi.UNKNOWN if is_unknown else json.dumps(named)

        return pulumi.Output.all(made.urn, made.metadata, made.id).apply(identity)


def _content(made: Any) -> pulumi.Input[str]:
    """Return what changes with a Secret, which has no generation; nothing for any other object."""
    return pulumi.Output.unsecret(made.data.apply(_public)) if isinstance(made, k8s.core.v1.Secret) else ""


def _version(urn: str, identity: Any, content: str) -> Any:
    if identity == pulumi.UNKNOWN:
        return identity
    # …$kubernetes:apps/v1:Deployment::NAME: of a custom resource, the URN alone has apiVersion and kind.
    api_version, kind = urn.split("::")[2].split(":")[-2:]
    named = {
        "apiVersion": api_version.removeprefix("core/"),
        "kind": kind.removesuffix("Patch"),
        **json.loads(identity),
    }
    return named | ({"content": content} if content else {})


def _public(data: Mapping[str, str] | None) -> str:
    """Return a hash of what a Secret with a credential shows to its peers: the private key is no part of it."""
    if not data:
        return ""
    shown = sorted((key, value) for key, value in data.items() if not key.endswith("key"))
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:16]


@dataclass
class Wait:
    """A wait until a judge finds an object ready.

    limit: seconds until the wait fails without a complaint, or takes readiness that does not stand for true
    resource: with which the engine shows progress
    finish: a last step, which runs after each verdict that the object is ready
    """

    judge: Judge
    limit: float
    resource: pulumi.Resource | None = None
    finish: Callable[[], None] | None = None
    _said: dict[tuple[bool, str], float] = field(default_factory=dict, init=False)
    _warned: set[str] = field(default_factory=set, init=False)
    _kept: dict[int, Any] = field(default_factory=dict, init=False)

    async def until_ready(self, cluster: Reader, version: dict[str, Any], run_in_thread: RunInThread) -> None:
        """Return once the object is ready; raise NotReady once a complaint, or the wait, has lasted too long.

        version: of the object, as Ready keeps it
        run_in_thread: runs the judge
        """
        named = _named(version)
        began = time.monotonic()
        pauses = itertools.chain(_PAUSES_SECONDS, itertools.repeat(_PAUSE_SECONDS))
        while True:
            verdict = await run_in_thread(self._look, cluster, version)
            now = time.monotonic()
            waited = now - self._heard(named, verdict, now)
            is_over = waited >= verdict.patience or now - began >= self.limit
            if is_over and verdict.ready:
                return
            if is_over:
                raise NotReady(
                    f"cluster {cluster.host}: {named} is not ready after {now - began:.0f} s: {verdict.says}"
                )
            await asyncio.sleep(next(pauses))

    def _look(self, cluster: Reader, version: dict[str, Any]) -> Verdict:
        try:
            found = self._found(cluster, version)
            verdict = self.judge(cluster, found) if found else _unanswered("it is gone")
            if verdict.ready and self.finish:
                self.finish()
        except Exception as error:  # an API server may be away for a while
            return _unanswered(str(error))
        return verdict

    def _found(self, cluster: Reader, version: Mapping[str, Any]) -> Any:
        """Return the object, or a List of several; None if the cluster lacks one.

        Of several, those without a status are read once: nothing but their spec can be judged, and that is the stack's.
        """
        if "items" not in version:
            return _find(cluster, version)
        items = [self._kept.get(number) or _find(cluster, each) for number, each in enumerate(version["items"])]
        self._kept |= {number: item for number, item in enumerate(items) if item and "status" not in item}
        return {"kind": "List", "items": items} if all(items) else None

    def _heard(self, named: str, verdict: Verdict, now: float) -> float:
        """Log new words of the controller; return when it said them first.

        An answer of the cluster ends the count of its failures to answer.
        """
        if verdict.answered:
            self._said = {said: since for said, since in self._said.items() if said[0]}
        said = (verdict.answered, verdict.says)
        is_new = said not in self._said
        since = self._said.setdefault(said, now)
        is_silent = not verdict.ready and now - since >= verdict.warns_after and verdict.says not in self._warned
        if (is_new and verdict.warns) or is_silent:
            self._warned.add(verdict.says)
            pulumi.log.warn(f"{named}: {verdict.says}", self.resource)
        elif is_new and not verdict.ready:
            pulumi.log.info(f"waiting for {named}: {verdict.says}", self.resource, ephemeral=True)
        return since


def _find(cluster: Reader, version: Mapping[str, Any]) -> Any:
    return cluster.find(version["apiVersion"], version["kind"], version.get("namespace", ""), version["name"])


def _named(version: Mapping[str, Any]) -> str:
    return str(version.get("called") or called(version["kind"], version.get("namespace", ""), version["name"]))


def called(kind: str, namespace: str, name: str) -> str:
    """Return the name of an object for messages: KIND NAMESPACE/NAME, or KIND NAME."""
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
