"""Sendmail.conf of Cyrus SASL: who is asked for a password (howto 3.1)."""

from __future__ import annotations

from wizard import facts as f
from wizard.editors import EditError, sasl_conf
from wizard.troubleshoot.nouns import Diagnosis, Evidence, Layer, Mend, Seen
from wizard.troubleshoot.picture import Picture


def _conf(picture: Picture) -> Seen | None:
    """Sendmail.conf, which says who is asked."""
    if f.SASL_CONF in picture.facts.unreadable or "sendmail-bin" not in picture.facts.packages:
        return None
    text = picture.facts.text(f.SASL_CONF)
    link = picture.facts.files.get(f.SASL_LINK)
    if text is None or link is None:
        gone = f.SASL_CONF if text is None else f.SASL_LINK
        return Seen(
            "Sendmail.conf is missing, so sasldb is asked instead of saslauthd, and knows nobody",
            (Evidence("no such file", gone), *picture.logged("user not found", since=picture.began)),
            Mend(("sendmail-auth", "mend-sendmail-restart")),
        )
    try:
        method = sasl_conf.value(text, "pwcheck_method")
    except EditError as error:
        return Seen(
            "libsasl2 drops the whole of Sendmail.conf at a line that it does not understand, and asks sasldb",
            (Evidence(str(error), f.SASL_CONF),),
            Mend(text=f"mend that line of {f.SASL_CONF}, then restart sendmail"),
        )
    if method and "saslauthd" in method.split():
        return None
    if picture.sasldb and (
        picture.account is None or picture.login or picture.account.user in picture.sasldb
    ):
        return None
    knows = (
        f", which knows {len(picture.sasldb)} users, and not this one"
        if picture.sasldb
        else ", which knows nobody"
    )
    return Seen(
        f"Sendmail.conf asks {method or 'auxprop (the default)'}, that is sasldb{knows}",
        (
            Evidence(f"pwcheck_method: {method or '(nothing)'}", f.SASL_CONF),
            Evidence(f"{len(picture.sasldb)} users", "sasldblistusers2"),
            *picture.logged("user not found", since=picture.began),
        ),
        Mend(("sendmail-auth", "mend-sendmail-restart")),
    )


DIAGNOSES = (
    Diagnosis(
        "sasl-conf",
        Layer.SASLAUTHD,
        "535, the password is refused for everybody",
        "3.1",
        "Sendmail.conf",
        _conf,
    ),
)
