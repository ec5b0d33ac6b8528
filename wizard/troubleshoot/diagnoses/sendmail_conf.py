"""Sendmail.conf of Cyrus SASL: who is asked for a password (howto 3.1)."""

from __future__ import annotations

from wizard.console import count
from wizard.editors import EditError, sasl_conf
from wizard.model import facts as f
from wizard.troubleshoot.diagnosis import Diagnosis
from wizard.troubleshoot.host_state import Picture
from wizard.troubleshoot.model import Evidence, Finding, Layer, Mend


def _conf(picture: Picture) -> Finding | None:
    """Sendmail.conf, which says who is asked."""
    path = picture.facts.sasl_conf or f.SASL_CONF
    if path in picture.facts.unreadable or "sendmail-bin" not in picture.facts.packages:
        return None
    text = picture.facts.text(path)
    link = picture.facts.files.get(f.SASL_LINK)
    if text is None or (link is None and picture.facts.sasl_place == f.SASL_LINK):
        if not picture.source.saslauthd:
            return None  # sasldb is asked, and has the users
        gone = path if text is None else f.SASL_LINK
        return Finding(
            "Sendmail.conf is missing, so sasldb, which knows nobody, is asked instead of saslauthd",
            (Evidence("no such file", gone), *picture.logged("user not found", since=picture.began)),
            Mend(("sendmail-auth", "mend-sendmail-restart")),
        )
    try:
        method = sasl_conf.value(text, "pwcheck_method")
    except EditError as error:
        return Finding(
            "libsasl2 ignores all of Sendmail.conf because of a line that it does not understand, and asks sasldb",
            (Evidence(str(error), path),),
            Mend(text=f"fix that line of {path}, then restart sendmail"),
        )
    if method and "saslauthd" in method.lower().split():
        return None
    if picture.account is None or picture.login or picture.account.user in picture.sasldb:
        served = not picture.source.saslauthd or bool(picture.sasldb)
        return None if served else _nobody(picture, path, method)
    if picture.source.saslauthd:
        return _nobody(picture, path, method)
    return _another(picture, path, method) if picture.source.name == "sasldb" else None


def _nobody(picture: Picture, path: str, method: str | None) -> Finding:
    knows = (
        f", which knows {count(len(picture.sasldb), 'user')}, but not this one"
        if picture.sasldb
        else ", which knows nobody"
    )
    return Finding(
        f"Sendmail.conf asks {method or 'auxprop (the default)'}, that is sasldb{knows}",
        _asked(picture, path, method),
        Mend(("sendmail-auth", "mend-sendmail-restart")),
    )


def _another(picture: Picture, path: str, method: str | None) -> Finding:
    """The host's logins come from sasldb, and this user is not in it."""
    return Finding(
        f"logins come from sasldb on this host, which knows {count(len(picture.facts.sasldb or ()), 'user')}, but not this one",
        _asked(picture, path, method),
        Mend(text="add the user, with a password of its own: `saslpasswd2 -c -u REALM NAME`"),
    )


def _asked(picture: Picture, path: str, method: str | None) -> tuple[Evidence, ...]:
    return (
        Evidence(f"pwcheck_method: {method or '(nothing)'}", path),
        Evidence(f"{count(len(picture.facts.sasldb or ()), 'user')}", "sasldblistusers2"),
        *picture.logged("user not found", since=picture.began),
    )


DIAGNOSES = (
    Diagnosis(
        "sasl-conf",
        Layer.SASLAUTHD,
        "535, the password is refused for everybody",
        "3.1",
        "Sendmail.conf",
        _conf,
        cause="Sendmail.conf is missing, cannot be read by libsasl2, or asks sasldb instead of saslauthd",
        fix="have it ask saslauthd, or correct the line (--fix: sendmail-auth, mend-sendmail-restart)",
    ),
)
