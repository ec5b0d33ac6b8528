"""What is known of ACME authorities (RFC 8555) without asking one: who may sign for a name (CAA, RFC 8659), which addresses
they cannot reach, and what it means when certbot says that one has refused. Pure."""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from wizard.log import PATH

CERTBOT = "/etc/letsencrypt"
"""Where certbot keeps everything."""
SETTINGS = (f"{CERTBOT}/cli.ini", "/root/.config/letsencrypt/cli.ini")
"""Its own."""
PROGRAM = "/usr/bin/certbot"
"""Debian's."""
OTHERS = ("/usr/local/bin/certbot", "/snap/bin/certbot", PROGRAM)
"""Where pip, snap and their own instructions put another one."""
HOOK = f"{CERTBOT}/renewal-hooks/deploy/msa-wizard-sendmail"
"""Brings renewals to sendmail."""
LINEAGE = re.compile(r"^lineage=(.+)$", re.MULTILINE)
"""What stands in it."""
_NAME = re.compile(r"^name=(.+)$", re.MULTILINE)
PORT_HOOK = f"{CERTBOT}/msa-wizard-port-80"
"""Opens port 80 while certbot asks for a certificate."""
LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"
IDENTITIES = ("letsencrypt.org",)
"""What CAA records call Let's Encrypt (https://letsencrypt.org/docs/caa/)."""
_INSIDE = tuple(
    map(
        ipaddress.ip_network,
        (
            *(
                "127.0.0.0/8",
                "10.0.0.0/8",
                "172.16.0.0/12",
                "192.168.0.0/16",
                "169.254.0.0/16",
                "100.64.0.0/10",
            ),
            *("::1/128", "fc00::/7", "fe80::/10"),
        ),
    )
)
"""Addresses that nobody outside reaches, documentation's own not among them."""
_LIMITS = "https://letsencrypt.org/docs/rate-limits/"
_REFUSALS = (
    (r"rateLimited|too many (?:new )?(?:certificates|registrations|requests|failed|currently pending)",
     "the authority takes no more requests for a while: its rate limit is reached",
     f"wait until the time that it names, or a week ({_LIMITS}); each further try counts, --dry-run does not"),
    (r"Could not bind TCP port 80|Problem binding to port 80",
     "another program holds port 80, so certbot could not answer the authority there",
     "`ss -ltnp 'sport = :80'` names it: stop it for that while, or use it: --challenge webroot --webroot DIR"),
    (r"Hook '--manual-auth-hook' for \S+ reported error code",
     "your hook failed, so nothing proved the name in the DNS",
     "run the hook by hand with CERTBOT_DOMAIN=NAME CERTBOT_VALIDATION=test, and see what it says"),
    (r"Encountered error (?:adding|when making|deleting)|Missing properties in credentials|binascii\.Error|Unable to determine base domain",
     "certbot's plug-in could not write into the DNS",
     "see that the file of --credentials names the right name server, and a key that may change this zone"),
    # certbot's own hint names TXT records after each challenge by the DNS that fails, for whatever reason.
    (r"(?m)looking up TXT|^(?!Hint: ).*TXT record|DNS challenge|Type:\s+(?:unauthorized|incorrectResponse)\b(?:.*\n)*Hint: .*TXT record",
     "the authority does not find certbot's record in the DNS (TXT of _acme-challenge)",
     "see that the record goes into the zone that the world sees; where its name servers agree late, let the hook wait, or set "
     "dns-PLUGIN-propagation-seconds in /etc/letsencrypt/cli.ini; then try again"),
    (r"error:caa\b|Type:\s+caa\b|CAA record",
     "a CAA record of the name forbids this authority to sign for it",
     "add the authority to the CAA records of the name, or use one that they allow. Their validationmethods and accounturi must fit, too: "
     "`certbot show_account` shows certbot's account, with --staging the one of the trial"),
    (r"Type:\s+dns\b|error:dns\b|NXDOMAIN|SERVFAIL|no valid A(?:AAA)? records",
     "the authority does not find the name in the DNS",
     "make its A record (and AAAA) lead to this host, wait until the name servers agree, then try again"),
    (r"Type:\s+connection\b|error:connection\b|Timeout during connect|Connection reset by peer.*acme-challenge",
     "the authority does not get through to port 80 of the name",
     "open port 80 in the provider's firewall and on the router, and see that A and AAAA both lead to this host"),
    (r"Type:\s+tls\b|error:tls\b",
     "the authority was led to https and the TLS there failed",
     "let the web server answer /.well-known/acme-challenge/ over plain http"),
    (r"Please choose an account",
     "certbot has several accounts with the authority, and cannot ask which one to use",
     "`find /etc/letsencrypt/accounts -name regr.json` lists them, `grep ^account /etc/letsencrypt/renewal/*.conf` those that renewals use: move "
     "one that none uses out of the way (`mv /etc/letsencrypt/accounts/SERVER/directory/ID /root/certbot-account`). If renewals use all of them, "
     "get the certificate with `certbot certonly --cert-name NAME --account ID`, then run the same command again"),
    (r"Account at \S+ does not exist",
     "certbot's own settings name an account that it does not have with this authority (staging has its own)",
     "remove `account = ID` from /etc/letsencrypt/cli.ini and /root/.config/letsencrypt/cli.ini"),
    (r"accountDoesNotExist|Account (?:\S+ )?(?:is not valid|does not exist|not found)|account.{0,40}deactivated|No such account|"
     r"[Uu]nable to find (?:an )?account|KeyID header|JWS verification error",
     "the authority does not know certbot's account any more",
     "put the account away, so that certbot makes a new one, and leave those of other authorities: "
     "`ls /etc/letsencrypt/accounts` names them all, and `mv /etc/letsencrypt/accounts/NAME /root/certbot-account` does it"),
    (r"Type:\s+(?:unauthorized|incorrectResponse)\b|error:(?:unauthorized|incorrectResponse)\b|Invalid response from",
     "the authority reached another web server, or another folder, at the name's port 80",
     "see that A and AAAA lead to this host, and that the web server serves the folder of --webroot for this name"),
    (r"badNonce|anti-replay nonce",
     "the authority refused certbot's number of the request (bad nonce), also the second time",
     "that passes: try again in some minutes; if it does not, a proxy on the way caches what it must not"),
    (r"externalAccountRequired|external account binding|EAB",
     "the authority serves only those who have an account with it",
     "give certbot that account first: write the lines `eab-kid = ID` and `eab-hmac-key = KEY` into a file that root alone reads, "
     "`certbot register --server URL --config FILE`, remove the file, then try again"),
    (r"rejectedIdentifier|Policy forbids|illegal character|does not end with a valid public suffix|malformed.*identifier",
     "the authority does not sign for such a name",
     "use the public name of this host: `msa-wizard certificate obtain NAME`"),
    (r"invalidContact|unsupportedContact|invalidEmail|contact.*invalid",
     "the authority does not take the e-mail address",
     "give one that gets mail from outside, with --email"),
    (r"CERTIFICATE_VERIFY_FAILED|SSLError|certificate verify failed",
     "the authority's own server presents a certificate that this host does not trust",
     "for an authority of your own: put its root into /usr/local/share/ca-certificates, then `update-ca-certificates`"),
    (r"serverInternal|Service busy|The service is down|\b50[0234]\b (?:Server|Bad|Service|Gateway)",
     "the authority is in trouble itself",
     "try again later; Let's Encrypt says how it fares at https://letsencrypt.status.io"),
    (r"Max retries exceeded|ConnectionError|NewConnectionError|Name or service not known|Temporary failure in name resolution|"
     r"Network is unreachable|ValueError: Requesting |Read timed out|ConnectTimeout",
     "the authority cannot be reached from here",
     "see that this host reaches its server (https, port 443), and that its address is right"),
    (r"Another instance of Certbot is already running",
     "another certbot is at work",
     "wait until it has ended: `pgrep -a certbot`"),
    (r"Too many flags setting configurators",
     "certbot's own settings choose another way for the challenge, with a line that no option overrides",
     "remove that line, such as `standalone = true` or `configurator = nginx`, from /etc/letsencrypt/cli.ini (or /root/.config/letsencrypt/cli.ini); "
     "`authenticator = NAME` says the same, and may stay"),
    (r"--server value conflicts with --staging",
     "certbot's own settings send it to Let's Encrypt's staging",
     "remove `staging = true` (or `test-cert`) from /etc/letsencrypt/cli.ini and /root/.config/letsencrypt/cli.ini"),
    (r"plugin does not appear to be installed|Could not choose appropriate plugin|unrecognized arguments: --dns-",
     "certbot does not have that plug-in",
     "`certbot plugins` lists those that it has, `apt-cache search python3-certbot-dns` those of Debian"),
    (r"No space left on device", "the disk is full", "`df -h`, make room, then try again"),
)  # fmt: skip
"""What certbot prints, what that means, and what to do: the first that fits counts."""
_DETAIL = re.compile(r"^\s*(?:Detail:\s+|.*urn:ietf:params:acme:error:\w+ :: )(?P<words>.+)$", re.MULTILINE)
_CHATTER = re.compile(
    r"^(?:Saving debug log|Ask for help|Account registered|Hint:|Some challenges|Requesting a|Simulating a|An unexpected error|Hook '|- - -|\s*$).*"
)


