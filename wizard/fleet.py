"""The same set-up for many hosts: a folder for Ansible with a collection, playbooks, and this host's settings as an inventory."""

from __future__ import annotations

import contextlib
import io
import json
import re
import zipfile
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import templates
from templates import render
from wizard import __version__
from wizard.delivery import is_one_file
from wizard.errors import UsageError
from wizard.mends.certificate import known_name, misnamed
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.render.files import as_toml
from wizard.system.output_file import AlreadyThere, OutputError, check_output, save

COLLECTION = "collections/ansible_collections/msa_wizard/msa"
PROGRAM = f"{COLLECTION}/roles/msa/files/msa-wizard.pyz"
"""The program itself, which the role brings to each host."""
GALAXY = {
    "namespace": "msa_wizard",
    "name": "msa",
    "version": __version__,
    "readme": "README.md",
    "authors": ["msa-wizard contributors"],
    "description": "Sendmail as a mail submission agent on many hosts, each step shown first and revertible",
    "license": ["MIT"],
    "tags": ["linux", "debian", "mail", "sendmail"],
    "dependencies": {},
}
"""What galaxy.yml says of the collection."""
_SOURCE = Path(templates.__file__).with_name("fleet")
_INVENTORY = "inventory"
_SETTINGS = f"{_INVENTORY}/group_vars/msa/answers.yml"
_PLAYBOOKS = ("site", "drift", "certificate", "troubleshoot", "rollback")
_MODULES = "plugins/modules/"
_SHEBANG = "#!/usr/bin/python\n"
_LOOPBACK = ("127.0.0.1", "::1")


@dataclass(frozen=True)
class Exported:
    """What was written and what stayed as it was there, by their names in the folder."""

    written: tuple[str, ...]
    kept: tuple[str, ...]
    """Of the inventory of an earlier export, the folder: nothing is added to it, for its admin may have moved what is not there."""
    unknown: tuple[str, ...] = ()
    """Files of the collection that this version does not have, such as those of an earlier one."""


