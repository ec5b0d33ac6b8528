"""Howto 2.2 to 2.4: saslauthd's init script (Debian bug #791814), START and MECHANISMS in /etc/default/saslauthd, its start."""

from __future__ import annotations

import re
import time

from templates import render
from wizard.changes.service import ServiceChange
from wizard.editors import EditError, init_script, shell_defaults
from wizard.errors import HostError
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Check, Plan, Sign, Step
from wizard.sendmail.asked_saslauthd import (
    argument,
    asked_saslauthd,
    defaults_file,
    folder_of,
    misplaced,
    of_another_service,
    own_socket,
    socket_ends,
    socket_of,
)
from wizard.sendmail.password_source import (
    PasswordSource,
    ends,
    mechanisms_line,
    of_host,
    running_ends,
    wanted,
)
from wizard.sendmail.strays import stray_sentence
from wizard.steps.absent import as_wanted, assumed_note, edited, not_there_yet
from wizard.system.host import Host

PATIENCE = 10.0
"""Seconds until a started saslauthd answers."""


class SaslauthdInit(Step):
    """The workaround, in the variable that this host's hook reads, and the fix of the cause."""

    id = "saslauthd-init"
    howto = "2.2"
    title = "Work round Debian bug #791814"
    why = (
        "The init script of sasl2-bin 2.1.26 searches /etc/default without a trailing slash: where that is a symbolic link "
        "it finds no instance, and saslauthd is never started, silently."
    )
    checked = "whether the init script finds its instances"
    needs = ("install",)

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """Pending only where the defect is in the script; never by release number."""
        if elsewhere := not_saslauthd(facts, answers, self.id):
            return elsewhere
        absent = not_there_yet(facts, self.id, f.SASLAUTHD_INIT)
        text = facts.text(f.SASLAUTHD_INIT) if absent is None else None
        if text is None:
            return absent or Plan.not_applicable(self.id, "there is no /etc/init.d/saslauthd on this host")
        if not init_script.has_defect(text):
            why = (
                "the init script searches /etc/default/ with the slash: the bug was fixed in 2.1.26.dfsg1-16"
            )
            return Plan.not_applicable(self.id, why)
        if facts.services["saslauthd"].native:
            why = "saslauthd has a systemd unit of its own, and the init script is not used"
            return Plan.not_applicable(self.id, why)
        # The variable that this host's systemd hook reads: with `_` on Debian 8, without it since.
        match = re.search(r"\b_?SYSTEMCTL_SKIP_REDIRECT\b", facts.text(f.SYSTEMD_HOOK) or "")
        try:
            new = init_script.add_slash(text)
            if match:
                block = render("skip_redirect.sh.j2", variable=match.group())
                new = init_script.skip_redirect(new, match.group(), block)
        except EditError as error:
            remedy = "reinstall sasl2-bin: `apt-get install --reinstall sasl2-bin`"
            return Plan.blocked(self.id, f"{f.SASLAUTHD_INIT}: {error}", remedy)
        link = facts.files.get(f.DEFAULT_FOLDER)
        is_link = link is not None and link.kind == "symlink"
        why = "/etc/default is a symbolic link here" if is_link else "the defect is in the script"
        notes = ("this script is a conffile: dpkg will ask about it at the next upgrade of sasl2-bin",)
        change = edited(facts, f.SASLAUTHD_INIT, new, self.title)
        return Plan.pending(self.id, why, change, notes=notes)

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """The defect is gone."""
        bad = init_script.has_defect(facts.text(f.SASLAUTHD_INIT) or "")
        says = "the init script still has the defect" if bad else "the init script finds its instances"
        return [Check("init-script", Sign.FAILED if bad else Sign.OK, says)]


