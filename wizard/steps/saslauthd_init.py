"""Howto 2.2: Debian bug #791814, where this host has it."""

from __future__ import annotations

import re

from templates import render
from wizard.editors import EditError, init_script
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Check, Plan, Sign, Step
from wizard.steps.absent import edited, not_there_yet
from wizard.steps.saslauthd_config import not_saslauthd
from wizard.system.host import Host


class SaslauthdInit(Step):
    """The workaround, in the variable that this host's hook reads, and the fix of the cause."""

    id = "saslauthd-init"
    howto = "2.2"
    title = "Work round Debian bug #791814"
    why = (
        "The init script of sasl2-bin 2.1.26 searches /etc/default without a trailing slash: where that is a symbolic link "
        "it finds no instance, and saslauthd is never started, silently."
    )
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
            return Plan.not_applicable(
                self.id,
                "the init script searches /etc/default/ with the slash: the bug was fixed in 2.1.26.dfsg1-16",
            )
        if facts.services["saslauthd"].native:
            return Plan.not_applicable(
                self.id, "saslauthd has a systemd unit of its own, and the init script is not used"
            )
        link = facts.files.get(f.DEFAULT_FOLDER)
        variable = _variable(facts)
        try:
            new = init_script.add_slash(text)
            if variable:
                new = init_script.skip_redirect(
                    new, variable, render("skip_redirect.sh.j2", variable=variable)
                )
        except EditError as error:
            return Plan.blocked(
                self.id,
                f"{f.SASLAUTHD_INIT}: {error}",
                "reinstall sasl2-bin: apt-get install --reinstall sasl2-bin",
            )
        why = (
            "/etc/default is a symbolic link here"
            if link and link.kind == "symlink"
            else "the defect is in the script"
        )
        return Plan.pending(
            self.id,
            why,
            edited(facts, f.SASLAUTHD_INIT, new, self.title),
            notes=("this script is a conffile: dpkg will ask about it at the next upgrade of sasl2-bin",),
        )

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """The defect is gone."""
        bad = init_script.has_defect(facts.text(f.SASLAUTHD_INIT) or "")
        says = "the init script still has the defect" if bad else "the init script finds its instances"
        return [Check("init-script", Sign.FAILED if bad else Sign.OK, says)]


def _variable(facts: Facts) -> str:
    """The variable this host's systemd hook reads: `_SYSTEMCTL_SKIP_REDIRECT` on Debian 8, without `_` since."""
    match = re.search(r"\b_?SYSTEMCTL_SKIP_REDIRECT\b", facts.text(f.SYSTEMD_HOOK) or "")
    return match.group() if match else ""
