"""What is offered for a login, where, and when: mechanisms, modifiers, AuthOptions (howto 3.1 to 3.5)."""

from __future__ import annotations

from collections.abc import Callable

from wizard.editors import EditError, sasl_conf
from wizard.editors.daemon_options import is_loopback
from wizard.mends.access import of_loopback
from wizard.model import facts as f
from wizard.model.plan import Sign
from wizard.sendmail import access_map
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.cf import Daemon
from wizard.sendmail.local_mail import destination
from wizard.sendmail.password_source import needs_secret
from wizard.troubleshoot.diagnoses.configuration import REGENERATED, in_place
from wizard.troubleshoot.diagnoses.listener import SUBMISSION
from wizard.troubleshoot.diagnoses.starttls import included, modifiers_text
from wizard.troubleshoot.diagnosis import Diagnosis, of_unknown
from wizard.troubleshoot.host_state import Picture, Text, daemon_lines
from wizard.troubleshoot.model import Evidence, Finding, Layer, Mend
from wizard.troubleshoot.probe_smtp import is_submission

SERVABLE = ("LOGIN", "PLAIN")


def _modules(picture: Picture) -> Finding | None:
    if picture.facts.has("libsasl2-modules") or "sendmail-bin" not in picture.facts.packages:
        return None
    return Finding(
        "libsasl2-modules is not installed: no AUTH is offered, and nothing is logged",
        (Evidence("libsasl2-modules: not installed", "dpkg-query"),),
        Mend(("install", "mend-sendmail-restart")),
        picture.latent,
    )


def _include(picture: Picture) -> Finding | None:
    if not picture.cf or included(picture, f.SASL_M4) is not False:
        return None
    if sendmail_cf.option(picture.cf, "AuthMechanisms") and picture.works:
        return None
    if sendmail_cf.option(picture.facts.cf_from_mc or "", "AuthMechanisms"):
        return None  # settings of the admin's own
    offered = {name: None for talk in picture.submissions for name in (*talk.clear, *talk.offered)}
    offers = "no login"
    if offered and not offered.keys() & set(SERVABLE):
        offers = f"{' '.join(offered)}, and neither LOGIN nor PLAIN"
    return Finding(
        f"sendmail.mc does not include sasl.m4: sendmail offers {offers}",
        (Evidence("no include of sasl.m4", f.SENDMAIL_MC),),
        Mend(("sendmail-auth", "mc-includes", *REGENERATED)),
        picture.latent,
    )


def _m4_gone(picture: Picture) -> Finding | None:
    if included(picture, f.SASL_M4) is not True:
        return None
    there = picture.facts.files.get(f.SASL_M4) is not None
    if there and (
        picture.facts.cf_from_mc is None or sendmail_cf.option(picture.facts.cf_from_mc, "AuthMechanisms")
    ):
        return None
    return Finding(
        "sasl.m4 is missing or damaged: sendmail.mc includes it, but it gives no mechanisms",
        (Evidence("it sets no confAUTH_MECHANISMS" if there else "no such file", f.SASL_M4),),
        Mend(("mend-sasl-m4", *REGENERATED)),
        picture.latent,
    )


def _switched_off(picture: Picture) -> Finding | None:
    off = [daemon for daemon in picture.daemons if is_submission(daemon) and "A" in daemon.modifiers]
    if not off:
        return None
    both = any("a" in daemon.modifiers for daemon in off)
    return Finding(
        "AUTH is switched off on the port for mail clients (modifier A)"
        + (", and required as well (modifier a)" if both else ""),
        daemon_lines(off),
        Mend(_submission_mend(picture, lambda daemon: "A" in daemon.modifiers)),
    )


def _submission_mend(picture: Picture, bad: Callable[[Daemon], bool]) -> tuple[str, ...]:
    wrong = any(is_submission(daemon) and bad(daemon) for daemon in picture.from_mc)
    return SUBMISSION if wrong or not picture.from_mc else REGENERATED


def _open(picture: Picture) -> Finding | None:
    taken = [
        talk
        for talk in picture.submissions
        if talk.mail_before_auth == "failed" and not _for_local_mail(picture, talk.daemon)
    ]
    if not taken:
        return None
    # submission-port gives 587 its modifier, and 465 where other machines reach it; no line else.
    by_hand = [
        talk.daemon
        for talk in taken
        if talk.daemon.port != 587 and (talk.daemon.port != 465 or is_loopback(talk.daemon.address))
    ]
    named = " and ".join(f"port {talk.daemon.port} (Name={talk.daemon.name})" for talk in taken)
    return Finding(
        f"{named} takes mail without a login (no modifier a): any program inside can send spam through it",
        tuple(
            Evidence(f"MAIL before AUTH is taken; M={talk.daemon.modifiers or '(none)'}", talk.source)
            for talk in taken
        ),
        Mend(text=modifiers_text(by_hand[0], "a"))
        if by_hand
        else Mend(_submission_mend(picture, lambda daemon: "a" not in daemon.modifiers)),
    )


