"""Capture: the connections of a Pod that its sidecar takes. What it leaves out goes as the Pod sends it.

See https://istio.io/latest/docs/reference/config/annotations/. The injector hands the settings for requests of the Pod
to istio-iptables, in the first of its containers: the Pod's annotation, or else the mesh's value (global.proxy). It
writes both into the Pod's annotations where Istio's CNI plugin is in use
(https://github.com/istio/istio/blob/master/manifests/charts/istio-control/istio-discovery/files/injection-template.yaml).
"""

from itertools import pairwise

from clusters.pods import Pod, annotation, containers
from clusters.service_ports import Port

_TRAFFIC = "traffic.sidecar.istio.io"
_EXCLUDED, _INCLUDED = f"{_TRAFFIC}/excludeInboundPorts", f"{_TRAFFIC}/includeInboundPorts"
_PORTS_OUT, _PORTS_IN = f"{_TRAFFIC}/excludeOutboundPorts", f"{_TRAFFIC}/includeOutboundPorts"
_RANGES_OUT, _RANGES_IN = f"{_TRAFFIC}/excludeOutboundIPRanges", f"{_TRAFFIC}/includeOutboundIPRanges"
_MODE = "sidecar.istio.io/interceptionMode"
_FLAGS = {_PORTS_OUT: "-o", _PORTS_IN: "-q", _RANGES_OUT: "-x", _RANGES_IN: "-i"}
_INIT = {"istio-init", "istio-validation"}
_ALL, _HTTP = "*", "80"
_LINK_LOCAL = "169.254."  # no server of a host: the metadata of clouds, which Pods often exclude


def takes(pod: Pod, port: Port) -> bool:
    """Return whether a Pod's sidecar takes the connections to a Service's port; true if the Pod does not serve it."""
    target = port.get("targetPort") or port["port"]
    open_ports = [opened for each in containers(pod) for opened in each.get("ports") or ()]
    numbers = {opened["containerPort"] for opened in open_ports if opened.get("name") == target}
    number = next(iter(numbers), None) if isinstance(target, str) else target
    included, excluded = annotation(pod, _INCLUDED), _listed(annotation(pod, _EXCLUDED) or "")
    is_included = included is None or bool({_ALL, str(number)} & _listed(included))
    return number is None or (is_included and str(number) not in excluded and annotation(pod, _MODE) != "NONE")


def bypass(pod: Pod) -> str | None:
    """Return the annotation that keeps a Pod's requests at port 80 from its sidecar; None if the sidecar takes them.

    It takes them to whatever address but those that `excluded_ranges` returns. The order is that of the rules in
    https://github.com/istio/istio/blob/master/tools/istio-iptables/pkg/capture/run.go.
    """
    if annotation(pod, _MODE) == "NONE":
        return _MODE
    if {_ALL, _HTTP} & _listed(_setting(pod, _PORTS_OUT) or ""):
        return _PORTS_OUT
    ranges = _setting(pod, _RANGES_IN)
    is_included = ranges in (None, _ALL) or _HTTP in _listed(_setting(pod, _PORTS_IN) or "")
    return None if is_included else _RANGES_IN


def excluded_ranges(pod: Pod) -> set[str]:
    """Return the address ranges, CIDRs, that a Pod reaches without its sidecar; none that are link-local."""
    ranges = _listed(_setting(pod, _RANGES_OUT) or "")
    return {each for each in ranges if each and not each.startswith(_LINK_LOCAL)}


def _setting(pod: Pod, name: str) -> str | None:
    """Return the setting of this annotation that is in effect in a Pod; None for Istio's default."""
    arguments = [argument for each in containers(pod) if each["name"] in _INIT for argument in each.get("args") or ()]
    return dict(pairwise(arguments)).get(_FLAGS[name], annotation(pod, name))


def _listed(text: str) -> set[str]:
    return {entry.strip() for entry in text.split(",")}
