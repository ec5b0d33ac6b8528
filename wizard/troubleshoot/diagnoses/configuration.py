"""sendmail.mc and sendmail.cf: there, taken by m4 and by sendmail, and of one mind (howto 3.6)."""

from __future__ import annotations

from wizard.console import count
from wizard.editors.daemon_options import collisions
from wizard.model import facts as f
from wizard.model.facts import McFault
from wizard.model.plan import Sign
from wizard.sendmail import cf as sendmail_cf
from wizard.steps.protection import openings
from wizard.troubleshoot.diagnosis import Diagnosis
from wizard.troubleshoot.host_state import Picture, Text
from wizard.troubleshoot.model import Evidence, Finding, Layer, Mend

REGENERATED = ("sendmailconfig", "restart")


def in_place(place: tuple[Evidence, ...], steps: dict[str, str], act: str) -> Mend:
    """The step for the file that has the line; a sentence where that is another one."""
    step = steps.get(place[0].source.partition(" line ")[0]) if place else next(iter(steps.values()))
    if step is None:
        return Mend(
            text=f"{act} {place[0].says} in {place[0].source}, then `msa-wizard apply sendmailconfig restart`"
        )
    return Mend((step, *REGENERATED))


def _missing(picture: Picture) -> Finding | None:
    gone = [name for name in ("sendmail-bin", "sendmail-cf") if not picture.facts.has(name)]
    if not gone:
        return None
    others = [name for name in f.MTA_PACKAGES if name in picture.facts.packages]
    instead = f", and {', '.join(others)} is" if others else ""
    return Finding(
        f"Sendmail is not installed on this host{instead}",
        tuple(Evidence(f"{name}: not installed", "dpkg-query") for name in gone),
        Mend(text="set it up: `msa-wizard apply`" + (" --replace-mta" if others else "")),
    )


def _mc_missing(picture: Picture) -> Finding | None:
    if "sendmail-cf" not in picture.facts.packages or picture.facts.files.get(f.SENDMAIL_MC) is not None:
        return None
    return Finding(
        f"{f.SENDMAIL_MC} is missing: the next sendmailconfig would write one of its own",
        (Evidence("no such file", f.SENDMAIL_MC),),
        Mend(
            text="restore yours (`msa-wizard history`), or Debian's: cp /usr/share/sendmail/cf/debian/sendmail.mc /etc/mail/"
        ),
        picture.latent,
    )


def _mc_broken(picture: Picture) -> Finding | None:
    seen = picture.facts.mc_fault
    if not picture.m4_said and (seen is None or seen.typo):
        return None
    lines = [Evidence(line, f"m4 {f.SENDMAIL_MC}") for line in picture.m4_said.splitlines()[:3]]
    if picture.m4_said:
        cause = "m4 does not accept sendmail.mc: the next sendmailconfig would stop the running MTA and report success"
    elif seen is not None and seen.line:
        cause = f"{seen.sentence}, and m4 takes what follows for a part of it"
    else:
        cause = "m4 does not make a whole sendmail.cf out of sendmail.mc: most of it is missing"
        lines.append(Evidence(f"{count(len(picture.mc), 'byte')}, about 4000 is normal", f.SENDMAIL_MC))
    return Finding(
        cause,
        (*_line(seen), *lines),
        _mended(seen) or Mend(text="undo your last edit of it; `msa-wizard history` has earlier ones"),
        picture.latent,
    )


def _line(seen: McFault | None) -> tuple[Evidence, ...]:
    place = f"{f.SENDMAIL_MC} line {seen.line}" if seen is not None else ""
    return (Evidence(seen.shown, place),) if seen is not None and seen.line else ()


def _mended(seen: McFault | None) -> Mend | None:
    """The fix of what is wrong with the words of sendmail.mc, where there is one that m4 accepts."""
    return Mend(("mend-sendmail-mc", *REGENERATED)) if seen is not None and seen.text is not None else None


def _typo(picture: Picture) -> Finding | None:
    seen = picture.facts.mc_fault
    typos = sendmail_cf.unexpanded(picture.facts.cf_from_mc or "")
    if picture.m4_said or (not typos and (seen is None or not seen.typo)):
        return None
    copied = [Evidence(text, f"line {line} of what m4 makes") for line, text in typos[:1]]
    text = "look for a misspelt word in sendmail.mc, then `sendmailconfig`"
    if seen is not None and seen.typo:
        text = f"correct line {seen.line} of {f.SENDMAIL_MC}, then `sendmailconfig` and `systemctl restart sendmail`"
    return Finding(
        f"{seen.sentence}, so what the line asks for has no effect"
        if seen is not None and seen.typo
        else "sendmail.mc has a macro that m4 does not know, and so copies unchanged into sendmail.cf",
        (*_line(seen), *copied),
        _mended(seen) or Mend(text=text),
        picture.latent,
    )


