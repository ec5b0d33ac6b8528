"""Who may read and write /etc/sasldb2 and what is below /etc/mail, and who may no more once sendmailconfig has run: Debian's scripts set owner
and mode each time (update_sys, update_auth, update_tls, update_mk and update_db of 8.17.1.9 to 8.18.2)."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, replace

from snapshots.format.layout import Owners
from snapshots.live.entry import ACL
from wizard.model import facts as f
from wizard.sendmail.cf_needs import behind_links
from wizard.sendmail.written_anew import transition
from wizard.system.host import Host

MAIL_FOLDER = "/etc/mail"
_FOLDERS = {
    MAIL_FOLDER: 0o2755,
    f"{MAIL_FOLDER}/m4": 0o2755,
    f"{MAIL_FOLDER}/smrsh": 0o2755,
    f"{MAIL_FOLDER}/sasl": 0o755,
    f"{MAIL_FOLDER}/tls": 0o755,
}
_SECRETS = (f.SASL_CONF, f"{MAIL_FOLDER}/default-auth-info")
_ITS_OWN = frozenset((*_SECRETS, f"{MAIL_FOLDER}/authinfo"))
"""What sendmail alone reads, or makemap as root: that all others may, too, is nothing that anybody needs."""
SASLDB = "/etc/sasldb2"
_GROUP_MAIL = 8
OF_SASL = (f"{MAIL_FOLDER}/sasl", f.SASL_M4, *_SECRETS, SASLDB)
"""What update_auth gives its owner and mode."""
_OF_TLS = (f.SERVER_CERT, f.CLIENT_CERT, f.COMMON_KEY, f"{MAIL_FOLDER}/tls/sendmail-common.prm")
_ROOTS_ALONE = (f.ACCESS, f"{MAIL_FOLDER}/authinfo")
_MADE_OF_MC = (f.SENDMAIL_CF, f.SUBMIT_CF)
_GENERATED = (f.SASL_M4, f.STARTTLS_M4)
_NAMED = frozenset((*_FOLDERS, *_SECRETS, SASLDB, *_OF_TLS, *_ROOTS_ALONE, *_GENERATED))


@dataclass(frozen=True)
class Rights:
    """Owner, group and mode of a file or folder."""

    uid: int
    gid: int
    mode: int
    acl: bool = False
    """Whether an ACL names others: the bits of the group are the most that these may."""


def set_by_scripts(
    path: str, now: Rights, mail: Rights, cf: str, sasl: int = 0, *, tls: bool = True, switched: bool = False
) -> Rights:
    """What Debian's scripts make of it, with `mail` for smmta and smmsp and `sasl` for that group; the maps that they make are
    named in `cf`; `tls` is whether update_tls comes to what it has made before, `switched` whether update_auth changes
    auto_transition in Sendmail.conf."""
    then = now
    if path == SASLDB:
        taken = now.gid in (0, _GROUP_MAIL, mail.gid)  # of these, update_auth makes it root:sasl
        then = replace(now, uid=0, gid=sasl) if taken else now
        return replace(then, mode=now.mode & ~0o017)
    if path in _FOLDERS:
        return replace(mail, mode=_FOLDERS[path], acl=now.acl)
    if path in _MADE_OF_MC:  # it and a map are new files, without an ACL
        return Rights(0, mail.gid, 0o644)
    if (source := path.removesuffix(".db")) != path and f" {source}\n" in cf:
        return Rights(mail.uid if source in _ROOTS_ALONE else 0, mail.gid, 0o640)
    if path == f.SASL_CONF and switched:  # that is a new file, too
        return replace(mail, mode=0o644)
    if path in _SECRETS:
        then = replace(mail, mode=0o640, acl=now.acl)
    elif path in _GENERATED:
        then = Rights(0, 0, 0o744, now.acl)
    elif path in _OF_TLS and tls:
        then = replace(now, uid=0, gid=mail.gid)
    elif path in _ROOTS_ALONE and f" {path}\n" in cf:
        then = replace(now, mode=now.mode & ~0o077)
    # update_sys comes first, and where the group may write takes that from it, and from all others.
    return replace(then, mode=then.mode & ~0o022) if now.mode & 0o020 else then


def takes_away(path: str, now: Rights, then: Rights, mail: Rights) -> bool:
    """Whether its owner or its group may do less, unless these are root's or the mail system's own, or whom an ACL names, or
    all others may write no more, or read what is not for sendmail alone."""
    had = {who: now.mode >> shift & 7 for who, shift in (("owner", 6), ("group", 3), ("others", 0))}
    has = {who: then.mode >> shift & 7 for who, shift in (("owner", 6), ("group", 3), ("others", 0))}
    owner = has["owner"] if then.uid == now.uid else has["others"]
    group = has["group"] if then.gid == now.gid else has["others"]
    return bool(
        (now.uid not in (0, mail.uid) and had["owner"] & ~owner)
        or (now.gid not in (0, mail.gid) and had["group"] & ~group)
        or (now.acl and had["group"] & ~has["group" if then.acl else "others"])
        or had["others"] & ~has["others"] & (0o2 if path in _ITS_OWN else 0o6)
    )


def taken_away(host: Host, paths: Iterable[str], cf: str) -> tuple[str, ...]:
    """The files and folders of these that somebody may read or write no more, a line each; none where there are no such users."""
    owners = Owners(host.root)
    users, groups = (
        {name: number for number, name in each.items()} for each in (owners.users, owners.groups)
    )
    if "smmta" not in users or "smmsp" not in groups:
        return ()
    mail = Rights(users["smmta"], groups["smmsp"], 0)
    lines, tls = [], all(host.exists(path) for path in _OF_TLS)  # it ends at the first that is not there
    switched = bool(transition(host.text(f.SASL_CONF)))
    for path in sorted(paths):
        # chown and chmod follow a link.
        place = behind_links(host, path) if path in _NAMED else path
        try:
            status = host.path(place).lstat()
            acl = ACL in os.listxattr(host.path(place), follow_symlinks=False)
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
            now = Rights(status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode), acl)
            then = set_by_scripts(path, now, mail, cf, groups.get("sasl", 0), tls=tls, switched=switched)
            if takes_away(path, now, then, mail):
                lines.append(f"{place}: {_shown(now, owners)} -> {_shown(then, owners)}")
    return tuple(lines)


def _shown(rights: Rights, owners: Owners) -> str:
    user = owners.users.get(rights.uid, str(rights.uid))
    return f"{rights.mode:04o}{'+' * rights.acl} {user}:{owners.groups.get(rights.gid, str(rights.gid))}"