def _for_local_mail(picture: Picture, daemon: Daemon) -> bool:
    """Whether no other machine reaches it, and it is there for programs of this host: for what submit.cf hands in, or beside
    another on the same port, which serves the others."""
    if not is_loopback(daemon.address):
        return False
    if any(each.port == daemon.port and not is_loopback(each.address) for each in picture.daemons):
        return True
    try:
        to = destination(picture.facts.text(f.SUBMIT_CF))
    except PermissionError:
        return False
    return to is not None and to.port == daemon.port and is_loopback(to.host)


def _clear(picture: Picture) -> Finding | None:
    bare = [talk for talk in picture.conversations if set(talk.clear) & set(SERVABLE)]
    flags = sendmail_cf.auth_flags(sendmail_cf.option(picture.cf, "AuthOptions") or "")
    if not bare and ("p" in flags or not picture.cf):
        return None
    if not bare and not picture.submissions:
        return None
    generated = sendmail_cf.auth_flags(
        sendmail_cf.option(picture.facts.cf_from_mc or "", "AuthOptions") or ""
    )
    place = picture.written("confAUTH_OPTIONS")
    offered = any(set(SERVABLE) & {*talk.clear, *talk.offered} for talk in picture.submissions)
    answered = any(talk.features for talk in picture.submissions)
    hidden = any(line.hides_auth for line in _hiding(picture))
    idle = answered and not offered and not bare and not hidden
    cause = "LOGIN and PLAIN are accepted before STARTTLS: passwords cross the network in clear text"
    if idle:
        cause = "LOGIN and PLAIN would be accepted before STARTTLS as soon as sendmail offers them"
    return Finding(
        cause,
        (
            Evidence(
                f"AuthOptions={sendmail_cf.option(picture.cf, 'AuthOptions') or '(nothing)'}", "sendmail.cf"
            ),
            *(Evidence(f"AUTH {' '.join(talk.clear)} before TLS", talk.source) for talk in bare),
            *place,
        ),
        Mend(REGENERATED)
        if "p" in generated
        else in_place(place, {f.SENDMAIL_MC: "auth-options"}, "add p to"),
        Sign.WARNING if idle else Sign.FAILED,
    )


def trust_mend(picture: Picture) -> Mend:
    """In the line of TRUST_AUTH_MECH that lacks it, wherever that is."""
    place = picture.written("TRUST_AUTH_MECH(", "`EXTERNAL'")
    return in_place(place, {f.SENDMAIL_MC: "mend-trust", f.SASL_M4: "mend-trust"}, "add LOGIN PLAIN to")


def _list(picture: Picture) -> Finding | None:
    """mech_list of Sendmail.conf, and AuthMechanisms of sendmail.cf."""
    if not any(talk.stopped is Layer.AUTH_OFFER for talk in picture.broken) and not _unservable(picture):
        return None
    if picture.facts.files.get(f.SASL_CONF) is None or picture.facts.files.get(f.SASL_LINK) is None:
        return None  # then sasldb is asked, whatever is offered
    try:
        text = picture.facts.text(picture.facts.sasl_conf or f.SASL_CONF)
        listed = sasl_conf.value(text, "mech_list") if text is not None else None
    except (EditError, PermissionError):
        listed = None
    named = set((listed or "LOGIN PLAIN").upper().split())
    known = set((sendmail_cf.option(picture.cf, "AuthMechanisms") or "").upper().split())
    extra = _unservable(picture)
    if picture.stale and named & set(SERVABLE) and not named & extra:
        return None  # the file is right, and not read yet
    if named & set(SERVABLE) and not extra and known & set(SERVABLE):
        return None
    if not known & set(SERVABLE) and picture.cf and named & set(SERVABLE):
        place = picture.written("confAUTH_MECHANISMS")
        return Finding(
            "confAUTH_MECHANISMS lacks LOGIN and PLAIN, which are all that saslauthd can serve",
            (
                Evidence(f"AuthMechanisms={' '.join(sorted(known)) or '(nothing)'}", "sendmail.cf"),
                *place,
            ),
            in_place(
                place, {f.SENDMAIL_MC: "mc-includes", f.SASL_M4: "mend-mechanisms"}, "add LOGIN PLAIN to"
            ),
        )
    problem = (
        f"offers {' '.join(sorted(extra))}, which saslauthd cannot serve"
        if extra
        else "lacks LOGIN and PLAIN"
    )
    return Finding(
        f"mech_list of Sendmail.conf {problem}: clients that prefer these are refused",
        (
            Evidence(f"mech_list: {listed or '(nothing)'}", f.SASL_CONF),
            *(Evidence(f"AUTH {' '.join(talk.offered)}", talk.source) for talk in picture.submissions),
        ),
        Mend(("sendmail-auth", "mend-sendmail-restart")),
    )


def _unservable(picture: Picture) -> set[str]:
    if not picture.asks_saslauthd:
        return set()
    offered = {name for talk in picture.submissions for name in talk.offered}
    return {name for name in offered - picture.mechanisms if needs_secret(name)}