def program_for_hosts(file: Path) -> bytes:
    """The one file, which must be of this version. Raises UsageError."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UsageError(f"--program {file}: {error.strerror}. Nothing was written") from error
    version = _version(io.BytesIO(content))
    if version is None:
        raise UsageError(f"--program {file}: it is not msa-wizard.pyz. Nothing was written")
    if version != __version__:
        raise UsageError(
            f"--program {file}: it is version {version}, and this is {__version__}. Nothing was written"
        )
    return content


def _version(file: io.BytesIO) -> str | None:
    """That of the one file; None for another file."""
    if not is_one_file(file):
        return None
    with contextlib.suppress(zipfile.BadZipFile, zlib.error), zipfile.ZipFile(file) as outer:
        start = outer.read("__main__.py").decode("utf-8", "replace")
        if found := re.search(r'print\("msa-wizard ([^ "]+)', start):
            return found[1]
    return None


def collection() -> dict[str, str]:
    """The files of the collection but the program, by their names in it."""
    source = _SOURCE / "collection"
    files = {
        str(path.relative_to(source)): path.read_text()
        for path in sorted(source.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    # Ansible wants them to begin so; here they are no programs.
    files |= {name: f"{_SHEBANG}{text}" for name, text in files.items() if name.startswith(_MODULES)}
    galaxy = "".join(f"{name}: {json.dumps(value)}\n" for name, value in GALAXY.items())
    return files | {"galaxy.yml": f"---\n{galaxy}"}


def name_of(facts: Facts) -> str:
    """What this host is called in the inventory. Raises UsageError where each machine calls itself so."""
    name = (known_name(facts) or facts.hostname) if misnamed(facts) else facts.fqdn
    if name.partition(".")[0].lower() == "localhost":
        raise UsageError(
            f"this host is called {name}, and so is the machine on which Ansible runs. Name it (`hostnamectl hostname NAME`) "
            "and have /etc/hosts say so. Nothing was written"
        )
    return name


def inventory(answers: Answers, facts: Facts) -> dict[str, str]:
    """The example inventory: this host, its settings for all, and what is its own."""
    host = name_of(facts)
    own = _own(answers)
    names = {"accept", *(name for values in own.values() for name in values)}
    shared = as_yaml(as_toml(answers, facts), leave_out=names)
    accept, user = json.dumps(answers.accept), json.dumps(answers.test.user)
    of_host = render("fleet/host_vars.yml.j2", host=host, own=own, accept=accept, user=user)
    return {
        "inventory/hosts.yml": render("fleet/hosts.yml.j2", host=host, misnamed=misnamed(facts)),
        _SETTINGS: render("fleet/group_vars.yml.j2", host=host, answers=shared),
        "inventory/group_vars/msa/vault.yml.example": (_SOURCE / "vault.yml.example").read_text(),
        f"inventory/host_vars/{host}.yml": of_host,
    }


def _own(answers: Answers) -> dict[str, dict[str, str]]:
    """The settings that are about this host alone, by section, as JSON. So is what it accepts, which is in no section: nobody
    has seen what it would end elsewhere."""
    listen, source, name = answers.listen, answers.auth.saslauthd_mechanism, answers.certificate.name
    addresses = {"submission": listen.submission, "smtp": listen.smtp}
    of_listen: dict[str, object] = {
        key: value for key, value in addresses.items() if set(value) - set(_LOOPBACK)
    }
    if listen.local_submission:  # which needs addresses of the host
        of_listen["local_submission"] = True
    own: dict[str, dict[str, object]] = {
        "listen": of_listen,
        "auth": {"saslauthd_mechanism": source} if source else {},
        "certificate": {"name": name} if name else {},
    }
    return {
        section: {key: json.dumps(value) for key, value in values.items()}
        for section, values in own.items()
        if values
    }


def as_yaml(toml: str, leave_out: Collection[str] = ()) -> str:
    """The settings of answers.toml with their comments, as YAML that is one level in. Its values are those of JSON, which YAML
    takes as they are. Neither its head, which is about that file, nor what `leave_out` names, nor the login of the test."""
    body = toml.partition("\n\n")[2].partition("\n[test]\n")[0].rstrip()
    return "".join(f"{line}\n" for line in _as_yaml(body, leave_out))


def _as_yaml(toml: str, leave_out: Collection[str]) -> Iterator[str]:
    indent = "  "
    for line in toml.splitlines():
        if section := re.fullmatch(r"\[(\w+)\]", line):
            indent = "    "
            yield f"  {section[1]}:"
        elif setting := re.fullmatch(r"(# )?(\w+) = (.*)", line):
            hidden = setting[1] or ("# " if setting[2] in leave_out else "")
            yield f"{indent}{hidden}{setting[2]}: {setting[3]}"
        else:
            yield f"{indent}{line}" if line else ""


def export(folder: Path, answers: Answers, facts: Facts, program: bytes, *, force: bool = False) -> Exported:
    """Write all of it below `folder`. Without `force` nothing may be there already; with it what is ours is replaced, and the
    inventory, ansible.cfg and README.md stay: nothing is added to the inventory of an earlier export. Raises OutputError."""
    ours: dict[str, str | bytes] = {f"{COLLECTION}/{name}": text for name, text in collection().items()}
    ours[PROGRAM] = program
    ours |= {f"{name}.yml": (_SOURCE / f"{name}.yml").read_text() for name in _PLAYBOOKS}
    theirs: dict[str, str | bytes] = dict(inventory(answers, facts))
    theirs["ansible.cfg"] = render("fleet/ansible.cfg.j2")
    host = name_of(facts)
    theirs["README.md"] = render("fleet/README.md.j2", host=host, version=__version__)
    there = [name for name in (*ours, *theirs) if (folder / name).exists() or (folder / name).is_symlink()]
    if there and not force:
        raise AlreadyThere(folder / there[0])
    kept = [name for name in theirs if name in there]
    exported_before = any((folder / name).exists() for name in (COLLECTION, _SETTINGS))
    if exported_before and (folder / _INVENTORY).exists():
        theirs = {name: content for name, content in theirs.items() if not name.startswith(_INVENTORY)}
        kept = [_INVENTORY, *(name for name in kept if name in theirs)]
    wanted = {name: content for name, content in (ours | theirs).items() if name not in kept}
    for name in wanted:
        _make_folder((folder / name).parent)
        check_output(folder / name)
    for name, content in wanted.items():
        save(folder / name, content, 0o755 if name == PROGRAM else 0o644, force=force)
    return Exported(tuple(sorted(wanted)), tuple(sorted(kept)), tuple(_unknown(folder, ours.keys())))


def _unknown(folder: Path, ours: Collection[str]) -> Iterator[str]:
    for path in sorted((folder / COLLECTION).rglob("*")):
        name = str(path.relative_to(folder))
        if not path.is_dir() and name not in ours:
            yield name


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(folder, error.strerror or str(error), "name another folder") from error