class SaslauthdConfig(Step):
    """Two settings; START only where this host's init script still asks for it."""

    id = "saslauthd-config"
    howto = "2.3"
    title = "Configure saslauthd"
    why = (
        "saslauthd must start, and must know where to check passwords: with PAM, so that this host's users log in with "
        "their own passwords, unless they are kept elsewhere."
    )
    checked = "the values as the init script reads them"
    needs = ("install",)

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """The edit of the defaults file, or why none is needed."""
        if elsewhere := not_saslauthd(facts, answers, self.id):
            return elsewhere
        if of_another_service(facts):
            return _of_another(facts, wanted(facts, answers), self.id)
        pairs, path = _wanted(facts, answers), defaults_file(facts)
        ending = ends(facts, answers) if of_host(facts).saslauthd else ()
        lines = (f'will set {key}="{value}"' for key, value in pairs)
        if absent := not_there_yet(facts, self.id, path, *lines):
            return absent
        text = facts.text(path)
        if text is None:
            command = "apt-get install --reinstall -o Dpkg::Options::=--force-confmiss sasl2-bin"
            return Plan.blocked(self.id, f"{path} is missing", f"bring it back: `{command}`")
        try:
            new = text
            for key, value in pairs:
                new = shell_defaults.set_value(new, key, value)
            options = shell_defaults.value(new, "OPTIONS") or ""
        except EditError as error:
            return Plan.blocked(self.id, f"{path}: {error}", error.remedy)
        notes = assumed_note(facts, path) + _notes(facts, options)
        if new == text:
            named = ", ".join(f'{key}="{value}"' for key, value in pairs)
            return as_wanted(facts, self.id, path, f"{path} has {named}", notes)
        change = edited(facts, path, new, self.title)
        reasons = (_lacks(key, shell_defaults.value(text, key), value) for key, value in pairs)
        return Plan.pending(self.id, "; ".join(filter(None, reasons)), change, notes=notes, ends=ending)

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """The values as the init script will read them."""
        text = facts.text(defaults_file(facts)) or ""
        checks = []
        for key, value in _wanted(facts, answers):
            is_now = shell_defaults.value(text, key)
            checks.append(Check(key, Sign.OK if is_now == value else Sign.FAILED, f'{key} is "{is_now}"'))
        return checks


class SaslauthdStart(Step):
    """Always a restart: a plain start does nothing in the `active (exited)` trap (docs/debian.md trap 3)."""

    id = "saslauthd-start"
    howto = "2.4"
    title = "Start saslauthd"
    why = "Without it every login is refused with `535`. It must run now, and after the next boot."
    checked = "whether saslauthd answers on its socket, and is enabled at boot"
    needs = ("install", "saslauthd-init", "saslauthd-config")

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """Pending when it does not answer, asks something else than configured, is outside its unit, or not enabled."""
        if elsewhere := not_saslauthd(facts, answers, self.id):
            return elsewhere
        source = wanted(facts, answers)
        if of_another_service(facts):
            return _of_another(facts, source, self.id)
        service, socket = facts.services["saslauthd"], socket_of(facts)
        if not service.exists and "install" not in facts.planned:
            why = "there is no saslauthd service on this host"
            return Plan.blocked(self.id, why, "msa-wizard apply install")
        if facts.euid != 0 and facts.saslauthd_says is None and "install" not in facts.planned:
            return Plan.unseen(self.id, "saslauthd can only be asked by root; run this as root")
        process = asked_saslauthd(facts)
        runs = argument(process, "-a") if process is not None else source.asks
        reasons, changes = [], bool({"saslauthd-config", "saslauthd-init"} & facts.planned)
        if not service.exists:
            reasons.append("saslauthd comes with the packages, and has to be started")
        elif facts.saslauthd_says is None:
            active = service.active.startswith("active")
            word = f", although its status word is {service.active}" if active else ""
            reasons.append(f"nothing answers on {socket}{word}")
        elif runs != source.asks:
            reasons.append(f"it does not run with -a {source.asks}")
        elif changes:
            reasons.append("saslauthd's configuration will change")
        if outside := stray_sentence(facts, "saslauthd"):
            reasons.append(outside)
        enable = not service.enabled
        if enable and service.exists:
            reasons.append("it is not enabled at boot")
        if not reasons:
            return Plan.done(self.id, f"saslauthd answers on {socket} and is enabled at boot")
        if folder := misplaced(facts):
            return Plan.blocked(self.id, *_misplaced(facts, folder))
        change = ServiceChange("saslauthd", facts.init, enable=enable, was_running=facts.saslauthd_runs)
        follows = changes and facts.saslauthd_says is not None and len(reasons) == 1
        ends = (*running_ends(facts, source), *socket_ends(facts))
        return Plan.pending(self.id, "; ".join(reasons), change, ends=ends, follows=follows)

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """Its socket answers a request; its status word is not asked."""
        answer = answers_on_socket(host, socket_of(facts))
        return [answer, enabled("saslauthd", facts), *counted("saslauthd", facts)]


def not_saslauthd(facts: Facts, answers: Answers, step: str) -> Plan | None:
    """Why a step on saslauthd does not apply, where passwords come from elsewhere. Raises PermissionError."""
    source = wanted(facts, answers)
    if source.saslauthd:
        return None
    why = f"logins come from {source.name} on this host (pwcheck_method: {source.method}), not from saslauthd"
    return Plan.not_applicable(step, why)


