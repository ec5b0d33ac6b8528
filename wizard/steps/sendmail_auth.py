"""Howto 3.1: update_auth makes sasl.m4 and Sendmail.conf; then only what saslauthd can serve is offered."""

from __future__ import annotations

import dataclasses

from wizard import facts as f
from wizard.answers import Answers
from wizard.changes import CommandChange, FileChange
from wizard.editors import EditError, sasl_conf, shell_defaults
from wizard.facts import Facts
from wizard.host import Host
from wizard.plan import Change, Check, Plan, Sign, Step
from wizard.steps.absent import assumed_note, not_there_yet

UPDATE_AUTH = "/usr/share/sendmail/update_auth"
MEMBERS = ("smmta", "smmsp")


class SendmailAuth(Step):
    """SASL2 for the MTA; submit.mc is left alone, as the howto's note to 3.1 says."""

    id = "sendmail-auth"
    howto = "3.1"
    title = "Teach Sendmail SASL2"
    why = (
        "Sendmail must know that saslauthd checks the passwords, and must not offer DIGEST-MD5 and CRAM-MD5, which saslauthd "
        "cannot serve: clients that prefer them would be refused first."
    )
    needs = ("install",)

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """update_auth where something it makes is missing, then the edit of Sendmail.conf."""
        lines = tuple(f"will set {key}: {value}" for key, value in _wanted(answers))
        stopped = hands_off(facts, self.id) or not_there_yet(facts, self.id, f.SASL_CONF, *lines)
        if stopped is not None:
            return stopped
        changes: list[Change] = []
        missing = _missing(facts)
        if missing and f.SASL_CONF not in facts.assumed:
            changes.append(CommandChange((UPDATE_AUTH,), f"makes what is missing: {', '.join(missing)}"))
        entry = facts.files.get(f.SASL_CONF)
        if entry is None:
            # The edit follows in the same step once update_auth has made the file: the engine plans again.
            return Plan.pending(self.id, f"missing: {', '.join(missing)}", *changes, notes=lines)
        text = facts.text(f.SASL_CONF) or ""
        try:
            new = text
            for key, value in _wanted(answers):
                new = sasl_conf.set_value(new, key, value)
        except EditError as error:
            return Plan.blocked(self.id, f"{f.SASL_CONF}: {error}", error.remedy)
        if new != text:
            after = dataclasses.replace(entry, content=new.encode("latin-1"))
            changes.append(FileChange(f.SASL_CONF, entry, after, "offer only what saslauthd can serve"))
        if not changes:
            return Plan.done(
                self.id,
                "sasl.m4 and Sendmail.conf are there, smmta and smmsp are in group sasl, and only "
                f"{' and '.join(answers.auth.mechanisms)} is offered",
            )
        return Plan.pending(
            self.id, "the SASL set-up differs", *changes, notes=assumed_note(facts, f.SASL_CONF)
        )

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """The files, the link, the members, the values."""
        missing = _missing(facts)
        made = [
            Check(
                "made",
                Sign.FAILED if missing else Sign.OK,
                f"missing: {', '.join(missing)}" if missing else "all that update_auth makes is there",
            )
        ]
        text = facts.text(f.SASL_CONF) or ""
        for key, value in _wanted(answers):
            is_now = sasl_conf.value(text, key)
            made.append(Check(key, Sign.OK if is_now == value else Sign.FAILED, f"{key}: {is_now}"))
        return made


def _wanted(answers: Answers) -> tuple[tuple[str, str], ...]:
    return (("pwcheck_method", "saslauthd"), ("mech_list", " ".join(answers.auth.mechanisms)))


def _missing(facts: Facts) -> list[str]:
    missing = [
        path
        for path in (f.SASL_M4, f.SASL_CONF, f.SASL_LINK)
        if facts.files.get(path) is None and path not in facts.unreadable
    ]
    outside = [name for name in MEMBERS if name not in facts.groups.get("sasl", frozenset())]
    return [*missing, *(f"{name} in group sasl" for name in outside)]


def hands_off(facts: Facts, step: str) -> Plan | None:
    """Blocked when sendmail.conf says HANDS_OFF: then every update script does nothing and exits 0 (trap 12)."""
    try:
        value = shell_defaults.value(facts.text(f.SENDMAIL_CONF) or "", "HANDS_OFF")
    except (EditError, PermissionError):
        return None
    if value in (None, "No"):
        return None
    return Plan.blocked(
        step,
        f'HANDS_OFF="{value}" in {f.SENDMAIL_CONF}: sendmailconfig and update_auth would do nothing and report success',
        f'set HANDS_OFF="No" in {f.SENDMAIL_CONF} if msa-wizard may change this set-up',
    )
