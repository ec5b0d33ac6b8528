"""STARTTLS: included, with a certificate and a key that sendmail takes (howto 3.2, 5.3; docs/debian.md trap 8)."""

from __future__ import annotations

import re

from wizard.editors import EditError, sendmail_mc
from wizard.editors.daemon_options import with_letters
from wizard.mends.mc_values import OFF
from wizard.model import facts as f
from wizard.model.plan import Sign
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.cf import Daemon
from wizard.sendmail.cf_needs import TlsFiles
from wizard.troubleshoot.diagnoses.configuration import REGENERATED, in_place
from wizard.troubleshoot.diagnoses.listener import SUBMISSION
from wizard.troubleshoot.diagnosis import Diagnosis, of_unknown
from wizard.troubleshoot.host_state import DAEMON, Picture, daemon_lines
from wizard.troubleshoot.model import Evidence, Finding, Layer, Mend
from wizard.troubleshoot.probe_smtp import is_submission


def included(picture: Picture, path: str) -> bool | None:
    """Whether sendmail.mc includes the file; None where that cannot be told."""
    if not picture.mc:
        return None
    try:
        return path in sendmail_mc.includes(picture.mc)
    except EditError:
        return None


def _include(picture: Picture) -> Finding | None:
    if picture.files.certificate or not picture.cf or included(picture, f.STARTTLS_M4) is not False:
        return None
    return Finding(
        "sendmail.mc does not include starttls.m4: without it there is no encryption and no login",
        (Evidence("no ServerCertFile", "sendmail.cf"), Evidence("no include of starttls.m4", f.SENDMAIL_MC)),
        Mend(("mc-includes", *REGENERATED)),
    )


def _spoilt(picture: Picture) -> Finding | None:
    if included(picture, f.STARTTLS_M4) is not True or (picture.files.certificate and picture.files.key):
        return None
    generated = picture.facts.cf_from_mc or ""
    if sendmail_cf.option(generated, "ServerCertFile"):
        return None
    text = picture.facts.files.get(f.STARTTLS_M4)
    state = "no such file" if text is None else "it does not set confSERVER_CERT"
    return Finding(
        "starttls.m4 is damaged: it is included, but gives no certificate",
        (Evidence(state, f.STARTTLS_M4),),
        Mend(("mend-starttls-m4", *REGENERATED)),
    )


def _missing(picture: Picture) -> Finding | None:
    files = picture.files
    gone = [
        path
        for path, entry in ((files.certificate, files.certificate_entry), (files.key, files.key_entry))
        if path and entry is None
    ]
    if not gone:
        return None
    return Finding(
        f"{' and '.join(gone)} {'is' if len(gone) == 1 else 'are'} missing, so sendmail offers no STARTTLS",
        (
            *(Evidence("no such file", path) for path in gone),
            *picture.logged("unsafe", "TLS not available", "STARTTLS=server, error", since=_start(picture)),
        ),
        Mend(("mend-certificate",))
        if files.debian
        else Mend(text=files.renewal or f"put {' and '.join(gone)} there, then restart sendmail"),
        picture.latent,
    )


def _refused(picture: Picture, *, keys: bool) -> Finding | None:
    """What sendmail calls unsafe: a key, or what is public."""
    named = TlsFiles.of(picture.cf)
    mine = {named.key, *named.more_keys}
    refused = [each for each in picture.facts.tls_refused if (each.path in mine) is keys]
    if not refused:
        return None
    first, entry = refused[0], picture.facts.files.get(refused[0].culprit)
    evidence = [Evidence(each.why, each.culprit) for each in refused]
    if entry is not None:
        evidence.insert(0, Evidence(f"mode {entry.mode:04o}, owner {entry.uid}:{entry.gid}", first.culprit))
    commands = " && ".join(dict.fromkeys(each.command for each in refused))
    fixable = all(each.mode is not None and each.culprit.startswith("/etc/") for each in refused)
    readable = any("everybody may read" in each.why for each in refused)
    return Finding(
        f"sendmail refuses {first.path} as unsafe, and offers no STARTTLS: {first.why}",
        (*evidence, *picture.logged(f"{first.path} unsafe", since=_start(picture), limit=2)),
        Mend(("mend-key-mode",)) if fixable else Mend(text=f"`{commands}`, then restart sendmail"),
        Sign.FAILED if readable else picture.latent,
    )


def _start(picture: Picture) -> float:
    """When the daemon read these files: what it logged of them before is over."""
    process = picture.facts.process(DAEMON)
    return process.started - 2 if process else picture.began - 3600


def _unsafe(picture: Picture) -> Finding | None:
    return _refused(picture, keys=True)


def _unsafe_certificate(picture: Picture) -> Finding | None:
    return _refused(picture, keys=False)


