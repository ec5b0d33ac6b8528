"""What is known of ACME authorities without asking one, and what certbot's words mean (recorded with 2.1, 4.0 and 5.5)."""

from __future__ import annotations

import pytest

from wizard.certificates.acme import Caa, authority, caa, reached_from_outside, refusal

_HEAD = "Certbot failed to authenticate some domains (authenticator: standalone). The Certificate Authority reported these problems:\n"
_TAIL = "\nAsk for help or search for solutions at https://community.letsencrypt.org. See the logfile.\n"
_PORT = "Could not bind TCP port 80 because it is already in use by another process on this system (such as a web server)."
_TIMEOUT = (
    '  Domain: a.test\n  Type:   connection\n  Detail: Get "http://a.test:80/.well-known/acme-challenge/x": dial tcp '
    "[2001:db8::1]:80: i/o timeout\n"
)
_NO_TXT = "  Domain: a.test\n  Type:   unauthorized\n  Detail: No TXT records found for DNS challenge\n"
_HOOK = "Hook '--manual-auth-hook' for a.test reported error code 3\n"
_CAA = "  Domain: a.test\n  Type:   caa\n  Detail: CAA record for a.test prevents issuance\n"
_BY_PLUGIN = (
    "\nHint: The Certificate Authority failed to verify the DNS TXT records created by --dns-rfc2136. Ensure the above domains are "
    "hosted by this DNS provider, or try increasing --dns-rfc2136-propagation-seconds (currently 60 seconds).\n"
)
_BY_HOOK = (
    "\nHint: The Certificate Authority failed to verify the DNS TXT records created by the --manual-auth-hook. Ensure that this hook "
    "is functioning correctly and that it waits a sufficient duration of time for DNS propagation.\n"
)
_OTHERWISE = "  Domain: a.test\n  Type:   unauthorized\n  Detail: keyAuthorization does not match\n"
_LATER = _TIMEOUT.replace("Domain:", "Identifier:")
_RATE = (
    "An unexpected error occurred:\nError creating new order :: too many certificates (5) already issued for this exact set of "
    "domains in the last 168h0m0s, retry after 2026-12-01 00:00:00 UTC"
)
_ACCOUNTS = (
    "Missing command line flag or config entry for this setting:\nPlease choose an account\n"
    "Choices: ['a@2026-01-01T00:00:00Z (d77f)', 'b@2026-01-01T00:00:00Z (5cff)']"
)
_FLAGS = "Too many flags setting configurators/installers/authenticators 'webroot' -> 'standalone'"
_REFUSED = "An unexpected error occurred:\nValueError: Requesting acme.example.test/dir: Connection refused"
_REFUSED_5 = "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='acme.example.test', port=14000): Max retries exceeded"


@pytest.mark.parametrize(
    ("output", "means", "remedy"),
    [
        (_PORT, "another program holds port 80", "--challenge webroot"),
        (_HEAD + _TIMEOUT, "does not get through to port 80 of the name (Get", "open port 80"),
        (_HEAD + _LATER, "does not get through to port 80 of the name", "open port 80"),
        (_HEAD + "  Type:   dns\n  Detail: NXDOMAIN looking up A for a.test", "does not find the name", "A record"),
        (_HEAD + "  Type:   unauthorized\n  Detail: Invalid response: 404", "another web server", "--webroot"),
        (_HEAD + "  Type:   caa\n  Detail: CAA record for a.test prevents issuance", "CAA record", "allow"),
        (_HEAD + _CAA + _BY_PLUGIN, "a CAA record of the name forbids", "allow"),
        (_HEAD + _CAA + _BY_HOOK, "a CAA record of the name forbids", "allow"),
        ("urn:ietf:params:acme:error:serverInternal :: oops" + _BY_HOOK, "in trouble itself", "later"),
        ("Something new happened." + _BY_HOOK, "certbot says: Something new happened.", "msa-wizard.log"),
        (_HEAD + _NO_TXT + _BY_PLUGIN, "certbot's record in the DNS", "propagation-seconds"),
        (_HEAD + _OTHERWISE + _BY_PLUGIN, "certbot's record in the DNS", "propagation-seconds"),
        (_HOOK + _HEAD + _NO_TXT, "your hook failed", "by hand"),
        (_HEAD + _NO_TXT, "certbot's record in the DNS", "propagation-seconds"),
        (_HEAD + "  Type:   dns\n  Detail: DNS problem: NXDOMAIN looking up TXT for _acme-challenge.a.test", "certbot's record", "zone"),
        (_HEAD + '  Type:   unauthorized\n  Detail: Incorrect TXT record "x" found at _acme-challenge.a.test', "certbot's record", "agree"),
        ("Encountered error adding TXT record: The peer didn't know the key we used", "could not write into the DNS", "--credentials"),
        ("Encountered error when making query: The DNS operation timed out.", "could not write into the DNS", "name server"),
        ("Missing properties in credentials configuration file /root/x.ini:\n * Property", "could not write", "--credentials"),
        (_RATE, "its rate limit is reached", "--dry-run does not"),
        ("urn:ietf:params:acme:error:rateLimited :: There were too many requests", "rate limit", "wait"),
        ("urn:ietf:params:acme:error:badNonce :: JWS has an invalid anti-replay nonce", "bad nonce", "try again"),
        ("urn:ietf:params:acme:error:accountDoesNotExist :: unable to find existing account", "account", "put the account away"),
        (_ACCOUNTS, "several accounts", "--account ID"),
        ("Account at /etc/letsencrypt/accounts/a/directory/7 does not exist", "settings name an account", "`account = ID`"),
        ("urn:ietf:params:acme:error:externalAccountRequired :: EAB", "have an account", "certbot register"),
        ("urn:ietf:params:acme:error:rejectedIdentifier :: Policy forbids", "such a name", "public name"),
        (_REFUSED, "cannot be reached from here", "port 443"),
        (_REFUSED_5, "cannot be reached from here", "port 443"),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", "does not trust", "update-ca-certificates"),
        (_FLAGS, "choose another way for the challenge", "`standalone = true`"),
        ("--server value conflicts with --staging", "Let's Encrypt's staging", "`staging = true`"),
        ("Another instance of Certbot is already running.", "another certbot", "wait"),
        ("Saving debug log to x\nSomething new happened.\n" + _TAIL, "certbot says: Something new happened.", "msa-wizard.log"),
        ("", "certbot says: nothing", "msa-wizard.log"),
    ],
)  # fmt: skip
def test_what_certbot_says_is_put_into_plain_words(output: str, means: str, remedy: str) -> None:
    said = refusal(output + _TAIL)
    assert (means in said[0], remedy in said[1]) == (True, True), said


