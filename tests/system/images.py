"""The file trees that machines boot from, built once and kept in the cache, in layers.

`archive` is a bare Debian with systemd, without Python and git, with what tests install in apt's cache; `debian` has that with
package lists of these alone, which apt reads in a twentieth of the time; `minimal` adds the wheels that pip finds there; `ready` adds the launcher's packages and its Python environment; `mail` adds Sendmail
and SASL as apt leaves them; `sysvinit` is `ready` with the init of sysvinit-core; `msa` is what `apply` makes of that, with alice. A layer is built again when its recipe, or
one below it, changes; `msa` with every change of the program. `controller` is `ready` with Debian's own Ansible, `certbot` is
`msa` with certbot's packages in apt's cache, `directory` is `mail` with sudo and an LDAP server, `sssd` is that with SSSD; these
are built only where a test asks for them. `lists` are the whole package lists, to be laid over another layer.
`python -m tests.system.images` builds all of them.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from tests.system.machine import PROJECT, Machine
from tests.system.msa import PASSWORD, add_alice, apply
from tests.system.releases import PYTHON_OF, RELEASES, Release

Layer = Literal[
    "archive",
    "lists",
    "debian",
    "minimal",
    "ready",
    "sysvinit",
    "mail",
    "msa",
    "controller",
    "certbot",
    "sssd",
    "directory",
]

_TOP = Path(__file__).resolve().parents[2]
_BELOW: dict[Layer, Layer | None] = {
    "archive": None,
    "lists": "archive",
    "debian": "archive",
    "minimal": "debian",
    "ready": "minimal",
    "sysvinit": "ready",
    "mail": "ready",
    "msa": "mail",
    "controller": "ready",
    "certbot": "msa",
    "directory": "mail",
    "sssd": "directory",
}

_INCLUDED = "systemd,systemd-sysv,dbus,procps,iproute2,ca-certificates,perl,openssl,adduser,hostname"
_CONTROL = (_TOP / "packaging/deb/debian/control").read_text()
_OF_THE_PACKAGE = " ".join(
    re.findall(r"^ ([a-z0-9-]+)(?: \(.*\))?,?$", _CONTROL.partition("Depends:\n")[2], re.M)
)
# Run in the new tree while it still has a network; apart, since what one brings decides what another needs.
_FURNISH = f"""
apt-get clean
fetch() {{ apt-get install --yes --quiet=2 --download-only -o APT::Install-Recommends=true "$@"; }}
fetch python3 python3-venv git
fetch {_OF_THE_PACKAGE}
fetch sendmail sasl2-bin libsasl2-modules
for other in rsyslog etckeeper openssh-server tmux nftables ufw postfix exim4-daemon-light; do fetch $other; done
apt-get install --yes --quiet=2 --download-only --allow-remove-essential sysvinit-core orphan-sysvinit-scripts systemd-sysv-
for other in shorewall shorewall6 firewalld iptables-persistent fail2ban; do fetch $other; done
rm /etc/apt/apt.conf.d/99mmdebstrap
echo 'Acquire::Retries "0";' >/etc/apt/apt.conf.d/99no-network
printf '[global]\\nno-index = true\\nfind-links = /opt/wheelhouse\\n' >/etc/pip.conf
"""
_NARROW = r"""
{ dpkg-query -W -f '${Package}\n'; ls /var/cache/apt/archives | sed 's/_.*//'; } >/tmp/kept
for list in /var/lib/apt/lists/*_Packages; do
    awk 'BEGIN { ORS = "\n\n" } NR == FNR { kept[$1]; next } $2 in kept' /tmp/kept RS= "$list" >/tmp/list
    mv /tmp/list "$list"
done
rm /tmp/kept
apt-cache gencaches --quiet=2
"""
_READY = "apt-get install --yes --quiet=2 --no-install-recommends python3 python3-venv git"
_SYSVINIT = "apt-get install --yes --quiet=2 --no-install-recommends --allow-remove-essential sysvinit-core orphan-sysvinit-scripts systemd-sysv-"
_MAIL = "apt-get install --yes --quiet=2 sendmail sasl2-bin libsasl2-modules"
_CONTROLLER = (
    "apt-get install --yes --quiet=2 --no-install-recommends ansible-core openssh-client openssh-server"
)
_CERTBOT = "apt-get install --yes --quiet=2 --no-install-recommends --download-only certbot python3-certbot-dns-rfc2136 bind9 nginx-light"
# Without an answer the suffix would be made of the name of the machine that builds this.
_DIRECTORY = (
    "echo slapd slapd/domain string example.test | debconf-set-selections; "
    "apt-get install --yes --quiet=2 --no-install-recommends sudo slapd"
)
_SSSD = "apt-get install --yes --quiet=2 --no-install-recommends sssd-ldap libnss-sss libpam-sss"
_COMMANDS: dict[Layer, str] = {"ready": _READY, "sysvinit": _SYSVINIT, "mail": _MAIL}
_FETCHED: dict[Layer, str] = {
    "controller": _CONTROLLER,
    "certbot": _CERTBOT,
    "directory": _DIRECTORY,
    "sssd": _SSSD,
}
_TEXTS = (".py", ".j2", ".json")
_NONINTERACTIVE = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}

_held: dict[Path, int] = {}


def layers(release: Release, layer: Layer) -> tuple[Path, ...]:
    """The folders of a layer and of those below it, topmost first; builds what is missing (a minute or so).

    They stay in use, and so in place, until this process ends. Raises subprocess.CalledProcessError or
    tests.system.machine errors when a build fails.
    """
    parent = _BELOW[layer]
    under = layers(release, parent) if parent else ()
    tree = cache() / f"{release}-{layer}-{_recipe_hash(release, layer)}"
    with _locked(release, layer):
        if not tree.is_dir():
            began = time.monotonic()
            _build(release, layer, under, tree)
            _remove_others(tree)
            print(f"built {tree.name} in {time.monotonic() - began:.1f} s", file=sys.stderr)
        _hold(tree)
    return (tree, *under)


def with_whole_lists(release: Release, layer: Layer) -> tuple[Path, ...]:
    """The same, with package lists as long as those of a real host, for what is timed."""
    return (layers(release, "lists")[0], *layers(release, layer))


def compiled(release: Release) -> bytes:
    """A tar, for /, of the program as the machine of the msa layer has compiled it; empty where that is not built."""
    tree = cache() / f"{release}-msa-{_recipe_hash(release, 'msa')}"
    with _locked(release, "msa"):
        if not tree.is_dir():
            return b""
        _hold(tree)
    found = [str(folder.relative_to(tree)) for folder in tree.glob("var/lib/msa-wizard/venv-*/pycache")]
    return subprocess.check_output(["tar", "-c", "-C", str(tree), *found]) if found else b""


