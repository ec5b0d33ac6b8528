"""The ruleset tls_srv_features (op.me, section 5.1.4.18): TLS options by listener, which CipherList and ServerSSLOptions are not.

sendmail asks it at each STARTTLS, and for each connection with TLS from the first byte. What it says is added to
ServerSSLOptions, takes the place of CipherList, and concerns neither other ports nor mail that goes out. An option or a list
that sendmail does not know ends the session with 454. A token may have 256 characters, so nothing is in quotes."""

from __future__ import annotations

import re
from collections.abc import Iterable

from wizard.editors import EditError
from wizard.sendmail import cf as sendmail_cf

OPTIONS = ("SSL_OP_NO_TLSv1", "SSL_OP_NO_TLSv1_1", "SSL_OP_NO_RENEGOTIATION")
"""TLS 1.0 and 1.1 off (RFC 8996), and renegotiation (RFC 9325, section 3.5); the sendmail of Debian 12 to 14 knows them."""
WEAK = ("kRSA", "aNULL", "eNULL", "3DES", "RC4")
"""What RFC 9325, section 4.1, has nobody negotiate: without forward secrecy or encryption, or with less than 128 bits."""
SMALL_DH = "kDHE"
"""Where the group has less than 2048 bits (section 4.5)."""
LIST = re.compile(r"[A-Za-z0-9+!@=_.:-]{1,900}\Z")
"""What a rule of sendmail.cf can hold of a list of ciphers."""
_HEAD = "Stls_srv_features"
_NAMED = re.compile(r"S[ \t]*tls_srv_features\b")
_BEGIN = "dnl # msa-wizard (tls-policy): TLS of the ports for mail clients, in a ruleset of its own\n"
_END = "dnl # msa-wizard (tls-policy): the end\n"
_BLOCK = re.compile(rf"^{re.escape(_BEGIN)}(.*?)^{re.escape(_END)}", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"^dnl # msa-wizard \(tls-policy\): ", re.MULTILINE)


def ports(cf: str) -> tuple[int, ...]:
    """The ports at which mail clients submit; never 25, where other servers come as well as they can."""
    return tuple(sorted(listeners(cf)))


def listeners(cf: str) -> dict[int, sendmail_cf.Daemon]:
    """By such a port the listener to ask; one that offers no TLS is none."""
    found = [each for each in sendmail_cf.daemons(cf) if each.submission and each.port != 25]
    found = [each for each in found if each.tls_on_connect or "S" not in each.modifiers]
    found.sort(key=lambda each: (each.family == "inet" and "a" in each.modifiers, each.family == "inet"))
    return {each.port: each for each in found}


def listed(base: str, *, small_dh: bool) -> str:
    """A list of ciphers without what is weak; what it has not itself, or bars, stays out."""
    return ":".join([base, *(f"!{name}" for name in (*WEAK, *([SMALL_DH] if small_dh else [])))])


def rules(at: Iterable[int], ciphers: str) -> tuple[str, ...]:
    """The lines of sendmail.cf."""
    features = f"Options={','.join(OPTIONS)};CipherList={ciphers}"
    of_ports = (f"R{port}\t\t\t$@ {features}" for port in at)
    return (_HEAD, "R$*\t\t\t$: $&{daemon_port}", *of_ports, 'R$*\t\t\t$@ ""')


def present(cf: str) -> tuple[str, ...]:
    """The lines of a .cf that are this ruleset, wherever they are from."""
    found, inside = list[str](), False
    for line in sendmail_cf.statements(cf):
        inside = bool(_NAMED.match(line)) or (inside and line.startswith("R"))
        found += [line] if inside else []
    return tuple(found)


def own(mc: str) -> str:
    """Our lines in a sendmail.mc, empty where there are none. Raises EditError where their marks were changed."""
    blocks = _BLOCK.findall(mc)
    marks = [*_MARK.finditer(mc)]
    if len(blocks) > 1 or len(marks) != 2 * len(blocks):
        why = "this is no longer one of two lines that stand around the ruleset tls_srv_features"
        remedy = "take these lines, and what is between them, out of sendmail.mc; then try again"
        raise EditError.at(mc, marks[0].start(), why, remedy)
    return str(blocks[0]) if blocks else ""


def of_block(block: str) -> tuple[str, ...]:
    """What m4 makes of our lines."""
    lines = (line for line in sendmail_cf.statements(block) if not line.startswith("dnl"))
    return tuple(line for line in lines if line != "LOCAL_RULESETS")


def drops_dh(block: str) -> bool:
    """Whether our lines bar Diffie-Hellman, since the group was small."""
    return f":!{SMALL_DH}" in block


def with_rules(mc: str, lines: Iterable[str]) -> str:
    """The sendmail.mc with this ruleset in the place of ours, else at its end. Raises EditError."""
    block = "".join(f"{line}\n" for line in ("LOCAL_RULESETS", *lines))
    whole = f"{_BEGIN}{block}{_END}"
    if own(mc):
        return _BLOCK.sub(lambda _: whole, mc)
    return f"{mc}{'' if mc.endswith(chr(10)) or not mc else chr(10)}{whole}"