def lineage_of(hook: str) -> str:
    """The folder of the lineage that a hook of ours brings to sendmail; empty where it is none, or somebody has broken it."""
    return _value(LINEAGE, hook)


def lineage_behind(path: str, brought: str) -> str:
    """The folder of the lineage that the certificate at `path` is of: it lies in there, or it is the one `brought` by a hook of ours."""
    folder = path.rpartition("/")[0]
    return folder if folder.startswith(f"{CERTBOT}/live/") else brought


def name_of(hook: str) -> str:
    """The name that a hook of ours has for clients; empty where it has none, or somebody has broken it."""
    return _value(_NAME, hook)


def _value(variable: re.Pattern[str], hook: str) -> str:
    line = variable.search(hook)
    try:
        return next(iter(shlex.split(line[1])), "") if line else ""
    except ValueError:
        return ""


def authority(server: str) -> str:
    """The authority in words, by the address of its directory."""
    if server == STAGING:
        return "Let's Encrypt's staging"
    return "Let's Encrypt" if server in ("", LETS_ENCRYPT) else urlsplit(server).hostname or server


def reached_from_outside(address: str) -> bool:
    """Whether the address could lead here from the Internet."""
    return not any(ipaddress.ip_address(address) in network for network in _INSIDE)


@dataclass(frozen=True)
class Caa:
    """What the CAA records that count for a name say to an authority (RFC 8659, RFC 8657)."""

    forbidden: str = ""
    """Why they keep it from signing; empty where they do not, or where that cannot be told."""
    accounts: tuple[str, ...] = ()
    """The accounts that alone may ask it, where they name some."""