@pytest.mark.parametrize(
    ("issue", "identities", "refused"),
    [
        ([], ["letsencrypt.org"], False),
        (["letsencrypt.org"], ["letsencrypt.org"], False),
        (["LetsEncrypt.org; validationmethods=http-01"], ["letsencrypt.org"], False),
        (["sectigo.com"], ["letsencrypt.org"], True),
        (["sectigo.com", "letsencrypt.org"], ["letsencrypt.org"], False),
        (["sectigo.com"], [], False),
        ([";"], [], True),
        ([";", "letsencrypt.org"], ["letsencrypt.org"], False),
    ],
)
def test_caa_records_are_read_as_authorities_do(
    issue: list[str], identities: list[str], refused: bool
) -> None:
    assert bool(caa("example.org", issue, identities, "http-01").forbidden) is refused


LE = "letsencrypt.org"
BY_DNS, ACCOUNT = f"{LE}; validationmethods=dns-01", "https://acme-v02.api.letsencrypt.org/acme/acct/1"


@pytest.mark.parametrize(
    ("issue", "by_http", "by_dns"),
    [
        ([BY_DNS], "proved by dns-01 (validationmethods), not by http-01", ""),
        ([f"{LE};validationmethods = http-01,tls-alpn-01"], "", "proved by http-01, tls-alpn-01 (val"),
        ([BY_DNS, "sectigo.com"], "not by http-01", ""),
        ([BY_DNS, LE], "", ""),
        ([BY_DNS, f"{LE}; policy=x"], "", ""),
        ([f"{LE}; validationmethods="], "proved by nothing", "proved by nothing"),
        (["sectigo.com; validationmethods=dns-01"], "let sectigo.com sign", "let sectigo.com sign"),
    ],
)
def test_the_way_to_prove_the_name_must_be_one_that_caa_allows(
    issue: list[str], by_http: str, by_dns: str
) -> None:
    for method, says in (("http-01", by_http), ("dns-01", by_dns)):
        seen = caa("example.org", issue, [LE], method)
        assert (says in seen.forbidden, bool(seen.forbidden)) == (True, bool(says)), seen


@pytest.mark.parametrize(
    ("issue", "accounts"),
    [
        ([f"{LE}; accounturi={ACCOUNT}"], (ACCOUNT,)),
        (
            [f"{LE}; accounturi={ACCOUNT}", f"{LE}; validationmethods=http-01; accounturi={ACCOUNT}2"],
            (ACCOUNT, f"{ACCOUNT}2"),
        ),
        ([f"{LE}; accounturi={ACCOUNT}", LE], ()),
        ([f"{LE}; accounturi={ACCOUNT}", BY_DNS], (ACCOUNT,)),
        ([f"sectigo.com; accounturi={ACCOUNT}", LE], ()),
    ],
)
def test_the_accounts_that_caa_names_are_known(issue: list[str], accounts: tuple[str, ...]) -> None:
    assert caa("example.org", issue, [LE], "http-01") == Caa(accounts=accounts)


def test_an_address_that_nobody_reaches_proves_nothing() -> None:
    inside = (
        "127.0.0.1",
        "10.1.2.3",
        "172.31.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.1.1",
        "::1",
        "fe80::1",
        "fd00::1",
    )
    assert not any(map(reached_from_outside, inside))
    assert all(map(reached_from_outside, ("198.51.100.1", "172.32.0.1", "2001:db8::1")))


def test_an_authority_has_a_name() -> None:
    assert authority("") == "Let's Encrypt"
    assert authority("https://acme.example.org:14000/dir") == "acme.example.org"


def test_the_log_tells_what_certbot_leaves_out() -> None:
    """5.5 prints the words of the problem alone, 2.1 an AttributeError in their place."""
    problem = (
        "urn:ietf:params:acme:error:rejectedIdentifier :: The server will not issue for it :: it is on a list"
    )
    for printed in ("it is on a list", "An unexpected error occurred:\nAttributeError: can't set attribute"):
        assert "does not sign for such a name" in refusal(printed, problem)[0]
    assert refusal(_PORT, problem)[0] == refusal(_PORT)[0], "what it prints comes first"