def _cf_broken(picture: Picture) -> Finding | None:
    if "sendmail-bin" not in picture.facts.packages or f.SENDMAIL_CF in picture.facts.unreadable:
        return None
    errors = picture.texts.get(Text.CF_ERRORS, "").strip()
    evidence = []
    if not picture.cf:
        evidence.append(Evidence("no such file, or an empty one", f.SENDMAIL_CF))
    elif len(picture.cf) < sendmail_cf.SMALLEST:
        evidence.append(Evidence(f"{count(len(picture.cf), 'byte')}, about 65000 is normal", f.SENDMAIL_CF))
    if picture.cf_refused:
        evidence += [Evidence(line, "sendmail -bC") for line in picture.cf_refused.splitlines()]
    if not evidence:
        return None
    evidence += [Evidence(line, Text.CF_ERRORS) for line in errors.splitlines()[:2]]
    generated = picture.facts.cf_from_mc
    if words := _mended(picture.facts.mc_fault):
        mend = words
    elif generated is None:
        mend = Mend(text="fix sendmail.mc first: m4 does not accept it")
    elif sendmail_cf.same(generated, picture.cf):
        mend = Mend(text="fix sendmail.mc first: m4 accepts it, but sendmail rejects the result")
    else:
        mend = Mend(REGENERATED)
    return Finding("sendmail.cf is broken: sendmail cannot start with it", tuple(evidence), mend)


def _differs(picture: Picture) -> Finding | None:
    generated = picture.facts.cf_from_mc
    if generated is None or not picture.cf or sendmail_cf.same(generated, picture.cf):
        return None
    if picture.facts.mc_fault is not None or collisions(sendmail_cf.listeners(generated)):
        return None  # making it again would bring that into sendmail.cf
    lost = sendmail_cf.only_in(picture.cf, generated)
    new = sendmail_cf.only_in(generated, picture.cf)
    opened = tuple(openings(picture.cf, generated))
    evidence = [Evidence(each.says, "sendmail.mc") for each in opened]
    evidence += [Evidence(line, "sendmail.cf, not from sendmail.mc") for line in lost[:2]]
    evidence += [Evidence(line, "sendmail.mc gives it, sendmail.cf lacks it") for line in new[:2]]
    stopped = next((talk.stopped for talk in picture.broken), None)
    return Finding(
        "sendmail.cf is not what sendmail.mc gives: it was edited by hand, or sendmailconfig has not run since",
        tuple(evidence),
        Mend((*dict.fromkeys(each.step for each in opened if each.step), *REGENERATED)),
        picture.latent,
        stopped,
    )


def _hands_off(picture: Picture) -> Finding | None:
    value = picture.setting(f.SENDMAIL_CONF, "HANDS_OFF")
    if value in ("", "No"):
        return None
    return Finding(
        "sendmailconfig and update_auth do nothing and report success, because sendmail.conf stops them",
        (Evidence(f'HANDS_OFF="{value}"', f.SENDMAIL_CONF),),
        Mend(("mend-hands-off",)),
        Sign.WARNING if picture.works else Sign.FAILED,
    )


DIAGNOSES = (
    Diagnosis(
        "sendmail-missing",
        Layer.LISTENER,
        "no connection",
        "2.1",
        "dpkg-query",
        _missing,
        cause="Sendmail is not installed",
        fix="set it up: `msa-wizard apply`",
    ),
    Diagnosis(
        "mc-broken",
        Layer.LISTENER,
        "no connection since the last change",
        "3.6",
        "m4 sendmail.mc",
        _mc_broken,
        cause="m4 does not accept sendmail.mc, because a quote or a parenthesis is not closed",
        fix="close it, or restore the last good text from the history (--fix: mend-sendmail-mc, sendmailconfig, restart)",
    ),
    Diagnosis(
        "cf-broken",
        Layer.LISTENER,
        "no connection since the last change",
        "3.6",
        "sendmail -bC, the size of sendmail.cf, sendmail.cf.errors",
        _cf_broken,
        cause="sendmail.cf is empty, cut short, or has a line that sendmail rejects",
        fix="rebuild it from sendmail.mc, which is fixed first where it is broken (--fix: mend-sendmail-mc, sendmailconfig, restart)",
    ),
    Diagnosis(
        "mc-missing",
        Layer.LISTENER,
        "sendmailconfig asks strange questions",
        "3.6",
        "the file",
        _mc_missing,
        cause="sendmail.mc is missing, and sendmailconfig would write one of its own",
        fix="restore yours; `msa-wizard history` has it",
    ),
    Diagnosis(
        "mc-typo",
        Layer.LISTENER,
        "a setting has no effect",
        "3.6",
        "what m4 makes",
        _typo,
        cause="a macro in sendmail.mc is misspelt, and m4 copies it unchanged into sendmail.cf",
        fix="put the right word in its place (--fix: mend-sendmail-mc, sendmailconfig, restart)",
    ),
    Diagnosis(
        "hands-off",
        Layer.LISTENER,
        "sendmailconfig changes nothing",
        "3.6",
        "sendmail.conf",
        _hands_off,
        cause="HANDS_OFF in /etc/mail/sendmail.conf stops Debian's scripts from doing anything",
        fix="set it to No (--fix: mend-hands-off)",
    ),
    Diagnosis(
        "cf-differs",
        Layer.LISTENER,
        "a change of sendmail.mc has no effect",
        "3.6",
        "m4 sendmail.mc against sendmail.cf",
        _differs,
        cause="sendmail.cf was edited by hand, or sendmailconfig has not run since sendmail.mc was changed",
        fix="rebuild it from sendmail.mc, which is corrected first where port 587 would take mail without a login, or a password without TLS (--fix: submission-port, auth-options, sendmailconfig, restart)",
    ),
)
