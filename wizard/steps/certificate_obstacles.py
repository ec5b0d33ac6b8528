"""Why an authority is not to be asked for a certificate, or could not find this host; and what to do about it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from wizard.certificates.acme import CERTBOT, authority, reached_from_outside
from wizard.changes.lineage import by_hand
from wizard.model.answers import MANUAL, STANDALONE, WEBROOT, Certificate
from wizard.model.facts import Facts
from wizard.model.step_facts import Acme, NameInDns
from wizard.steps.certbot_command import obtaining
from wizard.steps.certificate import no_folder
from wizard.steps.certificate_endings import only_rsa

PORT = 80
"""Where an authority asks a name's host by http (RFC 8555, 8.3)."""
FOLDERS = (CERTBOT, *(f"{CERTBOT}/{name}" for name in ("accounts", "archive", "live", "renewal")))
"""Where certbot makes things: in each itself, not where a link leads to."""


def lineage_paths(name: str) -> tuple[str, ...]:
    """Where certbot keeps what it has by this name."""
    return f"{CERTBOT}/renewal/{name}.conf", f"{CERTBOT}/live/{name}", f"{CERTBOT}/archive/{name}"


def remains_of(facts: Facts, name: str) -> tuple[str, ...] | None:
    """Why certbot would keep what it gets by another name, or nowhere; and how that ends."""
    if obstacle := no_folder(facts, FOLDERS):
        return obstacle
    remains = [path for path in lineage_paths(name) if facts.files.get(path) is not None]
    if not remains:
        return None
    why = f"of a certificate for {name} parts alone are left: {', '.join(remains)}. Beside them certbot keeps no other by that name"
    if remains[0].endswith(".conf"):
        return why, f"away with them: `certbot delete --cert-name {shlex.quote(name)}`"
    return (
        why,
        f"put them away: `mkdir /root/certbot-{name} && mv {shlex.join(remains)} /root/certbot-{name}`",
    )


def obstacle_to(facts: Facts, wanted: Certificate, acme: Acme) -> tuple[str, ...] | None:
    """Why the authority must not be asked, and what to do."""
    ask = obtaining(wanted, [each.name for each in acme.names] or [acme.name], "", rsa=only_rsa(facts))
    if acme.beside:
        return (
            f"{acme.beside} is another certbot than Debian's, which would come beside it: then two renew the same certificates",
            f"get the certificate with that one: `{by_hand(ask, acme.beside)}`;",
            "then run the same command again: what is kept by that name is used, and nobody is asked",
        )
    if obstacle := unchosen(wanted, acme):
        return obstacle
    if acme.unreachable and acme.proxied:
        return (
            f"{acme.unreachable}. Your shell's proxy (https_proxy) is not used, since certbot.timer renews without it",
            *(
                (f"`apt-get install {shlex.join(acme.missing)}`, which is not installed yet;",)
                if acme.missing
                else ()
            ),
            "give certbot the proxy for its renewals: `systemctl edit certbot.service`, [Service], Environment=https_proxy=...;",
            f"get the certificate in your shell, with the proxy: `{by_hand(ask)}`;",
            "then run the same command again: what is kept by that name is used, and nobody is asked",
        )
    if acme.unreachable:
        return (
            acme.unreachable,
            "see that this host reaches it (https), and that the address of its ACME directory is right;",
            "behind a proxy: set https_proxy (sudo passes it on with --preserve-env=https_proxy), and run the same command again",
        )
    if forbidden := next((each.forbidden for each in acme.names if each.forbidden), ""):
        return (
            forbidden,
            "change these records, or do as they say: with another authority (--server URL), or another way to prove the name (--challenge)",
        )
    if wanted.challenge == MANUAL:
        return _unfit_hook(acme)
    if wanted.challenge not in (STANDALONE, WEBROOT):
        lacks = wanted.credentials and not acme.credentials
        return (
            (f"{wanted.credentials} is not there", "give the file with the plug-in's credentials")
            if lacks
            else None
        )
    ways = (_no_way_in(facts, wanted, named) for named in acme.names)
    return next(filter(None, ways), None) or _wrong_holder(facts, wanted, acme)


def unchosen(wanted: Certificate, acme: Acme) -> tuple[str, ...] | None:
    """All that has to be chosen besides, whatever the authority and the DNS say; and where, a line each."""
    lacks = tuple(_lacks(wanted, acme))
    return ("; ".join(why for why, _ in lacks), *(way for _, way in lacks)) if lacks else None


