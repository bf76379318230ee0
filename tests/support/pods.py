"""Pods for tests: an image's files in namespaces of network, processes and mounts of their own, as Kubernetes has them.

Needs Linux, root, iproute2 and util-linux. The image's root file system is read-only, `/tmp` and a small `/dev/shm` are
in memory, and the user is a number that the image does not know, in the group 0, as OpenShift has it.
"""

import ipaddress
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.waiting import HANG_SECONDS

BRIDGE = "brinkpods"
NETWORK = ipaddress.ip_network("10.213.77.0/24")
NETWORK6 = ipaddress.ip_network("fd00:213:77::/64")
USER = 1_000_660_000
SHM = "64m"
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


@dataclass(frozen=True)
class Pod:
    """A network namespace with an address of each kind: `ipv6_only` leaves it the second alone."""

    name: str
    number: int
    ipv6_only: bool = False

    @property
    def namespace(self) -> str:
        return f"brink-{self.name}"

    @property
    def link(self) -> str:
        """The end of its cable on the bridge."""
        return f"brink{self.number}"

    @property
    def address(self) -> str:
        """The address by which a pod of the same kind reaches it."""
        return self.address_in(NETWORK6 if self.ipv6_only else NETWORK)

    def address_in(self, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> str:
        return str(network[self.number])

    @property
    def within(self) -> list[str]:
        """What a command is put behind to run in the pod's network, with this machine's files."""
        return ["ip", "netns", "exec", self.namespace]

    def cut_off(self) -> None:
        _ip("link", "set", self.link, "down")

    def join(self) -> None:
        _ip("link", "set", self.link, "up")


@contextmanager
def pods(names: Sequence[str], ipv6_only: Sequence[str] = ()) -> Iterator[dict[str, Pod]]:
    """Pods on one bridge, by name, each of which knows the others' names. All that was made goes with the block."""
    found = {name: Pod(name, number, name in ipv6_only) for number, name in enumerate(names, 2)}
    _ip("link", "add", BRIDGE, "type", "bridge")
    try:
        _ip("link", "set", BRIDGE, "up")
        for network in (NETWORK, NETWORK6):
            _ip("address", "add", f"{network[1]}/{network.prefixlen}", "dev", BRIDGE, *_at_once(network))
        for pod in found.values():
            _plug_in(pod)
        yield found
    finally:
        for pod in found.values():
            # The kernel deletes what is in a namespace later: the next network may have links of the same names.
            for made in (["link", "delete", pod.link], ["netns", "delete", pod.namespace]):
                subprocess.run(["ip", *made], stderr=subprocess.DEVNULL, check=False)
        _ip("link", "delete", BRIDGE)


@contextmanager
def container(
    pod: Pod,
    image: Path,
    command: Sequence[str],
    environment: Mapping[str, str],
    others: Mapping[str, Pod],
    *,
    restarted: bool = False,
    replaced: Mapping[str, Path] | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """A process of the image in a pod, its output in `stdout`.

    `restarted` starts the command again when it ends, as Kubernetes does; `replaced` are files of the image in whose
    place others are seen.
    """
    with tempfile.TemporaryDirectory(prefix="brink-pod-") as folder:
        hosts = Path(folder, "hosts")
        network = NETWORK6 if pod.ipv6_only else NETWORK
        known = [f"{other.address_in(network)} {name}" for name, other in others.items()]
        hosts.write_text("\n".join(["127.0.0.1 localhost", "::1 localhost", *known, ""]))
        root = Path(folder, "root")
        root.mkdir()
        script = "\n".join(
            [
                "set -e",
                "mount --make-rprivate /",
                f"mount --bind {shlex.quote(str(image))} {root}",
                f"mount -o remount,bind,ro {root}",
                f"mount -t proc proc {root}/proc",
                f"mount -t tmpfs -o mode=755 tmpfs {root}/dev",
                *(f"touch {root}/dev/{d}; mount --bind /dev/{d} {root}/dev/{d}" for d in DEVICES),
                f"ln -s /proc/self/fd {root}/dev/fd; mkdir {root}/dev/shm",
                f"mount -t tmpfs -o size={SHM},mode=1777 tmpfs {root}/dev/shm",
                f"mount -t tmpfs -o mode=1777 tmpfs {root}/tmp",
                *(
                    f"mount --bind {shlex.quote(str(seen))} {root}{path}"
                    for path, seen in {"/etc/hosts": hosts, **(replaced or {})}.items()
                ),
                f"hostname {pod.name}",
                _as_user(root, command, environment, restarted=restarted),
            ]
        )
        isolated = ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--ipc", "--uts", "bash", "-c", script]
        with open(Path(folder, "output"), "w+") as output:
            process = subprocess.Popen([*pod.within, *isolated], stdout=output, stderr=subprocess.STDOUT, text=True)
            process.stdout = open(output.name)  # noqa: SIM115
            try:
                yield process
            finally:
                process.send_signal(signal.SIGKILL)
                process.wait(HANG_SECONDS)
                process.stdout.close()


def _as_user(root: Path, command: Sequence[str], environment: Mapping[str, str], *, restarted: bool) -> str:
    variables = {"PATH": "/opt/brink/bin:/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp", **environment}
    started = shlex.join(
        [
            "chroot",
            str(root),
            "setpriv",
            f"--reuid={USER}",
            "--regid=0",
            "--clear-groups",
            "--no-new-privs",
            "--bounding-set=-all",
            "env",
            "-i",
            *(f"{name}={value}" for name, value in variables.items()),
            *command,
        ]
    )
    # The shell must remain: the signal that ends it with its parent is not sent to a process that changed its user.
    return f"while true; do {started} || true; sleep 1; done" if restarted else f"{started}\nexit"


def _plug_in(pod: Pod) -> None:
    inside = f"{pod.link}p"
    _ip("netns", "add", pod.namespace)
    _ip("link", "add", pod.link, "type", "veth", "peer", "name", inside, "netns", pod.namespace)
    _ip("link", "set", pod.link, "master", BRIDGE, "up")
    _ip("-n", pod.namespace, "link", "set", "lo", "up")
    _ip("-n", pod.namespace, "link", "set", inside, "up")
    for network in [NETWORK6] if pod.ipv6_only else [NETWORK, NETWORK6]:
        address = f"{network[pod.number]}/{network.prefixlen}"
        _ip("-n", pod.namespace, "address", "add", address, "dev", inside, *_at_once(network))


def _at_once(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> list[str]:
    """An IPv6 address is otherwise of no use until its duplicates have been looked for."""
    return ["nodad"] if network.version == 6 else []


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
