"""Howto 3.1: update_auth makes sasl.m4 and Sendmail.conf; then only what saslauthd can serve is offered."""

from __future__ import annotations

import dataclasses

from snapshots.live.entry import Entry, Kind
from wizard.changes.command import MEMBERS, CommandChange
from wizard.changes.file import FileChange
from wizard.editors import EditError, sasl_conf, shell_defaults
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Change, Check, Plan, Sign, Step
from wizard.sendmail.password_source import conf_text, ends, mechanism_ends, mechanisms, of_host, wanted
from wizard.steps.absent import as_wanted, assumed_note, not_there_yet
from wizard.system.host import Host

UPDATE_AUTH = "/usr/share/sendmail/update_auth"


class SendmailAuth(Step):
    """SASL2 for the MTA; submit.mc is left alone, as the howto's note to 3.1 says."""

    id = "sendmail-auth"
    howto = "3.1"
    title = "Teach Sendmail SASL2"
    why = (
        "Sendmail must know who checks the passwords: saslauthd, unless this host keeps them elsewhere. Its SASL library reads that "
        "in Sendmail.conf.2, to which /usr/lib/sasl2/Sendmail.conf leads. saslauthd cannot do "
        "DIGEST-MD5 and CRAM-MD5: where these are offered, clients that prefer them cannot log in."
    )
    checked = "what update_auth makes, who checks passwords, and which ways to log in are offered"
    needs = ("install",)

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """update_auth where something it makes is missing, and the edit of the Sendmail.conf that libsasl2 reads."""
        # Debian's, to which update_auth leads its link, or one that is read before it.
        path = (f.SASL_CONF if facts.sasl_place == f.SASL_LINK else facts.sasl_conf) or f.SASL_CONF
        if stopped := hands_off(facts, self.id):
            return stopped
        try:
            hidden = path in facts.unreadable
            pairs = () if hidden else _lines(facts, answers)
            lines = tuple(f"will set {key}: {value}" for key, value in pairs)
            if stopped := not_there_yet(facts, self.id, path, *lines):
                return stopped
            change = _edit(facts, answers, path)
            source, offered = wanted(facts, answers), mechanisms(facts, answers)
            # What saslauthd asks is another step's.
            logins = () if of_host(facts).saslauthd else ends(facts, answers)
            ending = (*logins, *mechanism_ends(facts, answers))
        except EditError as error:
            return Plan.blocked(self.id, f"{facts.sasl_conf or path}: {error}", error.remedy)
        changes: list[Change] = []
        missing = _missing(facts)
        if missing and f.SASL_CONF not in facts.assumed:
            changes.append(CommandChange((UPDATE_AUTH,), f"makes what is missing: {', '.join(missing)}"))
        if change is None and facts.files.get(path) is None:
            # The edit follows in the same step once update_auth has made the file: the engine plans again.
            return Plan.pending(self.id, f"missing: {', '.join(missing)}", *changes, notes=lines, ends=ending)
        if change is not None and not path.startswith("/etc/"):
            why = f"libsasl2 reads {path}, outside /etc, and it is not as your settings ask"
            remedy = f"move it to /etc/sasl2/Sendmail.conf, which is read first: `mv {path} /etc/sasl2/Sendmail.conf`"
            return Plan.blocked(self.id, why, remedy)
        if change is not None:
            # update_auth leads the link to Debian's file: that has to say first what is read now.
            changes.insert(len(changes) if facts.sasl_conf == path else 0, change)
        if not changes:
            why = (
                f"sasl.m4 and Sendmail.conf are there, smmta and smmsp are in group sasl, passwords come from {source.name}, "
                f"and clients are offered only {' and '.join(offered)}"
            )
            return as_wanted(facts, self.id, f.SASL_CONF, why)
        notes = assumed_note(facts, f.SASL_CONF)
        return Plan.pending(self.id, _reason(facts, answers, missing), *changes, notes=notes, ends=ending)

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """The files, the link, the members, the values."""
        missing = _missing(facts)
        checks = [Check("made", Sign.OK, "all that update_auth makes is there")]
        if missing:
            checks = [Check("made", Sign.FAILED, f"missing: {', '.join(missing)}")]
        text = conf_text(facts) or ""
        for key, value in _lines(facts, answers):
            is_now = sasl_conf.value(text, key)
            checks.append(Check(key, Sign.OK if is_now == value else Sign.FAILED, f"{key}: {is_now}"))
        source = wanted(facts, answers)
        if not source.saslauthd:
            checks.append(Check("source", Sign.OK, f"passwords come from {source.name}, as they did before"))
        return checks


