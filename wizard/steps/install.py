"""Howto 2.1: sendmail where it is missing, sasl2-bin, and the SASL mechanisms themselves."""

from __future__ import annotations

from collections.abc import Sequence

from wizard.changes.install_packages import PackagesChange
from wizard.changes.service import ServiceChange
from wizard.gather.host import WANTED
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Check, Plan, Sign, Step
from wizard.system.host import Host

_ONLY_RECOMMENDED = "postfix-mta-sts-resolver"
_AS_ASKED = (
    f"{_ONLY_RECOMMENDED} and its Python packages are only recommended, and come because your settings say [install] "
    "recommends = true"
)
_PROVEN = ("sendmail-bin", "sasl2-bin", "libsasl2-modules")


class Install(Step):
    """Packages, by apt."""

    id = "install"
    howto = "2.1"
    title = "Install sendmail and SASL2"
    why = (
        "sasl2-bin brings saslauthd, which checks passwords. libsasl2-modules brings the mechanisms LOGIN and PLAIN: without "
        "them Sendmail offers no AUTH, and logs nothing about it."
    )
    checked = "the packages, and the programs sendmail, saslauthd and m4"
    needs = ("preflight",)

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """What is missing of the wanted packages, and openssl, which makes the certificate."""
        missing = [name for name in (*WANTED, "sendmail-bin", "openssl") if name not in facts.packages]
        if "sendmail" in missing and "sendmail" not in facts.half_way:
            # It is the metapackage only: where the MTA itself is here it is not needed, and else it brings that.
            missing.remove("sendmail" if facts.has("sendmail-bin") else "sendmail-bin")
        if not missing:
            named = ", ".join(f"{name} {facts.packages[name]}" for name in _PROVEN)
            return Plan.done(self.id, f"{named} are installed")
        others = tuple(name for name in f.MTA_PACKAGES if answers.replace_mta and name in facts.packages)
        notes: tuple[str, ...] = ()
        if facts.asking_apt:
            notes = ("apt is being asked what comes with these packages, and how large they are",)
        elif facts.apt_plan is None:
            notes = (
                "apt says when it runs what comes with these packages; `msa-wizard plan install` lists it beforehand",
            )
        # Debian 13 removes a running Postfix and leaves it running, on port 25.
        stops = tuple(
            ServiceChange(name, facts.init, enable=False, was_running=True, verb="stop")
            for name in dict.fromkeys(map(_service, others))
            if any(listener.port == 25 for listener in facts.listeners)
        )
        recommends = answers.install.recommends
        # Where another MTA goes, sendmail takes its place at once: other programs deliver to port 25.
        later = facts.starts_later and not others
        change = PackagesChange(tuple(missing), facts.apt_plan, others, recommends, later)
        if _ONLY_RECOMMENDED in change.brings:
            notes += (_AS_ASKED,)
        return Plan.pending(
            self.id,
            missing_words(facts, missing),
            *stops,
            change,
            notes=notes,
        )

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """The packages, and the programs they are for."""
        checks = []
        for name in _PROVEN:
            version = facts.packages.get(name)
            says = f"{name} {version} is installed" if version else f"{name} is not installed"
            checks.append(Check(name, Sign.OK if version else Sign.FAILED, says))
        for tool in ("sendmail", "saslauthd", "m4"):
            sign, word = (Sign.OK, "there") if tool in facts.tools else (Sign.FAILED, "missing")
            checks.append(Check(tool, sign, f"{tool} is {word}"))
        return checks


def missing_words(facts: Facts, missing: Sequence[str]) -> str:
    """What is wrong with packages that are not installed, or not wholly."""
    half = [f"{name} ({facts.half_way[name]})" for name in missing if name in facts.half_way]
    gone = [name for name in missing if name not in facts.half_way]
    begun = f"dpkg has not finished with {', '.join(half)}" if half else ""
    absent = f"{', '.join(gone)} {'is' if len(gone) == 1 else 'are'} not installed" if gone else ""
    return "; ".join(filter(None, (begun, absent)))


def _service(package: str) -> str:
    """The service of an MTA package."""
    return "exim4" if package.startswith("exim4") else package.removesuffix("-mta")
