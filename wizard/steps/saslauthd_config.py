"""Howto 2.3: START and MECHANISMS in /etc/default/saslauthd."""

from __future__ import annotations

from wizard.editors import EditError, shell_defaults
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Check, Plan, Sign, Step
from wizard.sendmail.password_source import ends, mechanisms_line, of_host, wanted
from wizard.steps.absent import assumed_note, edited, not_there_yet
from wizard.system.host import Host


class SaslauthdConfig(Step):
    """Two settings; START only where this host's init script still asks for it."""

    id = "saslauthd-config"
    howto = "2.3"
    title = "Configure saslauthd"
    why = (
        "saslauthd is to start, and to ask what this host's passwords are in: PAM, so that its users can log in with their "
        "own, unless it has them elsewhere."
    )
    needs = ("install",)

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """The edit of the defaults file, or why none is needed."""
        if elsewhere := not_saslauthd(facts, answers, self.id):
            return elsewhere
        pairs = _wanted(facts, answers)
        ending = ends(facts, answers) if of_host(facts).saslauthd else ()
        lines = (f'will set {key}="{value}"' for key, value in pairs)
        if absent := not_there_yet(facts, self.id, f.SASLAUTHD_DEFAULT, *lines):
            return absent
        text = facts.text(f.SASLAUTHD_DEFAULT)
        if text is None:
            return Plan.blocked(
                self.id,
                f"{f.SASLAUTHD_DEFAULT} is missing",
                "bring it back: apt-get install --reinstall -o Dpkg::Options::=--force-confmiss sasl2-bin",
            )
        try:
            new = text
            for key, value in pairs:
                new = shell_defaults.set_value(new, key, value)
            options = shell_defaults.value(new, "OPTIONS") or ""
        except EditError as error:
            return Plan.blocked(self.id, f"{f.SASLAUTHD_DEFAULT}: {error}", error.remedy)
        notes = assumed_note(facts, f.SASLAUTHD_DEFAULT) + _notes(options)
        if new == text:
            named = ", ".join(f'{key}="{value}"' for key, value in pairs)
            return Plan.done(self.id, f"{f.SASLAUTHD_DEFAULT} has {named}", notes)
        return Plan.pending(
            self.id,
            "the settings differ",
            edited(facts, f.SASLAUTHD_DEFAULT, new, self.title),
            notes=notes,
            ends=ending,
        )

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """The values as the init script will read them."""
        text = facts.text(f.SASLAUTHD_DEFAULT) or ""
        checks = []
        for key, value in _wanted(facts, answers):
            is_now = shell_defaults.value(text, key)
            checks.append(Check(key, Sign.OK if is_now == value else Sign.FAILED, f'{key} is "{is_now}"'))
        return checks


def not_saslauthd(facts: Facts, answers: Answers, step: str) -> Plan | None:
    """Why a step on saslauthd does not apply, where passwords come from elsewhere. Raises PermissionError."""
    source = wanted(facts, answers)
    if source.saslauthd:
        return None
    return Plan.not_applicable(
        step,
        f"logins come from {source.name} on this host (pwcheck_method: {source.method}), not from saslauthd",
    )


def _wanted(facts: Facts, answers: Answers) -> tuple[tuple[str, str], ...]:
    """START where it is asked for, and MECHANISMS: the host's own line stays as it is written where it says the same."""
    asked = wanted(facts, answers).asks
    written = mechanisms_line(facts)
    mechanism = ("MECHANISMS", written if written is not None and written.split()[:1] == [asked] else asked)
    return (("START", "yes"), mechanism) if asks_start(facts) else (mechanism,)


def asks_start(facts: Facts) -> bool:
    """Whether the init script, where it is what starts saslauthd, demands START=yes (Debian 8 to 12)."""
    return not facts.services["saslauthd"].native and "$START" in (facts.text(f.SASLAUTHD_INIT) or "")


def _notes(options: str) -> tuple[str, ...]:
    words = options.split()
    notes = []
    if "-c" in words:
        notes.append(
            "OPTIONS has -c: an old password is still accepted for 8 hours after a change, until saslauthd restarts"
        )
    folder = words[words.index("-m") + 1] if "-m" in words[:-1] else ""
    if folder not in ("/var/run/saslauthd", "/run/saslauthd"):
        notes.append(
            f"OPTIONS has -m {folder or '(nothing)'}: sendmail asks at /var/run/saslauthd, and will not find it there"
        )
    return tuple(notes)
