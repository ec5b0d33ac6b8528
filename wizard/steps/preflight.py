"""Before anything: can this host become an MSA? Reports, changes nothing."""

from __future__ import annotations

import time

from wizard.editors import EditError, sendmail_mc
from wizard.editors.daemon_options import is_loopback
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import OLDEST, Facts
from wizard.model.plan import Check, Plan, Sign, Step
from wizard.sendmail.cf import listeners
from wizard.sendmail.cf_needs import REMEDY, certificate_is_there, tls_sentence
from wizard.sendmail.daemon_mode import REMEDY as REMEDY_OF_MODE
from wizard.sendmail.daemon_mode import silent_mode, silent_sentence
from wizard.sendmail.own_address import elsewhere, remedy, why
from wizard.system.host import Host
from wizard.system.links import in_the_way
from wizard.system.sockets import Listener, collide

NEWEST_TRIED = 14
ROOM = 400 * 1024 * 1024
"""Bytes that the packages and their download take, with room to spare."""
BUILT = 1_760_000_000
"""No clock is earlier than this program (October 2025)."""


class Preflight(Step):
    """root, supported release, FQDN, no other MTA, ports free, disk, time."""

    id = "preflight"
    howto = ""
    title = "Look at this host"
    why = "Whatever would stop the set-up half-way is found before anything is changed."
    reports = True

    def plan(self, facts: Facts, answers: Answers) -> Plan:
        """Blocked by all that failed; else done, for it changes nothing."""
        if failed := [check for check in checks(facts, answers) if check.sign is Sign.FAILED]:
            remedy = dict.fromkeys(line for check in failed for line in check.remedy.splitlines())
            return Plan.blocked(self.id, "; and ".join(check.says for check in failed), *remedy)
        return Plan.done(self.id, f"no obstacles found on {facts.release.name}")

    def verify(self, host: Host, facts: Facts, answers: Answers) -> list[Check]:
        """Each thing looked at, with its sign."""
        return checks(facts, answers)


def checks(facts: Facts, answers: Answers) -> list[Check]:
    """All checks; one that makes the others pointless stands alone."""
    if (system := _release(facts)).sign is Sign.FAILED:
        return [system]
    first = [system, _root(facts), _mta(facts, answers), _fqdn(facts), *_links(facts), *_named(facts)]
    first += _elsewhere(facts, answers)
    first += _silent(facts)
    return [*first, *_ports(facts, answers), *_masked(facts), _disk(facts), *_usr(facts), _clock()]


def _release(facts: Facts) -> Check:
    release = facts.release
    if facts.foreign:
        says = f"this is {release.name}: {facts.foreign.why}"
        return Check("release", Sign.FAILED, says, facts.foreign.remedy)
    if release.id != "debian":
        says = f"msa-wizard was not tried on {release.name}. Its Sendmail is Debian's package: rehearse first"
        return Check("release", Sign.WARNING, says, "msa-wizard rehearse")
    version = int(release.version) if release.version.isdigit() else 0
    if 0 < version < OLDEST:
        says = f"{release.name} is too old; it needs Debian {OLDEST} or newer"
        return Check("release", Sign.FAILED, says, "upgrade this host first")
    if version == 0 or version > NEWEST_TRIED:
        return Check("release", Sign.WARNING, f"{release.name} is newer than what msa-wizard was tried on")
    return Check("release", Sign.OK, release.name)


def _root(facts: Facts) -> Check:
    if facts.euid == 0:
        return Check("root", Sign.OK, "running as root")
    return Check("root", Sign.WARNING, "not root: you can plan but not apply")


def _mta(facts: Facts, answers: Answers) -> Check:
    others = [name for name in f.MTA_PACKAGES if name in facts.packages]
    if not others:
        return Check("mta", Sign.OK, "no other MTA is installed")
    named = ", ".join(others)
    if answers.replace_mta:
        says = f"apt will remove {named}: --replace-mta was given. Mail in its queue waits there until it is back"
        return Check("mta", Sign.WARNING, says, "mailq   # shows what waits")
    if "sendmail-bin" in facts.packages:
        return Check("mta", Sign.WARNING, f"{named} is installed beside sendmail")
    says = (
        f"{named} is installed, and apt would remove it for sendmail: mail set-up, transports and a running "
        "mail service would be gone (its files in /etc stay until purged)"
    )
    return Check(
        "mta",
        Sign.FAILED,
        says,
        "if that is what you want: tick Replace another MTA in the Settings, or `msa-wizard apply --replace-mta`",
    )


