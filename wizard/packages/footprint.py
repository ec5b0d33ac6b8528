"""What packages own below /etc, by what dpkg and their own files say: for a path that differs, whether they did it.

Read from the disk alone, so it can be asked after a kill, too. It tells names, not moments: of two writers of the same
file it knows nothing (docs/provenance.md says what does)."""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from snapshots.live.entry import Entry, Kind
from wizard.system.host import Host
from wizard.system.links import linked_folders, other_names

DPKG = "/var/lib/dpkg"
INFO = f"{DPKG}/info"
SYSTEMD = "/var/lib/systemd"
CERTIFICATES = "/etc/ssl/certs"
_SCRIPTS = ("preinst", "postinst", "prerm", "postrm", "config")
_LARGEST = 512 * 1024
"""Bytes of a program that is searched for names; longer ones are no scripts."""

_PATH = re.compile(r"(?<![\w.$}~/-])/(?:etc|usr|bin|sbin|lib)/[\w.+@:/-]*\w")
_BELOW_ETC = re.compile(rb"^/etc/[^\n]+", re.MULTILINE)
_NAME = re.compile(r"/([\w.+@:-]*\w)")
_SUFFIX = re.compile(r"\.(?:dpkg|ucf)-(?:new|old|dist|tmp|bak|backup|remove)\Z")
_MERGED = re.compile(r"/(?=(?:bin|sbin|lib|lib32|lib64|libx32)/)")
_ASSIGNED = re.compile(
    r"""^[ \t]*(?:export[ \t]+|readonly[ \t]+|local[ \t]+)?(\w+)=(?:"((?:[^"$`\n]|\$(?!\())*)"|'([^'\n]*)'|((?:[^\s"'$`;&|()<>]|\$(?!\())+))""",
    re.MULTILINE,
)
_NESTED = 3
"""How deep the values of variables are looked up in one another."""
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_COMMENT = re.compile(r"^[ \t]*#.*$", re.MULTILINE)
_LOOKS = re.compile(
    r"""(?:(?:\[|\btest|-[ao])[ \t]+(?:![ \t]+)?-\w[ \t]+|(?:\bcat|\bhead|\bsource|\bgrep\b[^|;&]*?|(?:^|[\s;&(`])\.|<)[ \t]*)["']?\Z"""
)
"""How a line goes on up to a path that it only looks at."""
_CREATES = re.compile(
    r"""(?:^|[;&|({!`]|\b(?:then|do|else|if)\b)[ \t]*(?:\S*/)?(?:adduser|addgroup|useradd|groupadd)[ \t](?=(.*))""",
    re.MULTILINE,
)
_VALUED = re.compile(
    r"--(?:home(?:-dir)?|shell|[ug]id|ingroup|gecos|comment|(?:first|last)[ug]id|conf|base-dir|expiredate|inactive"
    r"|groups|skel|key|password|root|prefix|selinux-user|users)|-[bcdefgGkKpPRsuZ]"
)
"""Options of adduser(8), useradd(8) and groupadd(8) whose value is a word of its own."""
_MD5 = re.compile(r"[0-9a-f]{32}")
_ACCOUNT = re.compile(r"[A-Za-z_][\w.-]*\$?")
_PUT_BEFORE = {"/etc/hosts.allow": b"sendmail: all\n"}
"""What their scripts put before all that a file holds (update_tcpd of sendmail-base)."""