def _authorities(picture: Picture) -> Finding | None:
    files = picture.files
    if not files.certificate or not files.authorities:
        return None
    generated = picture.facts.cf_from_mc or ""
    whole = all(sendmail_cf.option(generated, option) for option in ("CACertFile", "CACertPath"))
    return Finding(
        f"without authorities sendmail offers no STARTTLS, and may not log it: {files.authorities}",
        (
            Evidence(files.authorities, f.SENDMAIL_CF),
            *picture.logged("load verify locs", since=_start(picture), limit=1),
        ),
        Mend(REGENERATED)
        if whole and "sendmail.cf has no" in files.authorities
        else Mend(
            text="put define(`confCACERT', `/etc/ssl/certs/ca-certificates.crt')dnl and define(`confCACERT_PATH', "
            "`/etc/ssl/certs')dnl into sendmail.mc after its includes, then run sendmailconfig"
        ),
        picture.latent,
    )


def _pair(picture: Picture) -> Finding | None:
    files = picture.files
    if not files.pair:
        return None
    text = files.renewal or "`msa-wizard certificate install CERT KEY` installs a matching pair"
    if "passphrase" in files.pair:
        key = files.key
        text = (
            f"take it off: `openssl pkey -in {key} -out /root/open.key && cat /root/open.key > {key}; "
            "rm /root/open.key`, then restart sendmail"
        )
    why = f"{files.certificate} {files.pair}" if files.pair.startswith("holds") else files.pair
    return Finding(
        f"sendmail cannot use {files.certificate} with {files.key}, and offers no STARTTLS: {why}",
        (
            Evidence(files.pair, f"OpenSSL, of {files.certificate} and {files.key}"),
            *picture.logged("STARTTLS=server, error", since=picture.began - 3600, limit=2),
        ),
        Mend(("mend-certificate",))
        if files.debian and (files.parsed is None or files.parsed.self_signed)
        else Mend(text=text),
    )


def _key(picture: Picture) -> str:
    return picture.files.parsed.key if picture.files.parsed else ""


_BITS = {3: (3072, 256), 4: (7680, 384), 5: (15360, 512)}
"""The shortest keys, RSA and EC, for the levels of SSL_CTX_set_security_level(3) above OpenSSL's own."""
_SECLEVEL = re.compile(r"@SECLEVEL=([345])")


def _too_strict(picture: Picture, listed: str) -> bool:
    """Whether CipherList demands longer keys than the certificate has."""
    bits = re.search(r"\d{3,5}", _key(picture))
    level = _SECLEVEL.search(listed)
    if not bits or not level:
        return False
    return int(bits.group()) < _BITS[int(level[1])][not _key(picture).startswith("RSA")]


def _tls_settings(picture: Picture) -> Finding | None:
    """CipherList and ServerSSLOptions against the certificate: TLS 1.3 needs no suite of the list."""
    listed = sendmail_cf.option(picture.cf, "CipherList") or ""
    flags = sendmail_cf.option(picture.cf, "ServerSSLOptions") or ""
    off = {word.lstrip("+") for word in flags.split()} & set(OFF)
    kinds = {"rsa"} if _key(picture).startswith("RSA") else {"ecdsa"}
    fits = picture.suites is None or not _key(picture) or bool(picture.suites & kinds)
    several = "," in (sendmail_cf.option(picture.cf, "ServerCertFile") or "")
    strict = _too_strict(picture, listed)
    none = len(off) == len(OFF)
    if none:
        cause = "ServerSSLOptions switches TLS 1.2 and 1.3 off, and OpenSSL here speaks nothing older"
    elif strict:
        cause = f"CipherList demands longer keys (@SECLEVEL) than the certificate's ({_key(picture)})"
    elif not fits and not several:
        cause = f"CipherList has no cipher for the certificate's type of key ({_key(picture)})"
    else:
        return None
    failed = any(talk.stopped is Layer.STARTTLS for talk in picture.broken)
    every = failed or none or strict or "SSL_OP_NO_TLSv1_3" in off
    works = not failed and any(talk.tls for talk in picture.submissions)
    who = "clients that do not speak TLS 1.3 get no encryption"
    if every:
        who = f"every TLS handshake {'will fail after the next restart' if works else 'fails'}"
    name, step = "confCIPHER_LIST", "mend-cipher-list"
    if none:
        name, step = "confSERVER_SSL_OPTIONS", "mend-tls-versions"
    options, place = (("CipherList", listed), ("ServerSSLOptions", flags)), picture.written(name)
    return Finding(
        f"{cause}: {who}",
        (
            *(Evidence(f"O {option}={value[:300]}", "sendmail.cf") for option, value in options if value),
            *place,
            *picture.logged("STARTTLS=server, error", since=picture.began - 60, limit=1, proved=True),
        ),
        in_place(place, {f.SENDMAIL_MC: step}, "correct"),
        Sign.WARNING if works or not every else Sign.FAILED,
    )


def _switched_off(picture: Picture) -> Finding | None:
    off = [daemon for daemon in picture.daemons if is_submission(daemon) and "S" in daemon.modifiers]
    if not off:
        return None
    return Finding(
        "STARTTLS is switched off (modifier S) on the port for mail clients",
        daemon_lines(off),
        Mend(SUBMISSION if any("S" in daemon.modifiers for daemon in picture.from_mc) else REGENERATED),
    )