def _fqdn(facts: Facts) -> Check:
    if facts.fqdn_resolves:
        return Check("fqdn", Sign.OK, f"{facts.fqdn} is this host's qualified name")
    shown = facts.fqdn or facts.hostname
    short = facts.hostname.split(".")[0]
    sysv = facts.init == "sysv"
    name = (
        f" hostname {short}; echo {short} > /etc/hostname" if sysv else f" hostnamectl set-hostname {short}"
    )
    rename = "" if facts.hostname == short else f"{name}\n"
    # On top: the first line that has the name wins.
    remedy = f"{rename} sed -i '1i 127.0.1.1 {short}.example.org {short}' /etc/hosts   # your domain in place of example.org"
    sign, why = Sign.FAILED, "no certificate would be made, so no STARTTLS, and nothing would complain"
    if certificate_is_there(facts):
        sign, why = Sign.WARNING, "each start of sendmail waits a minute for it"
    return Check("fqdn", sign, f"{shown!r} is not a qualified name that resolves: {why}", remedy)


def _links(facts: Facts) -> list[Check]:
    """Nothing is said of folders that are none of them symbolic links, or lead to others that the snapshots hold."""
    return [Check("links", Sign.FAILED, says, remedy) for says, remedy in in_the_way(facts.links)]


def _named(facts: Facts) -> list[Check]:
    """What sendmail.mc names and is not there: the folder of a map, or files for TLS, of which Debian's are made."""
    missing = facts.without_tls
    if facts.without_start:
        return [Check("start", Sign.FAILED, facts.without_start)]
    return [Check("tls-files", Sign.FAILED, tls_sentence(missing), REMEDY)] if missing else []


def _elsewhere(facts: Facts, answers: Answers) -> list[Check]:
    """The listeners that the admin has written for an address that this host does not have, and that the settings leave."""
    text = None if f.SENDMAIL_MC in facts.unreadable else facts.text(f.SENDMAIL_MC)
    try:
        written = sendmail_mc.daemon_options(text or "")
    except EditError:
        return []  # the steps that edit it say so
    chosen = {"smtp"} if answers.listen.smtp else set()
    chosen |= {"submission"} if answers.listen.submission else set()
    chosen |= {"submissions"} if answers.listen.submission and answers.listen.implicit_tls else set()
    here = {each.raw.strip() for each in written}
    included = [each for each in listeners(facts.cf_from_mc or "") if each.raw.strip() not in here]
    left = [each for each in written if each.service not in chosen]
    places = [(f"line {each.line} of ", f.SENDMAIL_MC, each) for each in elsewhere(facts, left)]
    places += [("", f"a file that {f.SENDMAIL_MC} includes", each) for each in elsewhere(facts, included)]
    return [
        Check(
            "listener-address",
            Sign.FAILED,
            f"{line}{path} has `{each.raw}`: {why(each)}",
            remedy(facts, path),
        )
        for line, path, each in places
    ]


def ports(answers: Answers) -> tuple[int, ...]:
    """The ports that sendmail is to serve."""
    return (25, 587, 465) if answers.listen.implicit_tls else (25, 587)


def _ports(facts: Facts, answers: Answers) -> list[Check]:
    others = set(f.MTA_PACKAGES) & set(facts.packages) if answers.replace_mta else set()
    checks = []
    for port in ports(answers):
        wanted = _wanted(port, facts, answers)
        listeners = [
            each
            for each in facts.listeners
            if each.port == port and each.process != "sendmail-mta"
            if any(collide(each.address, address) for address in wanted)
        ]
        # Whose socket it is can be seen by root alone.
        known = [each for each in listeners if each.process is not None or facts.euid == 0]
        if not known:
            checks.append(_not_held(port, facts, wanted, unseen=bool(listeners)))
            continue
        holder = min(known, key=lambda listener: listener.address)
        pid = f" (pid {holder.pid})" if holder.pid else ""
        who = f"is held by {holder.process or 'a process that cannot be seen'}{pid}"
        if others:
            where = " and ".join(sorted({listener.address for listener in listeners}))
            says = f"port {port} on {where} {who}, which goes with its MTA"
            checks.append(Check(f"port-{port}", Sign.WARNING, says))
        else:
            says = f"port {port} on {holder.address} {who}: sendmail could not listen there"
            checks.append(Check(f"port-{port}", Sign.FAILED, says, "\n".join(free_port(facts, holder))))
    return checks