@dataclass(frozen=True)
class Footprint:
    """What some packages own below /etc. Pure; paths are absolute."""

    accounts: frozenset[str] = frozenset()
    """The users and groups that their scripts or sysusers.d files create."""
    listed: frozenset[str] = frozenset()
    """Every path they ship, /usr merged, diversions followed."""
    shipped: Mapping[str, str] = field(default_factory=dict)
    """The MD5 that dpkg has noted of their files below /etc: so one tells what was edited since."""
    folders: frozenset[str] = frozenset()
    """Folders below /etc that they ship or name, and that no other package ships."""
    named: frozenset[str] = frozenset()
    """Paths below /etc that their scripts, and scripts of theirs which these call, name in full, and not only look at."""
    words: frozenset[str] = frozenset()
    """The last parts of paths in the same scripts."""
    alternatives: frozenset[str] = frozenset()
    """Names in /etc/alternatives for which they offer a choice."""
    copies: frozenset[str] = frozenset()
    """The MD5 of every file that they ship anywhere: a script may copy it into a folder of theirs."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Where each link in /etc/ssl/certs leads: a hash leads to a name there, and that to a package's file."""
    behind: Mapping[str, str] = field(default_factory=dict)
    """The folders that are symbolic links, and those that they lead to (`wizard.system.links`, linked): what is in these
    goes by both names."""

    def owns(self, path: str, before: Entry | None, after: Entry | None) -> bool:
        """Whether there is evidence that these packages made, changed or removed `path`, which differs.

        A file that was there before and still is, is theirs only with the very bytes that they ship: a script that
        names it may make it only where it is missing (netbase's postinst and /etc/hosts). So is a new conffile, for its
        bytes are known to dpkg: with others somebody has edited it, and it stays. With the same bytes as before
        and another owner or mode, it is theirs where a script names it."""
        full = "/" + path.strip("/")
        return any(self._owns(name, before, after) for name in (full, *other_names(full, self.behind)))

    def _owns(self, full: str, before: Entry | None, after: Entry | None) -> bool:
        entry = after or before
        if entry is None:
            return False
        if entry.kind is Kind.SYMLINK and self._leads_to_theirs(full, entry):
            return True
        if not full.startswith("/etc/"):  # one of the few declared paths (facts.DECLARED), by its name alone
            return posixpath.basename(full) in self.words and (before is None or after is None)
        if before is not None and after is not None:
            return self._changed(full, before, after)
        if after is not None and after.kind is Kind.FILE and full in self.shipped:
            return self.shipped[full] == _md5(after)
        if full in self.listed or full in self.named or _SUFFIX.sub("", full) in self.listed:
            return True
        folder, name = posixpath.split(full)
        if folder == "/etc/alternatives" and after is None:
            return name in self.alternatives
        return folder in self.folders and (
            bool(self.words & {name, name.removesuffix(".db")})
            or (entry.content != b"" and _md5(entry) in self.copies)
        )

    def _changed(self, full: str, before: Entry, after: Entry) -> bool:
        if after.kind is Kind.DIRECTORY:
            return full in self.folders
        if after.kind is before.kind and after.content == before.content:
            return full in self.named
        put = _PUT_BEFORE.get(full)
        if put is not None and full in self.named and after.kind is before.kind:
            return after.content == put + before.content
        return after.kind is Kind.FILE and self.shipped.get(full) == _md5(after)

    def _leads_to_theirs(self, full: str, link: Entry) -> bool:
        target = _target(full, link.content.decode("utf-8", "surrogateescape"))
        for _ in range(3):
            folder, name = posixpath.split(target)
            if (
                target in self.listed
                or target in self.named
                or (folder in self.folders and name in self.words)
            ):
                return True
            if target not in self.links:
                return False
            target = self.links[target]
        return False


def footprint(host: Host, packages: Iterable[str]) -> Footprint:
    """What exactly these packages own, named as dpkg-query's ${binary:Package} has them.

    A package that dpkg does not know owns nothing. Raises OSError where dpkg's own files cannot be read."""
    wanted = set(packages)
    # dpkg-divert(1): the file that a package ships as the first is really at the second.
    diversions = _text(host, f"{DPKG}/diversions").splitlines()
    moved = dict(zip(diversions[::3], diversions[1::3], strict=False))
    listed, others, scripts = set[str](), set[str](), list[str]()
    shipped: dict[str, str] = {}
    for name in host.names(INFO):
        package, _, kind = name.rpartition(".")
        if kind == "list" and not _names(package, wanted):
            others |= _below_etc(host, name)
        elif kind in ("list", "conffiles") and _names(package, wanted):
            lines = _text(host, f"{INFO}/{name}").splitlines()
            paths = {line.removeprefix("remove-on-upgrade ") for line in lines}
            listed |= {_merged(moved.get(path, path)) for path in paths if path.startswith("/")}
        elif kind in _SCRIPTS and _names(package, wanted):
            scripts.append(_text(host, f"{INFO}/{name}"))
        elif kind == "md5sums" and _names(package, wanted):
            rows = (line.split("  ", 1) for line in _text(host, f"{INFO}/{name}").splitlines())
            shipped |= {f"/{row[1]}": row[0] for row in rows if len(row) == 2}
    shipped |= conffile_sums(_text(host, f"{DPKG}/status"), wanted)
    corpus = [expanded(text) for text in _with_called(host, scripts, listed)]
    named = {path for text in corpus for path in written_paths(text)}
    named |= set(_links_of_units(host, listed)) | set(_tmpfiles(host, listed))
    accounts = {name for text in scripts for name in created(expanded(text))}
    users = sorted(path for path in listed if "/sysusers.d/" in path)
    return Footprint(
        accounts=frozenset(accounts).union(*(sysusers(_text(host, path)) for path in users)),
        listed=frozenset(listed),
        shipped=shipped,
        folders=frozenset({path for path in listed | named if path.startswith("/etc/")} - others),
        named=frozenset(named - others),
        words=frozenset(word for text in corpus for word in _NAME.findall(text)),
        copies=frozenset(shipped.values()),
        alternatives=frozenset(_alternatives(host, listed)),
        links=_links(host, CERTIFICATES),
        behind=linked_folders(host),
    )