def _wanted(facts: Facts, answers: Answers) -> tuple[tuple[str, str], ...]:
    """START where it is asked for, and MECHANISMS: the host's own line stays as it is written where it says the same."""
    asked = wanted(facts, answers).asks
    written = mechanisms_line(facts)
    mechanism = ("MECHANISMS", written if written is not None and written.split()[:1] == [asked] else asked)
    return (("START", "yes"), mechanism) if asks_start(facts) else (mechanism,)


def asks_start(facts: Facts) -> bool:
    """Whether the init script, where it is what starts saslauthd, demands START=yes (Debian 8 to 12)."""
    return not facts.services["saslauthd"].native and "$START" in (facts.text(f.SASLAUTHD_INIT) or "")


def _lacks(key: str, now: str | None, wanted: str) -> str:
    """What a setting is, and has to be; empty where that is the same."""
    if now == wanted:
        return ""
    has = "not set" if now is None else f'"{now}"'
    return f'{key} is {has} and must be "{wanted}"'


def _of_another(facts: Facts, source: PasswordSource, step: str) -> Plan:
    """Of a saslauthd that an admin's own service starts: it is left alone, and must answer, and ask what the settings say."""
    socket, process = socket_of(facts), asked_saslauthd(facts)
    if facts.saslauthd_says is None and facts.euid != 0:
        return Plan.unseen(step, "saslauthd can only be asked by root; run this as root")
    if facts.saslauthd_says is None:
        why = (
            f"nothing answers on {socket}, where sendmail asks, and saslauthd.service does not start that one"
        )
        return Plan.blocked(step, why, "start the service that does; see `pgrep -a saslauthd`")
    asks = argument(process, "-a") if process is not None else source.asks
    if asks != source.asks:
        why = f"saslauthd on {socket} asks {asks}, not {source.asks}, and saslauthd.service does not start that one"
        return Plan.blocked(step, why, f"have its own service start it with -a {source.asks}")
    why = f"sendmail asks on {socket}, and the saslauthd that answers there is not saslauthd.service's"
    return Plan.not_applicable(step, why)


def _misplaced(facts: Facts, folder: str) -> tuple[str, ...]:
    """Why a start would end all logins, and what to do."""
    own, socket = own_socket(facts), socket_of(facts)
    here = f"`saslauthd_path: {folder}/mux` in {facts.sasl_conf or f.SASL_CONF}, then `systemctl restart sendmail`"
    if own is not None:
        why = f"sendmail asks on {socket} (saslauthd_path), and {f.SASLAUTHD_DEFAULT} puts saslauthd's socket into {folder}"
        return why, f"if that saslauthd is meant: {here}", "if it is another one: start it"
    why = f"OPTIONS of {f.SASLAUTHD_DEFAULT} puts saslauthd's socket into {folder}, and sendmail asks on {socket}"
    moved = "`msa-wizard troubleshoot --fix saslauthd-elsewhere` moves it"
    return why, f"{moved}; where another program asks there, too: {here}"


def _notes(facts: Facts, options: str) -> tuple[str, ...]:
    words = options.split()
    notes = []
    if "-c" in words:
        note = "OPTIONS has -c: an old password is still accepted for 8 hours after a change, until saslauthd restarts"
        notes.append(note)
    if misplaced(facts):
        folder = words[words.index("-m") + 1] if "-m" in words[:-1] else ""
        note = f"OPTIONS has -m {folder or '(nothing)'}: sendmail asks at {folder_of(socket_of(facts))}, and will not find it there"
        notes.append(note)
    return tuple(notes)


def answers_on_socket(host: Host, socket: str) -> Check:
    """Ask it without a login: it says NO at once, before it asks PAM."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            host.ask_unix_socket(socket, (b"", b"", b"smtp", b""))
            return Check("socket", Sign.OK, f"saslauthd answers on {socket}")
        except HostError as error:
            if time.monotonic() > end:
                by_hand = f"saslauthd -a pam -d -m {folder_of(socket)}"
                remedy = f"see `journalctl -u saslauthd`; in the foreground: {by_hand}"
                return Check("socket", Sign.FAILED, f"saslauthd does not answer: {error}", remedy)
            time.sleep(0.05)


def enabled(name: str, facts: Facts) -> Check:
    """Whether it will be there after a reboot."""
    if facts.services[name].enabled:
        return Check("boot", Sign.OK, f"{name} is enabled at boot")
    return Check("boot", Sign.FAILED, f"{name} is not enabled at boot", f"systemctl enable {name}")


def counted(name: str, facts: Facts) -> list[Check]:
    """A check that fails where its daemon runs outside its unit."""
    outside = stray_sentence(facts, name)
    return [Check("unit", Sign.FAILED, outside, f"systemctl status {name}")] if outside else []