def _wanted(port: int, facts: Facts, answers: Answers) -> set[str]:
    """The addresses at which sendmail will listen; where none were chosen, it keeps those that other machines reach."""
    listen = answers.listen
    addresses = set(listen.smtp if port == 25 else listen.submission)
    if not addresses:
        outside = {each for each in _own(port, facts) if not is_loopback(each)}
        addresses = (outside or {"0.0.0.0"}) | ({"::"} if listen.ipv6 else set())
    local = port == 25 or (port == 587 and listen.local_submission)
    return addresses | ({"127.0.0.1"} if local else set())


def _own(port: int, facts: Facts) -> list[str]:
    """The addresses at which sendmail listens now."""
    return [each.address for each in facts.listeners if each.port == port and each.process == "sendmail-mta"]


def _not_held(port: int, facts: Facts, wanted: set[str], *, unseen: bool) -> Check:
    """A port that no other program is known to hold."""
    if unseen:
        says = f"port {port} is in use; only root can see whether sendmail holds it"
        return Check(f"port-{port}", Sign.UNKNOWN, says)
    own = _own(port, facts)
    if not own:
        return Check(f"port-{port}", Sign.OK, f"port {port} is free")
    if all(map(is_loopback, own)) and not all(map(is_loopback, wanted)):
        says = f"sendmail listens on port {port} of {' and '.join(own)} only"
        return Check(f"port-{port}", Sign.PENDING, says)
    return Check(f"port-{port}", Sign.OK, f"sendmail listens on port {port}")


def free_port(facts: Facts, holder: Listener) -> tuple[str, ...]:
    """What stops the program that holds a port, for good."""
    if holder.pid is None:
        return (f"see which program it is: `ss -ltnp 'sport = :{holder.port}'`",)
    if facts.init == "sysv":
        return (
            f"stop it: `kill {holder.pid}`",
            "and keep it from starting at boot: `update-rc.d NAME disable`",
        )
    if unit := _UNITS.get(holder.process or ""):
        return (f"stop it: `systemctl disable --now {unit}`",)
    return (
        f"see its service: `systemctl status {holder.pid}`",
        f"and stop it: `systemctl disable --now SERVICE`, or `kill {holder.pid}` where it has none",
    )


_UNITS = {"master": "postfix", "smtpd": "opensmtpd", "exim4": "exim4"}
"""Of other mail servers. Whose a port is otherwise, a person has to see: it may be Docker's, or a session's."""


def _masked(facts: Facts) -> list[Check]:
    """Nothing is said of services that may be started."""
    services = {name: facts.services.get(name) for name in ("saslauthd", "sendmail")}
    names = [name for name, service in services.items() if service is not None and service.masked]
    if not names:
        return []
    units = " and ".join(f"{name}.service" for name in names) + (" are" if len(names) > 1 else " is")
    says = f"{units} masked: systemd refuses every start, and somebody wanted it so"
    return [Check("masked", Sign.FAILED, says, f"if it may run: `systemctl unmask {' '.join(names)}`")]


def _silent(facts: Facts) -> list[Check]:
    """Nothing is said of a sendmail that listens once it is started."""
    mode = silent_mode(facts)
    return [Check("daemon-mode", Sign.FAILED, silent_sentence(mode), REMEDY_OF_MODE)] if mode else []


def _disk(facts: Facts) -> Check:
    free = facts.disk_free // (1024 * 1024)
    if "sendmail-bin" not in facts.packages and facts.disk_free < ROOM:
        says = f"only {free} MiB are free below /var; the packages take up to {ROOM >> 20} MiB"
        return Check("disk", Sign.FAILED, says, "make room: `apt-get clean; journalctl --vacuum-size=50M`")
    return Check("disk", Sign.OK, f"{free} MiB are free below /var")


def _usr(facts: Facts) -> list[Check]:
    """Nothing is said of a /usr that can be written: dpkg gets half-way on one that cannot, and no further or back."""
    says = (
        "/usr is mounted read-only: no package can be installed, and update_auth cannot write "
        "/usr/lib/sasl2/Sendmail.conf"
    )
    return [Check("usr", Sign.FAILED, says, "mount -o remount,rw /usr")] if facts.usr_readonly else []


def _clock() -> Check:
    if time.time() < BUILT:
        says = f"the clock says {time.strftime('%F %R')}: certificates would be wrong"
        return Check("clock", Sign.FAILED, says, "set it: `timedatectl set-ntp true`")
    return Check("clock", Sign.OK, f"the clock says {time.strftime('%F %R %Z')}")