def expanded(script: str) -> str:
    """The script with the values of its variables in place of their names, where each has just one and that is plain."""
    values: dict[str, set[str]] = {}
    for name, *forms in _ASSIGNED.findall(script):
        values.setdefault(name, set()).add("".join(forms))
    known = {name: next(iter(each)) for name, each in values.items() if len(each) == 1}
    known["DPKG_ROOT"] = (
        ""  # but where dpkg --root works on another system (dpkg(1)); scripts of Debian 14 name it
    )
    for _ in range(_NESTED):
        script = _VARIABLE.sub(lambda variable: known.get(variable[1] or variable[2], variable[0]), script)
    return script


def written_paths(script: str) -> Iterator[str]:
    """The paths below /etc that a script names in full, without those which it only looks at ([ -f PATH ], cat PATH)."""
    for line in _COMMENT.sub("", script).splitlines():
        for path in _PATH.finditer(line):
            if path[0].startswith("/etc/") and not _LOOKS.search(line[: path.start()]):
                yield path[0]


def created(script: str) -> Iterator[str]:
    """The users and groups that a shell script creates, by literal calls of adduser, addgroup, useradd, groupadd."""
    joined = script.replace("\\\n", " ")
    for rest in _CREATES.findall(joined):
        lexer = shlex.shlex(rest, posix=True, punctuation_chars=";&|()<>`")
        lexer.whitespace_split, lexer.commenters = True, "#"
        try:
            words = list(lexer)
        except ValueError:
            continue  # quotes over several lines: nothing that can be told for sure
        end = next((at for at, word in enumerate(words) if set(word) <= set(";&|()<>`")), len(words))
        names = [word for word in _positional(words[:end]) if _ACCOUNT.fullmatch(word)]
        if len(names) == 1:  # `adduser USER GROUP` creates neither
            yield names[0]


def _positional(words: list[str]) -> Iterator[str]:
    rest = iter(words)
    for word in rest:
        if _VALUED.fullmatch(word):
            next(rest, None)
        elif not (word.startswith("-") or word.isdigit() or "$" in word):
            yield word


def sysusers(text: str) -> Iterator[str]:
    """The users and groups that a file of sysusers.d(5) creates."""
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0].rstrip("!") in ("u", "g", "m") and _ACCOUNT.fullmatch(words[1]):
            yield words[1]


def conffile_sums(status: str, packages: Iterable[str]) -> dict[str, str]:
    """The MD5 of each conffile as these packages ship it, out of dpkg's status file."""
    wanted = set(packages)
    sums: dict[str, str] = {}
    for block in status.split("\n\n"):
        name = re.search(r"^Package: (.+)$", block, re.MULTILINE)
        kind = re.search(r"^Architecture: (.+)$", block, re.MULTILINE)
        full = f"{name[1]}:{kind[1]}" if name and kind else ""
        conffiles = re.search(r"^Conffiles:\n((?: .*\n?)+)", block, re.MULTILINE)
        if name and conffiles and wanted & {name[1], full}:
            rows = [line.split() for line in conffiles[1].splitlines()]
            # While dpkg is in the middle of it a new one has `newconffile` there.
            sums |= {row[0]: row[1] for row in rows if len(row) >= 2 and _MD5.fullmatch(row[1])}
    return sums


def _names(package: str, wanted: set[str]) -> bool:
    """Whether a file of dpkg's database is of one of the packages; its name has the architecture for some only."""
    return package in wanted or (":" in package and package.partition(":")[0] in wanted)


def _merged(path: str) -> str:
    """The path on a merged /usr: /lib/systemd is /usr/lib/systemd."""
    return _MERGED.sub("/usr/", path, count=1) if _MERGED.match(path) else path


def _md5(entry: Entry) -> str:
    """As dpkg notes it."""
    return hashlib.md5(entry.content, usedforsecurity=False).hexdigest()


def _target(link: str, target: str) -> str:
    """Where a link leads, by its text alone."""
    return _merged(posixpath.normpath(posixpath.join(posixpath.dirname(link), target)))


def _text(host: Host, path: str) -> str:
    try:
        return host.path(path).read_text("utf-8", "surrogateescape")
    except FileNotFoundError:
        return ""


def _below_etc(host: Host, name: str) -> set[str]:
    """The paths below /etc in one of dpkg's lists. There are as many lists as packages: they are read as bytes."""
    try:
        paths = _BELOW_ETC.findall(host.path(f"{INFO}/{name}").read_bytes())
    except FileNotFoundError:
        return set()
    return {path.decode("utf-8", "surrogateescape") for path in paths}


