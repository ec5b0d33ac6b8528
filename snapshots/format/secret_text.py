"""What of a file's text may be shown. Private keys, password databases, and passwords with their hashes never are.

All of it is in a snapshot, so that it comes back. Whatever shows the content of a file asks here."""

from __future__ import annotations

import re

_KEY = re.compile(rb'-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|"d"\s*:\s*"[A-Za-z0-9_-]{20,}"')
_BLOCK = re.compile(rb"^-----BEGIN [A-Z0-9. ]+-----\s*$", re.MULTILINE)
_ENCODED = re.compile(rb"^[-+ ]*[A-Za-z0-9+/=]{16,}[-\r]*$", re.MULTILINE)

HIDDEN = "(holds a private key: its text is not shown)"
"""What is shown in place of the text."""

HIDDEN_PASSWORDS = "(holds passwords: its content is not shown)"
"""What is shown in place of the content."""

_DATABASE = re.compile(r"(?:^|/)\.?sasldb[^/]*\Z")
"""The databases of the Cyrus SASL library: they hold the passwords themselves."""

_RECORDS = re.compile(
    r"""(?:^|/)etc/\.?(?:passwd|group)(?:[-.+~][^/]*)?\Z   # their backups and drafts, too: passwd- group.edit .passwd.swp
      | (?:^|/)\.?n?g?shadow(?:[-.+~][^/]*)?\Z
      | (?:^|/)[^/]*(?:htpasswd|passwdfile)[^/]*\Z""",
    re.VERBOSE,
)
"""Files of records with colons between their fields, whose second field is a password or its hash."""

_HUNK = re.compile(rb"(@@ -[0-9,]+ \+[0-9,]+ @@) ")
"""The head of a hunk: git repeats a line of the file behind it, cut off anywhere."""

_NO_HASH = 4
"""A second field is `x`, `*`, `!`, `!!` and the like up to this length behind its marks, and longer a hash."""

_HASHES = re.compile(
    rb"""(?P<crypt>                                     # crypt(5), and what passlib and web servers write like it
        \$(?:[156]|apr1|sha1|sm3)\$[^$\s:"']{0,64}\$(?:[^$\s:"']{0,64}\$)?[./A-Za-z0-9]{10,}
      | \$md5[$,][^\s:"']{16,}
      | \$2[abxy]?\$[0-9]{2}\$[./A-Za-z0-9]{20,}
      | \$(?:y|gy|7)\$[./A-Za-z0-9$]{20,}
      | \$(?:argon2(?:i|d|id)|s?crypt|bcrypt-sha256|pbkdf2(?:-[a-z0-9]+)?)\$[^\s:"']{16,}
    )
    | (?P<lead>\{(?:[SX]?SHA[0-9]*|S?MD5|[A-Z0-9-]*CRYPT|ARGON2(?:I|D|ID)?|PBKDF2[A-Z0-9-]*|SCRAM-SHA-[0-9]+
      |PLAIN|CLEARTEXT|PLAIN-MD4|LANMAN|NTLM|(?:CRAM|DIGEST|HMAC)-MD5)(?:\.(?:B64|HEX))?\})(?P<scheme>[^\s:"']{4,})
      # RFC 2307 and Dovecot
    | (?P<info>"[Pp][:=])(?P<given>[^"]+)               # AuthInfo of sendmail's access map and authinfo file
    | (?P<name>^[-+\ ]?[\ \t]*(?:
          ldap_password|ldap_bind_pw|sql_passwd|bindpw|rootpw        # saslauthd.conf, Sendmail.conf, ldap.conf
        | (?:certbot[\w-]*:)?dns_\w*(?:secret|token|password|key)\w* # what certbot's plug-ins for the DNS log in with
        | aws_secret_access_key | eab[_-]hmac[_-]key                 # and its account with some authorities
      )[\ \t:=]+)(?P<value>\S.*)$
    | (?P<module>\bpam_\w+\.so\b[^\n]*?[\s\[](?:passwd|password|bindpw|secret)=)(?P<argument>[^\s\]]+)  # an argument in pam.d(5)
    """,
    re.VERBOSE | re.IGNORECASE,
)


def holds_private_key(*contents: bytes | None) -> bool:
    """Whether one of the contents has a private key in it, in the PEM format (RFC 7468), PGP's, or as a JSON Web Key (RFC 7518,
    `d`), as certbot keeps that of an account."""
    return any(content is not None and _KEY.search(content) for content in contents)


def encoded(content: bytes) -> bool:
    """Whether it holds a certificate, a key or the like in PEM: lines of two of them do not make a third."""
    return _BLOCK.search(content) is not None


def may_be_of_a_key(patch: bytes) -> bool:
    """Whether a line of the patch could be of a key: a hunk may lie within one, far from the line that says so."""
    return _ENCODED.search(patch) is not None or holds_private_key(patch)


def hidden(path: str, *contents: bytes | None) -> str:
    """What is shown in place of the whole content of `path`, in brackets; empty where its lines may be shown masked."""
    if _DATABASE.search(path):
        return HIDDEN_PASSWORDS
    return HIDDEN if holds_private_key(*contents) else ""


class PasswordMask:
    """The lines of one file, or of a patch of it, with each password replaced by `[password N]`. The same
    password gets the same number, so that a change shows; the number says nothing else of it."""

    def __init__(self, path: str) -> None:
        self._records = _RECORDS.search(path) is not None
        self._numbers: dict[bytes, int] = {}

    def text(self, text: bytes) -> bytes:
        """Lines, each masked."""
        return b"\n".join(map(self.line, text.split(b"\n")))

    def line(self, line: bytes) -> bytes:
        """One line without its end, with or without the sign that a patch puts before it."""
        if head := _HUNK.match(line):
            line = head[1]
        fields = line.split(b":")
        if self._records and len(fields) > 1:
            bare = fields[1].lstrip(b"!*")
            if len(bare) > _NO_HASH:
                fields[1] = fields[1][: len(fields[1]) - len(bare)] + self._number(bare)
                line = b":".join(fields)
        return _HASHES.sub(self._masked, line)

    def _masked(self, match: re.Match[bytes]) -> bytes:
        for lead, secret in (
            ("lead", "scheme"),
            ("info", "given"),
            ("name", "value"),
            ("module", "argument"),
        ):
            if match[secret] is not None:
                return bytes(match[lead]) + self._number(match[secret])
        return self._number(match["crypt"])

    def _number(self, secret: bytes) -> bytes:
        return b"[password %d]" % self._numbers.setdefault(secret, len(self._numbers) + 1)