def caa(domain: str, issue: Sequence[str], identities: Collection[str], method: str) -> Caa:
    """`issue` are the values of the records `issue` of `domain`, `identities` what the authority calls itself, empty where it does
    not say, `method` how the name is to be proved."""
    records = [_issuer(value) for value in issue]
    named = [name for name, _ in records if name]
    own = {name.lower() for name in identities}
    parameters = [more for name, more in records if name in own]
    if not issue or (named and not identities):
        return Caa()
    if not parameters:
        others = ", ".join(named) or "no authority"
        return Caa(f"the CAA records of {domain} let {others} sign for it, and nobody else")
    methods = [re.split(r"[,\s]+", each.get("validationmethods", method)) for each in parameters]
    fit = [each for each, allowed in zip(parameters, methods, strict=True) if method in allowed]
    if not fit:
        ways = ", ".join(dict.fromkeys(way for allowed in methods for way in allowed if way))
        return Caa(
            f"the CAA records of {domain} let the authority sign only where the name is proved by {ways or 'nothing'} "
            f"(validationmethods), not by {method}"
        )
    accounts = [each.get("accounturi", "") for each in fit]
    return Caa(accounts=tuple(dict.fromkeys(accounts)) if all(accounts) else ())


def _issuer(value: str) -> tuple[str, dict[str, str]]:
    """The authority that a record names, and the parameters behind it."""
    name, *more = (part.strip() for part in value.split(";"))
    pairs = (part.partition("=") for part in more)
    return name.lower(), {tag.strip(): says.strip() for tag, _, says in pairs}


def refusal(*texts: str) -> tuple[str, str]:
    """What it means that certbot failed and said this, in the first of the texts that tells, and what to do; certbot's own last
    words where nobody knows."""
    for output in texts:
        for pattern, means, remedy in _REFUSALS:
            if re.search(pattern, output):
                detail = _DETAIL.search(output)
                words = f"{means} ({detail['words'].strip()[:300]})" if detail else means
                return words, remedy
    own = [line.strip() for line in texts[0].splitlines() if not _CHATTER.match(line)]
    return (
        f"certbot says: {' '.join(own[-3:])[:400] or 'nothing'}",
        f"see the end of {PATH}: what certbot's own log had of it is there",
    )