def _with_called(host: Host, scripts: list[str], listed: set[str]) -> list[str]:
    """The scripts, and the scripts of the same packages that these call, and so on."""
    commands = {posixpath.basename(path): path for path in listed if re.fullmatch(r"/usr/s?bin/[^/]+", path)}
    corpus, folders, called_before, at = list(scripts), [INFO] * len(scripts), set[str](), 0
    while at < len(corpus):
        text = corpus[at]
        called = {_merged(path) for path in _PATH.findall(text)} & listed
        called |= {commands[word] for word in set(re.findall(r"[\w.+-]+", text)) & commands.keys()}
        called |= {f"{folders[at]}/{word}" for word in _NAME.findall(text)} & listed  # beside itself
        for path in sorted(called - called_before):
            called_before.add(path)
            if content := _script(host, path):
                corpus.append(content)
                folders.append(posixpath.dirname(path))
        at += 1
    return corpus


def _script(host: Host, path: str) -> str:
    """The text of a script; nothing for any other file."""
    try:
        with host.path(path).open("rb") as file:
            if file.read(2) != b"#!":
                return ""
            return file.read(_LARGEST).decode("utf-8", "replace")
    except OSError:
        return ""  # shipped, and yet not there: it cannot have been called


def _below(host: Host, folder: str) -> Iterator[str]:
    """The files below a folder, deepest folders too; a path each."""
    for name in host.names(folder):
        path = f"{folder}/{name}"
        if host.path(path).is_dir() and not host.path(path).is_symlink():
            yield from _below(host, path)
        else:
            yield path


def _links_of_units(host: Host, listed: set[str]) -> Iterator[str]:
    """The links that deb-systemd-helper(1p) noted for the units of the packages."""
    units = {posixpath.basename(path) for path in listed if "/systemd/" in path}
    for scope, target in (("helper", "system"), ("user-helper", "user")):
        for state in ("enabled", "masked"):
            folder = f"{SYSTEMD}/deb-systemd-{scope}-{state}"
            for path in _below(host, folder):
                name = posixpath.basename(path)
                if name.removesuffix(".dsh-also") in units and name.endswith(".dsh-also"):
                    yield from (line for line in _text(host, path).splitlines() if line.startswith("/etc/"))
                elif name in units:
                    yield f"/etc/systemd/{target}{path.removeprefix(folder)}"


def _tmpfiles(host: Host, listed: set[str]) -> Iterator[str]:
    """The paths that tmpfiles.d(5) files of the packages make below /etc."""
    for path in sorted(path for path in listed if "/tmpfiles.d/" in path):
        for line in _text(host, path).splitlines():
            words = line.split()
            if len(words) >= 2 and words[0][0] in "fFdDLCpwQvq" and words[1].startswith("/etc/"):
                yield words[1]


def _alternatives(host: Host, listed: set[str]) -> Iterator[str]:
    """The names in /etc/alternatives, slaves too, of the groups in which a choice is one of `listed`."""
    for group in host.names(f"{DPKG}/alternatives"):
        head, _, choices = _text(host, f"{DPKG}/alternatives/{group}").partition("\n\n")
        if {_merged(line) for line in choices.splitlines()} & listed:
            yield from (group, *head.splitlines()[2::2])


def _links(host: Host, folder: str) -> dict[str, str]:
    """Where each link in a folder leads."""
    try:
        with os.scandir(host.path(folder)) as entries:
            names = [entry.name for entry in entries if entry.is_symlink()]
    except (FileNotFoundError, NotADirectoryError):
        return {}
    root = str(host.path(folder))
    return {f"{folder}/{name}": _target(f"{folder}/{name}", os.readlink(f"{root}/{name}")) for name in names}  # noqa: PTH115 - hundreds of certificates


def own_tops(host: Host, packages: Iterable[str]) -> tuple[str, ...]:
    """The paths below /etc that these packages list and no other does, as absolute paths: what is below a folder of
    them goes with it. Raises HostError."""
    going = {name.partition(":")[0] for name in packages}
    if not going:
        return ()
    own, others = set[str](), set[str]()
    for file in host.names(INFO):
        stem, _, kind = file.rpartition(".")
        if kind == "list":
            (own if stem.partition(":")[0] in going else others).update(_below_etc(host, file))
    return tuple(sorted(own - others))


def own_paths(host: Host, packages: Iterable[str]) -> tuple[str, ...]:
    """What of these packages is below /etc, as absolute paths: what they ship and what their scripts name, and the links
    that start a service, offer an alternative and the like. Raises OSError."""
    owner = footprint(host, packages)
    return tuple(
        path
        for path in _below(host, "/etc")
        if owner.owns(path, _link(host, path) or Entry(Kind.FILE, 0o644, 0, 0), None)
    )


def _link(host: Host, path: str) -> Entry | None:
    try:
        target = os.readlink(os.fsencode(host.path(path)))  # noqa: PTH115 - the bytes, not a Path
    except OSError:
        return None
    return Entry(Kind.SYMLINK, 0o777, 0, 0, target)