def _lacks(wanted: Certificate, acme: Acme) -> Iterator[tuple[str, str]]:
    if not wanted.email:
        yield "no e-mail address is chosen for the authority", _where("email ADDRESS", "E-mail address")
    if not wanted.agree_tos:
        terms = f" ({acme.terms})" if acme.terms else ""
        yield (
            f"{authority(wanted.server)} gives a certificate only to those who agree to its terms of service{terms}",
            "if you do: --agree-tos, the box on the screen, or certificate.agree_tos=true in the settings",
        )
    if wanted.challenge == MANUAL and not wanted.auth_hook:
        yield (
            f"with the challenge {MANUAL} a hook of yours writes certbot's record into the DNS, and none is chosen",
            f"give the program: {_where('auth-hook FILE', 'DNS hook')}",
        )
    if wanted.challenge == WEBROOT and not wanted.webroot:
        yield (
            "no folder of the web server is chosen",
            f"give the folder that it serves for the name: {_where('webroot DIR', 'Web folder')}",
        )
    by_plugin = wanted.challenge not in (STANDALONE, WEBROOT, MANUAL, *_WITHOUT_FILE)
    if by_plugin and not (wanted.credentials or acme.credentials):
        yield (
            f"no file with the credentials of certbot's plug-in {wanted.challenge} is chosen",
            f"give it: {_where('credentials FILE', 'DNS credentials')}",
        )


_WITHOUT_FILE = ("dns-route53", "dns-google", "dns-standalone")
"""Plug-ins that find what they log in with elsewhere, or log in nowhere."""


def _where(option: str, field: str) -> str:
    key = option.partition(" ")[0].replace("-", "_")
    return f"--{option}, the field {field} on the screen, or certificate.{key} in the settings"


def _unfit_hook(acme: Acme) -> tuple[str, ...] | None:
    """Why nobody would write the record into the DNS."""
    if acme.unfit_hook:
        return acme.unfit_hook, (
            "give an executable program that only root can write to, as well as to every folder on its way: one in /root, say, "
            "with chmod 755"
        )
    return None


def _no_way_in(facts: Facts, wanted: Certificate, named: NameInDns) -> tuple[str, ...] | None:
    """Why what the DNS says of the name would not bring the authority here."""
    if not named.addresses:
        why = named.unresolved or f"the DNS has no address for {named.name}"
        return (
            why,
            "make an A record (and AAAA) for it that leads to this host; or prove the name by DNS: --challenge dns-PLUGIN",
        )
    for family, sign in ((4, "."), (6, ":")) if not named.hearsay else ():
        there = [each for each in named.addresses if sign in each]
        own = [each for each in facts.addresses if sign in each and reached_from_outside(each)]
        # Where nobody outside reaches any of them, the authority gets another answer than this host.
        strange = any(map(reached_from_outside, there)) and not set(there) & set(own)
        if wanted.challenge == STANDALONE and strange and (own or family == 6):
            here = (
                f"this host has {', '.join(own)}"
                if own
                else "this host has no IPv6 address that is reached from outside"
            )
            record = "A" if family == 4 else "AAAA"
            return (
                f"{named.name} leads to {', '.join(there)}, and {here}",
                f"correct its {record} record, or remove it",
            )
    return None


def _wrong_holder(facts: Facts, wanted: Certificate, acme: Acme) -> tuple[str, ...] | None:
    """Why nobody could answer the authority at port 80."""
    holders = {
        f"{each.process or 'a program'} (pid {each.pid})" for each in facts.listeners if each.port == PORT
    }
    if wanted.challenge == STANDALONE and holders:
        return (
            f"port 80 is held by {', '.join(sorted(holders))}, and certbot needs it for itself",
            "let that web server answer: --challenge webroot --webroot DIR (on the screen Challenge and Web folder), the folder that it "
            "serves for the name;",
            "or stop it for that while",
        )
    if wanted.challenge == WEBROOT:
        if not holders:
            return (
                "no web server listens on port 80",
                "start it, or let certbot answer: --challenge standalone",
            )
        if not acme.webroot:
            return (
                f"{wanted.webroot} is not there",
                f"give the folder that the web server serves for the name: {_where('webroot DIR', 'Web folder')}",
            )
    return None
