"""Howto 3.4: confAUTH_OPTIONS `p y`."""

from __future__ import annotations

from templates import render
from wizard.editors import sendmail_mc
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.sendmail import cf as sendmail_cf
from wizard.sendmail.mc_gate import Planned
from wizard.steps.mc_edit import McStep

_NEEDED = "py"


class AuthOptions(McStep):
    """Without p LOGIN gets 235 in clear text (docs/debian.md trap 6)."""

    id = "auth-options"
    howto = "3.4"
    title = "No password without TLS"
    why = "LOGIN and PLAIN carry the password itself. With p they are refused until the connection is encrypted; y: no anonymous login."
    needs = ("install", "sendmail-auth", "mc-includes")

    def edit(self, mc: str, facts: Facts, answers: Answers) -> str:
        """p and y are added to the flags that are there."""
        now = sendmail_mc.define_value(mc, "confAUTH_OPTIONS") or ""
        if set(_NEEDED) <= set(sendmail_cf.auth_flags(now)):
            return mc
        letters = dict.fromkeys(letter for letter in now + _NEEDED if letter not in ", \t\n")
        value = " ".join(letters)
        return sendmail_mc.set_define(
            mc, "confAUTH_OPTIONS", value, render("auth_options.mc.j2", value=value)
        )

    def done_reason(self, mc: str) -> str:
        """The flags as they are."""
        return f"confAUTH_OPTIONS is `{sendmail_mc.define_value(mc, 'confAUTH_OPTIONS')}'"

    def options(self, facts: Facts, answers: Answers) -> dict[str, frozenset[str]]:
        """What must arrive in sendmail.cf."""
        return {"AuthOptions": frozenset(_NEEDED)}

    def planned(self, facts: Facts, answers: Answers) -> Planned:
        """Its flags."""
        return Planned(sets=frozenset({"AuthOptions"}))

    def lines(self, facts: Facts, answers: Answers) -> tuple[str, ...]:
        """The howto's line."""
        return ("will set define(`confAUTH_OPTIONS',`p y')dnl",)
