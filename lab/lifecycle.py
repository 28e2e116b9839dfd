"""Boots, mends and ends the lab. Callers hold `owner.change`."""

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console

from lab import images, network, owner, rootfs
from lab.cluster import Cluster, Problem
from lab.errors import LabError
from lab.node import CLIENTS, NODES, Node, boot_key, lab_dir
from lab.sandbox import Sandbox
from lab.toolchain import Toolchain

PATIENCE = 120
"""Seconds for which `up` waits for an unhealthy cluster to recover before it mends the cluster."""
WEBSITE = Sandbox("website", network.INTERNET)


def is_running() -> bool:
    """Return whether anything of the lab runs on this machine."""
    return any(sandbox.alive() for sandbox in _sandboxes())


def wanted(clients: int = 1) -> list[Node]:
    """Return the target, this many clients, and those that the lab has anyway."""
    return [node for node in NODES if node not in CLIENTS[clients:] or node.state.exists()]


def kubeconfig(node: Node) -> Path:
    """Return where the checkout has a cluster's kubeconfig."""
    return owner.CHECKOUT / ".lab" / f"{node.name}.kubeconfig"


def pulumi_state() -> Path:
    """Return the directory of the lab's Pulumi backend."""
    return lab_dir() / "pulumi"


def bring_up(chain: Toolchain, nodes: list[Node], console: Console) -> list[Node]:
    """Mend the broken clusters and boot the missing ones, so that all these run; return those that were booted.

    Healthy clusters stay as they are. A broken one is replaced by an empty one if nothing else helps.
    """
    owner.record()
    root, unpacked = _images(chain, console)
    key = boot_key(chain, root, unpacked)
    booted = [node for node in nodes if node.booted.exists()]
    kept = _mend(chain, booted, console)
    for node in kept:
        node.write_kubeconfig(kubeconfig(node))
        if node.booted.read_text() != key:
            _warn(
                console,
                f"{node.name} stays as it was booted, from other programs, images or settings than the "
                f"present ones; `python -m lab restart {node.name}` replaces it by an empty cluster",
            )
    if not kept:
        _end_processes()
        images.sweep(unpacked, root, console)
    _report_lost([node for node in booted if node not in kept], kept, console)
    missing = [node for node in nodes if node not in kept]
    boot(chain, missing, console)
    return missing


def boot(chain: Toolchain, nodes: list[Node], console: Console) -> None:
    """Boot these clusters anew, beside those that run, and write their kubeconfigs."""
    root, unpacked = _images(chain, console)
    begin = time.monotonic()
    for node in nodes:
        node.end()
    pulumi_state().mkdir(parents=True, exist_ok=True, mode=0o700)
    if not network.exists():
        network.up()
    if not WEBSITE.alive():
        _start_website(chain)
    for node in nodes:
        node.start(chain, root, unpacked)
    _install(chain, nodes, boot_key(chain, root, unpacked), begin, console)
    for node in nodes:
        node.write_kubeconfig(kubeconfig(node))


def end() -> None:
    """End the lab and remove every trace of it, also if this checkout and cache are not its owner."""
    _end_processes()
    for its_owner in {owner.me(), owner.recorded() or owner.me()}:
        for node in NODES:
            Path(its_owner.checkout, ".lab", f"{node.name}.kubeconfig").unlink(missing_ok=True)
        shutil.rmtree(Path(its_owner.cache, lab_dir().name), ignore_errors=True)
    owner.forget()


def problems(nodes: list[Node], programs: Path) -> dict[str, str]:
    """Return the present problem of each of these clusters, and of the website; an empty text for none."""
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda node: Cluster(node, programs).problem(), nodes))
    texts = {node.name: problem.text if problem else "" for node, problem in zip(nodes, found, strict=True)}
    return texts | {"website": "" if WEBSITE.alive() else "not running"}


def _images(chain: Toolchain, console: Console) -> tuple[Path, Path]:
    rootfs.BUILD.end()  # of an `up` that was killed
    root = rootfs.ensure("node", console)
    return root, images.ensure(chain.programs, root, console)