def _not_on_connect(picture: Picture) -> Finding | None:
    wrong = [
        daemon
        for daemon in picture.daemons
        if (daemon.port == 465) != daemon.tls_on_connect and daemon.port in (465, 587)
    ]
    if not wrong:
        return None
    first = wrong[0]
    behaviour = (
        f"speaks plain SMTP on port 465 (Name={first.name}, no modifier s)"
        if first.port == 465
        else "wants TLS on connect on port 587 (modifier s)"
    )
    return Finding(
        f"sendmail {behaviour}, but mail clients expect the opposite",
        daemon_lines(wrong),
        Mend(("submission-port", *REGENERATED))
        if first.port == 587
        else Mend(text=modifiers_text(first, "as")),
    )


def modifiers_text(daemon: Daemon, letters: str) -> str:
    """What a person does to give a listener these modifiers."""
    wanted = with_letters(daemon.modifiers, letters, letters.swapcase())
    return (
        f"in sendmail.mc write M={wanted} into the DAEMON_OPTIONS line with Name={daemon.name}, "
        "then `sendmailconfig` and `systemctl restart sendmail`"
    )


def _unknown(picture: Picture) -> Finding | None:
    return picture.unexplained(Layer.STARTTLS, "no encryption on {source}")


_S = Layer.STARTTLS
DIAGNOSES = (
    Diagnosis(
        "starttls-include",
        _S,
        "no encryption is offered",
        "3.2",
        "sendmail.mc, sendmail.cf",
        _include,
        cause="sendmail.mc does not include starttls.m4",
        fix="include it (--fix: mc-includes, sendmailconfig, restart)",
    ),
    Diagnosis(
        "starttls-m4",
        _S,
        "no encryption is offered",
        "3.2",
        "starttls.m4",
        _spoilt,
        cause="starttls.m4 is damaged or gone, so sendmail.mc gives no certificate",
        fix="write it again (--fix: mend-starttls-m4, sendmailconfig, restart)",
    ),
    Diagnosis(
        "starttls-off",
        _S,
        "no encryption is offered",
        "3.3",
        "sendmail.cf",
        _switched_off,
        cause="modifier S switches STARTTLS off on the port for mail clients",
        fix="take S out (--fix: submission-port, sendmailconfig, restart)",
    ),
    Diagnosis(
        "certificate-missing",
        _S,
        "454 TLS not available",
        "5.3",
        "the files",
        _missing,
        cause="the file of the certificate or of its key is gone",
        fix="restore it; where it is Debian's own, make a new pair (--fix: mend-certificate)",
    ),
    Diagnosis(
        "key-unsafe",
        _S,
        "no encryption is offered",
        "5.3",
        "mode and owner",
        _unsafe,
        cause="others can read the key, or write to a folder above it, and sendmail then refuses to use it",
        fix="correct the key's mode and owner (--fix: mend-key-mode)",
    ),
    Diagnosis(
        "key-mismatch",
        _S,
        "454 TLS not available",
        "5.3",
        "OpenSSL loads both",
        _pair,
        cause="certificate and key do not belong together, or one of them is damaged",
        fix="install a matching pair; where it is Debian's own, make a new one (--fix: mend-certificate)",
    ),
    Diagnosis(
        "tls-settings",
        _S,
        "the TLS handshake fails",
        "",
        "CipherList, ServerSSLOptions",
        _tls_settings,
        cause="CipherList or ServerSSLOptions leaves no cipher or no version of TLS that fits the certificate",
        fix="change that line of sendmail.mc (--fix: mend-cipher-list, mend-tls-versions, sendmailconfig, restart)",
    ),
    Diagnosis(
        "tls-on-connect",
        _S,
        "the TLS handshake fails",
        "3.3",
        "sendmail.cf",
        _not_on_connect,
        cause="port 465 lacks modifier s, or port 587 has it: client and server each wait for TLS to begin the other way",
        fix="give 587 M=Ea and 465 M=Eas (--fix: submission-port, sendmailconfig, restart)",
    ),
    of_unknown(("starttls-unknown", _S, "no encryption", "3.2", "the conversation"), _unknown),
    Diagnosis(
        "certificate-unsafe",
        _S,
        "no encryption is offered",
        "5.3",
        "mode and owner",
        _unsafe_certificate,
        cause="others may write to the certificate, and sendmail then refuses to use it",
        fix="take that permission away (--fix: mend-key-mode)",
    ),
    Diagnosis(
        "authorities-unusable",
        _S,
        "no encryption is offered",
        "5.3",
        "sendmail.cf, CACertFile",
        _authorities,
        cause="CACertFile or CACertPath is missing or empty, and sendmail then offers no STARTTLS",
        fix="name those of Debian in sendmail.mc, or rebuild sendmail.cf (--fix: sendmailconfig, restart)",
    ),
)