def build_all() -> None:
    """Builds every layer of every release, the releases side by side."""
    with ThreadPoolExecutor(len(RELEASES)) as pool:
        for built in [pool.submit(layers, release, "msa") for release in RELEASES]:
            built.result()


def cache() -> Path:
    """Where what is built for tests is kept."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "msa-wizard-tests" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _recipe_hash(release: Release, layer: Layer) -> str:
    texts = [release, _INCLUDED, _FURNISH]
    if layer in ("archive", "lists"):
        return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]
    texts += [_NARROW]
    if layer != "debian":
        texts += [(_TOP / "requirements.txt").read_text(), PYTHON_OF[release]]
    if layer not in ("debian", "minimal"):
        texts += [_READY, (_TOP / "msa-wizard").read_text()]
    if layer == "sysvinit":
        texts += [_SYSVINIT]
    if layer in ("mail", "msa", "certbot", "sssd", "directory"):
        texts += [_MAIL]
    if layer in _FETCHED:
        texts += [_FETCHED[layer]]
    if layer == "sssd":
        texts += [_DIRECTORY]
    if layer in ("msa", "certbot"):
        texts += [PASSWORD, *(f"{file.relative_to(_TOP)}\0{file.read_text()}" for file in _program())]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


def _program() -> list[Path]:
    """All that `apply` runs."""
    folders = ("wizard", "snapshots", "templates")
    return sorted(file for folder in folders for file in (_TOP / folder).rglob("*") if file.suffix in _TEXTS)


def _build(release: Release, layer: Layer, under: tuple[Path, ...], tree: Path) -> None:
    unfinished = Path(tempfile.mkdtemp(prefix=f"unfinished-{release}-{layer}-", dir=tree.parent))
    try:
        unfinished.chmod(0o755)
        if layer == "archive":
            _build_debian(release, unfinished)
        elif layer == "lists":
            _copy_lists(under[0], unfinished)
        elif layer == "debian":
            _build_in_chroot(under, _NARROW, unfinished)
        elif layer == "minimal":
            _fetch_wheels(release, unfinished / "opt/wheelhouse")
        elif layer in _FETCHED:
            lists = layers(release, "lists")[0]
            update = "apt-get -o Acquire::Check-Valid-Until=false -o Acquire::Languages=none update --quiet=2"
            _build_in_chroot((lists, *under), f"{update}; {_FETCHED[layer]}; {_NARROW}", unfinished)
        else:
            _build_on(under, layer, unfinished)
        unfinished.rename(tree)
    except BaseException:
        shutil.rmtree(unfinished)
        raise


def _build_debian(release: Release, target: Path) -> None:
    done = subprocess.run(
        [
            *("mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", "--format=directory"),
            *(f"--include={_INCLUDED}", "--skip=cleanup/apt"),
            '--aptopt=Acquire::Check-Valid-Until "false"',  # a mirror of testing may be a stored copy
            *(f'--customize-hook=chroot "$1" sh -eu <<"END"\n{_FURNISH}END', release, str(target)),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **_NONINTERACTIVE},
    )
    if done.returncode != 0:
        raise RuntimeError(f"mmdebstrap {release} failed:\n{done.stdout}\n{done.stderr}")
    (target / "etc/resolv.conf").unlink(missing_ok=True)


def _fetch_wheels(release: Release, target: Path) -> None:
    version = PYTHON_OF[release]
    architecture = platform.machine()
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download", "--no-deps"),
            *("--require-hashes", "--only-binary=:all:", "--implementation=cp"),
            f"--python-version={version}",
            *(f"--abi=cp{version.replace('.', '')}", f"--platform=manylinux2014_{architecture}"),
            *(f"--platform=manylinux_2_28_{architecture}", f"--dest={target}"),
            *("--requirement", str(_TOP / "requirements.txt")),
        ],
        check=True,
    )


def _copy_lists(archive: Path, target: Path) -> None:
    for folder, names in (("var/lib/apt", "lists"), ("var/cache/apt", "*.bin")):
        (target / folder).mkdir(parents=True)
        subprocess.run(["cp", "-a", *(archive / folder).glob(names), str(target / folder)], check=True)


def _build_in_chroot(under: tuple[Path, ...], command: str, target: Path) -> None:
    """What a command makes of the layers below in a changed root, which has the network of this machine."""
    script = (
        'mkdir "$2/up" "$2/work" "$2/root"\n'
        'mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/up,workdir=$2/work" "$2/root"\n'
        'for name in proc sys dev; do mount --rbind "/$name" "$2/root/$name"; done\n'
        'mount -t tmpfs tmpfs "$2/root/run"\n'
        'cp --remove-destination /etc/resolv.conf "$2/root/etc/resolv.conf"\n'
        'printf \'#!/bin/sh\\nexit 101\\n\' >"$2/root/usr/sbin/policy-rc.d"; chmod 755 "$2/root/usr/sbin/policy-rc.d"\n'
        'chroot "$2/root" sh -euc "$3"\n'
        'rm "$2/root/usr/sbin/policy-rc.d" "$2/root/etc/resolv.conf"'
    )
    with tempfile.TemporaryDirectory(dir=target.parent) as place:
        lower = ":".join(map(str, under))
        argv = ["unshare", "--mount", "sh", "-euc", script, "sh", lower, place, command]
        done = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **_NONINTERACTIVE},
        )
        if done.returncode != 0:
            raise RuntimeError(f"{command} failed:\n{done.stdout}\n{done.stderr}")
        subprocess.run(["cp", "-a", f"{place}/up/.", str(target)], check=True)


def _build_on(under: tuple[Path, ...], layer: Layer, target: Path) -> None:
    with Machine(under, project=layer == "msa") as machine:
        if layer == "msa":
            machine.run(["systemctl", "start", "sendmail"])
            add_alice(machine)
            apply(machine)
        else:
            machine.run(_COMMANDS[layer], env=_NONINTERACTIVE, timeout=300)
        if layer == "ready":
            # The launcher's environment depends on the lock alone, so a stand-in for the program will do.
            for name, mode in (("msa-wizard", 0o755), ("requirements.txt", 0o644)):
                machine.put(f"{PROJECT}/{name}", (_TOP / name).read_bytes(), mode)
            machine.put(f"{PROJECT}/wizard/cli/main.py", "def main() -> int:\n    return 0\n")
            machine.run(["./msa-wizard"], cwd=PROJECT)
        if layer in ("ready", "msa"):
            machine.run(["rm", "-r", PROJECT])
        machine.stop()
        subprocess.run(["cp", "-a", f"{machine.upper}/.", str(target)], check=True)
    shutil.rmtree(target / "var/log/journal", ignore_errors=True)  # of this machine, not of those to come


@contextlib.contextmanager
def _locked(release: Release, layer: Layer) -> Iterator[None]:
    with (cache() / f"{release}-{layer}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _hold(tree: Path) -> None:
    """A shared lock on the tree, kept until this process ends: `_remove_others` leaves it alone."""
    if tree not in _held:
        _held[tree] = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(_held[tree], fcntl.LOCK_SH)


def _remove_others(tree: Path) -> None:
    """Removes trees of older recipes and unfinished ones of the same layer that no process uses."""
    kind = tree.name.rpartition("-")[0]
    for other in tree.parent.glob(f"*{kind}-*/"):
        if other == tree:
            continue
        folder = os.open(other, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Renamed first: half of a removed tree must not pass for a whole one.
            doomed = other.with_name(f"unfinished-{other.name.removeprefix('unfinished-')}")
            shutil.rmtree(other.rename(doomed))
        except BlockingIOError:
            continue
        finally:
            os.close(folder)


if __name__ == "__main__":
    build_all()