def _mend(chain: Toolchain, booted: list[Node], console: Console) -> list[Node]:
    """Return those of the booted clusters that are healthy, or are so again; mends them in parallel."""
    if not network.exists():
        for node in booted:
            _warn(console, f"{node.name}: not running; booting an empty cluster in its place")
        return []
    if not WEBSITE.alive():
        _warn(console, "website: not running; starting it again")
        _start_website(chain)
    clusters = [Cluster(node, chain.bin) for node in booted]
    problems = _lasting_problems(clusters, console)
    with ThreadPoolExecutor() as pool:
        broken = list(pool.map(lambda cluster: _is_broken(cluster, problems[cluster.node.name], console), clusters))
    return [node for node, is_broken in zip(booted, broken, strict=True) if not is_broken]


def _lasting_problems(clusters: list[Cluster], console: Console) -> dict[str, Problem | None]:
    """Return, by name, the problem that each cluster still has after up to PATIENCE seconds; None for a healthy one."""
    deadline = time.monotonic() + PATIENCE
    found: dict[str, Problem | None] = {}
    pending = clusters
    while pending:
        with ThreadPoolExecutor() as pool:
            answers = list(pool.map(Cluster.problem, pending))
        is_over = time.monotonic() > deadline
        unhealthy = []
        for cluster, problem in zip(pending, answers, strict=True):
            name = cluster.node.name
            if problem and not problem.is_final and not is_over:
                unhealthy.append(cluster)
                if problem != found.get(name):
                    _warn(console, f"{name}: {problem.text}; waiting up to {PATIENCE} s")
            found[name] = problem
        if pending := unhealthy:
            time.sleep(1)
    return found


def _is_broken(cluster: Cluster, problem: Problem | None, console: Console) -> bool:
    """Return whether a cluster with this problem stays broken, although it is installed into again if that may help."""
    name = cluster.node.name
    if problem and problem.is_inside:
        _warn(console, f"{name}: {problem.text}; installing CoreDNS and Istio again")
        try:
            cluster.install(lambda step: console.print(f"{name}: {step}"))
        except LabError as error:
            _warn(console, str(error))
        else:
            problem = cluster.problem()
    if problem:
        _warn(console, f"{name}: {problem.text}; booting an empty cluster in its place")
    return problem is not None


def _report_lost(lost: list[Node], kept: list[Node], console: Console) -> None:
    """Report that stacks lost their clusters; if no cluster is left, move the stacks' state aside."""
    if not lost or not any(pulumi_state().glob(".pulumi/stacks/**/*.json")):
        return
    if kept:
        names = " and ".join(node.name for node in lost)
        _warn(
            console,
            f"All objects deployed into {names} are lost. The stacks' state is kept: `pulumi preview` names the "
            'change to confirm, see "Changes that interrupt" in docs/operations.md',
        )
        return
    aside = pulumi_state().with_name(f"pulumi-{time.strftime('%Y%m%d-%H%M%S')}")
    pulumi_state().rename(aside)
    _warn(console, f"All deployed objects are lost with the clusters. The state of the stacks is kept in {aside}")


def _install(chain: Toolchain, nodes: list[Node], key: str, begin: float, console: Console) -> None:
    """Install CoreDNS and Istio in clusters that were just started, in parallel."""

    def install(node: Node) -> None:
        def report(step: str) -> None:
            console.print(f"{time.monotonic() - begin:4.0f} s  {node.name}: {step}")

        Cluster(node, chain.bin).install(report)
        node.booted.write_text(key)

    with ThreadPoolExecutor() as pool:
        boots = [pool.submit(install, node) for node in nodes]
        try:
            for booting in boots:
                booting.result()
        except KeyboardInterrupt:
            for node in nodes:
                if not node.booted.exists():
                    node.sandbox.end()  # else its thread would go on waiting for it
            raise


def _start_website(chain: Toolchain) -> None:
    with (lab_dir() / "website.log").open("ab") as log:
        WEBSITE.start([chain.programs["go-httpbin"], "-host", network.WEBSITE_ADDRESS, "-port", "80"], log)


def _warn(console: Console, text: str) -> None:
    console.print(text, style="yellow", markup=False)


def _sandboxes() -> list[Sandbox]:
    return [rootfs.BUILD, WEBSITE, *(node.sandbox for node in NODES)]


def _end_processes() -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(Sandbox.end, _sandboxes()))
    network.down()
