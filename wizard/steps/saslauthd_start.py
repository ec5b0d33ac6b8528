"""Howto 2.4: saslauthd enabled at boot, started, and answering on its socket."""

from __future__ import annotations

import time

from wizard.changes import ServiceChange
from wizard.errors import HostError
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Check, Plan, Sign, Step
from wizard.sendmail.password_source import argument, running_ends, serving, wanted
from wizard.sendmail.strays import stray_sentence
from wizard.steps.saslauthd_config import not_saslauthd
from wizard.system.host import Host

PATIENCE = 10.0
"""Seconds until a started saslauthd answers."""


class SaslauthdStart(Step):
    """Always a restart: a plain start does nothing in the `active (exited)` trap (docs/debian.md trap 3)."""

    id = "saslauthd-start"
    howto = "2.4"
    title = "Start saslauthd"
    why = "Without it every login ends in `535`. It must run now, and after the next boot."
    needs = ("install", "saslauthd-init", "saslauthd-config")

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """Pending when it does not answer, asks something else than configured, is outside its unit, or not enabled."""
        if elsewhere := not_saslauthd(facts, answers, self.id):
            return elsewhere
        source = wanted(facts, answers)
        service = facts.services["saslauthd"]
        if not service.exists and "install" not in facts.planned:
            return Plan.blocked(
                self.id, "there is no saslauthd service on this host", "msa-wizard apply install"
            )
        if facts.euid != 0 and facts.saslauthd_says is None and "install" not in facts.planned:
            return Plan.later(self.id, "saslauthd can only be asked by root; run this as root")
        process = serving(facts)
        runs = argument(process, "-a") if process is not None else source.asks
        reasons = []
        if facts.saslauthd_says is None:
            word = (
                f", although its status word is {service.active}"
                if service.active.startswith("active")
                else ""
            )
            reasons.append(f"nothing answers on {f.MUX}{word}")
        elif runs != source.asks:
            reasons.append(f"it does not run with -a {source.asks}")
        elif {"saslauthd-config", "saslauthd-init"} & facts.planned:
            reasons.append("its configuration changes")
        if outside := stray_sentence(facts, "saslauthd"):
            reasons.append(outside)
        enable = not service.enabled
        if enable:
            reasons.append("it is not enabled at boot")
        if not reasons:
            return Plan.done(self.id, f"saslauthd answers on {f.MUX} and is enabled at boot")
        change = ServiceChange(
            "saslauthd", facts.init, enable=enable, was_running=facts.saslauthd_says is not None
        )
        return Plan.pending(self.id, "; ".join(reasons), change, ends=running_ends(facts, source))

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """Its socket answers a request; its status word is not asked."""
        return [answers_on_socket(host), enabled("saslauthd", facts), *counted("saslauthd", facts)]


def answers_on_socket(host: Host) -> Check:
    """Ask it without a login: it says NO at once, before it asks PAM."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            reply = host.ask_unix_socket(f.MUX, (b"", b"", b"smtp", b""))
            return Check("socket", Sign.OK, f"saslauthd answers on {f.MUX}: {reply[:60]}")
        except HostError as error:
            if time.monotonic() > end:
                return Check(
                    "socket",
                    Sign.FAILED,
                    f"saslauthd does not answer: {error}",
                    "see `journalctl -u saslauthd`; in the foreground: saslauthd -a pam -d -m /var/run/saslauthd",
                )
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