def _edit(facts: Facts, answers: Answers, path: str) -> FileChange | None:
    """Raises EditError. None where nothing is to be written, or update_auth has to make the file first.

    A link that leads elsewhere is led to Debian's file by update_auth: that gets the text that is read now."""
    entry, text = facts.files.get(path), conf_text(facts)
    if text is None:
        text = facts.text(path)
    by_hand = facts.sasl_conf == f.SASL_LINK  # update_auth moves it to Debian's place, whatever is there
    if by_hand or (text is None and wanted(facts, answers).saslauthd):
        return None
    new = text or ""
    for key, value in _lines(facts, answers):
        new = sasl_conf.set_value(new, key, value)
    old = facts.text(path)
    if new == old:
        return None
    content = new.encode("latin-1")
    # To a fresh one update_auth, which follows, gives the owner and the mode that Debian wants.
    after = dataclasses.replace(entry or Entry(Kind.FILE, 0o640, 0, 0), content=content)
    source = wanted(facts, answers)
    who = "saslauthd" if source.saslauthd else source.name
    return FileChange(path, entry, after, f"offer only what {who} can serve")


def _lines(facts: Facts, answers: Answers) -> list[tuple[str, str]]:
    """Key and value of the lines of Sendmail.conf that are wanted; none for what is the site's own. Raises EditError."""
    text, source = conf_text(facts), wanted(facts, answers)
    words = (sasl_conf.value(text or "", "pwcheck_method") or "") if text else ""
    pairs = []
    if source.saslauthd:
        pairs.append(("pwcheck_method", words if "saslauthd" in words.lower().split() else "saslauthd"))
    elif text is None:
        pairs.append(("pwcheck_method", source.method))
    if answers.auth.mechanisms or source.saslauthd or text is None:
        names = mechanisms(facts, answers)
        listed = (sasl_conf.value(text, "mech_list") or "") if text else ""
        same = tuple(listed.upper().split()) == names
        pairs.append(("mech_list", listed if same else " ".join(names)))
    return pairs


def _reason(facts: Facts, answers: Answers, missing: list[str]) -> str:
    """What is missing, and which lines of Sendmail.conf are not as they have to be. Raises EditError."""
    text = conf_text(facts) or ""
    reasons = [f"missing: {', '.join(missing)}"] if missing else []
    for key, value in _lines(facts, answers):
        if (now := sasl_conf.value(text, key)) != value:
            reasons.append(f"{key} is {now or 'not set'} and must be {value}")
    return "; ".join(reasons)


def _missing(facts: Facts) -> list[str]:
    known = (path for path in (f.SASL_M4, f.SASL_CONF, f.SASL_LINK) if path not in facts.unreadable)
    missing = [path for path in known if facts.files.get(path) is None]
    link = facts.files.get(f.SASL_LINK)
    if link is not None and facts.sasl_place == f.SASL_LINK and facts.sasl_conf != f.SASL_CONF:
        missing.append(f"{f.SASL_LINK} as a link to {f.SASL_CONF}")
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
    why = f'HANDS_OFF="{value}" in {f.SENDMAIL_CONF}: sendmailconfig and update_auth would do nothing and report success'
    remedy = f'set HANDS_OFF="No" in {f.SENDMAIL_CONF} if msa-wizard may change this set-up'
    return Plan.blocked(step, why, remedy)