def _smtp(picture: Picture) -> Finding | None:
    there = [talk for talk in picture.conversations if talk.daemon.port == 25 and talk.offered]
    if not there:
        return None
    generated = [daemon for daemon in picture.from_mc if daemon.port == 25]
    inside = all(is_loopback(talk.daemon.address) for talk in there)
    return Finding(
        f"a login is also offered on port 25{'' if inside else ', where passwords are guessed all day'}",
        tuple(Evidence(f"AUTH {' '.join(talk.offered)}", talk.source) for talk in there),
        Mend(
            REGENERATED
            if generated and all("A" in daemon.modifiers for daemon in generated)
            else ("smtp-port", *REGENERATED)
        ),
        Sign.WARNING,
    )


def _hiding(picture: Picture) -> list[access_map.Line]:
    """Of loopback alone: what the map says of clients is another diagnosis'."""
    lines = access_map.lines(picture.texts.get(Text.ACCESS, ""))
    return [line for line in lines if line.hides and of_loopback(line.key)]


def _features(picture: Picture) -> Finding | None:
    hiding = _hiding(picture)
    stopped = [talk for talk in picture.broken if talk.stopped in (Layer.STARTTLS, Layer.AUTH_OFFER)]
    if not hiding or not stopped:
        return None
    return Finding(
        "a line of the access map hides AUTH or STARTTLS from this host itself, where its own programs and tests log in",
        tuple(Evidence(line.text, f"{Text.ACCESS} line {line.number}") for line in hiding),
        Mend(("mend-access-features",)),
        layer=stopped[0].stopped,
    )


def _unknown(picture: Picture) -> Finding | None:
    return picture.unexplained(Layer.AUTH_OFFER, "no login is offered on {source}")


_A = Layer.AUTH_OFFER
_NONE = "the client finds no way to log in"
DIAGNOSES = (
    Diagnosis(
        "modules-missing",
        _A,
        _NONE,
        "2.1",
        "dpkg-query",
        _modules,
        cause="libsasl2-modules is not installed, so sendmail has no mechanism to offer",
        fix="install it (--fix: install, mend-sendmail-restart)",
    ),
    Diagnosis(
        "sasl-include",
        _A,
        _NONE,
        "3.2",
        "sendmail.mc",
        _include,
        cause="sendmail.mc does not include sasl.m4",
        fix="include it (--fix: sendmail-auth, mc-includes, sendmailconfig, restart)",
    ),
    Diagnosis(
        "sasl-m4",
        _A,
        _NONE,
        "3.1",
        "sasl.m4",
        _m4_gone,
        cause="sasl.m4 is damaged or gone, so sendmail.mc gives no mechanisms",
        fix="write it again (--fix: mend-sasl-m4, sendmailconfig, restart)",
    ),
    Diagnosis(
        "auth-switched-off",
        _A,
        _NONE,
        "3.3",
        "sendmail.cf",
        _switched_off,
        cause="modifier A switches AUTH off on the port for mail clients",
        fix="take A out (--fix: submission-port, sendmailconfig, restart)",
    ),
    Diagnosis(
        "mechanisms",
        _A,
        "the password is refused though it is right",
        "3.1",
        "Sendmail.conf, EHLO",
        _list,
        cause="mechanisms are offered that saslauthd cannot serve, or LOGIN and PLAIN are missing",
        fix="offer what saslauthd serves (--fix: sendmail-auth, mend-sendmail-restart, mend-mechanisms, mc-includes, sendmailconfig, restart)",
    ),
    Diagnosis(
        "auth-not-required",
        _A,
        "mail is taken without a login",
        "3.3",
        "MAIL before AUTH",
        _open,
        cause="the port for mail clients lacks modifier a, so it takes mail without a login",
        fix="add a (--fix: submission-port, sendmailconfig, restart)",
    ),
    Diagnosis(
        "auth-in-clear",
        _A,
        "nobody notices; whoever listens in reads the passwords",
        "3.4",
        "EHLO before TLS",
        _clear,
        cause="AuthOptions lacks p, so passwords are accepted before STARTTLS",
        fix="add p (--fix: auth-options, sendmailconfig, restart)",
    ),
    Diagnosis(
        "auth-on-smtp",
        _A,
        "passwords can be tried on port 25",
        "3.5",
        "EHLO on port 25",
        _smtp,
        cause="a login is also offered on port 25",
        fix="switch it off there with modifier A (--fix: smtp-port, sendmailconfig, restart)",
    ),
    Diagnosis(
        "features-hidden-here",
        _A,
        _NONE,
        "",
        Text.ACCESS,
        _features,
        cause="a Srv_Features line of the access map hides AUTH or STARTTLS from the host itself",
        fix="take it out of /etc/mail/access (--fix: mend-access-features)",
    ),
    of_unknown(("auth-offer-unknown", _A, _NONE, "3.1", "the conversation"), _unknown),
)
