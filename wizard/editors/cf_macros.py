"""The macros that sendmail's cf.m4 brings, by what they do to the text around them.

Source: cf/README and cf/m4/cfhead.m4 of sendmail 8.15 to 8.18, as Debian ships them in /usr/share/sendmail/cf.
"""

from __future__ import annotations

# What follows one of these is raw sendmail.cf text, kept for another place of the .cf.
SECTIONS = {
    "LOCAL_NET_CONFIG": 1,
    "LOCAL_RULE_3": 2,
    "LOCAL_RULE_0": 3,
    "LOCAL_UUCP": 4,
    "LOCAL_CONFIG": 6,
    "LOCAL_DNSBL": 8,
    **dict.fromkeys(("LOCAL_RULE_1", "LOCAL_RULE_2", "LOCAL_RULESETS"), 9),
    **dict.fromkeys(("LOCAL_SRV_FEATURES", "LOCAL_CLT_FEATURES", "LOCAL_TRY_TLS"), 9),
    **dict.fromkeys(("LOCAL_TLS_RCPT", "LOCAL_TLS_CLIENT", "LOCAL_TLS_SERVER"), 9),
}
MAILER_DEFINITIONS = 7

_DOMAINS = (
    *("EXPOSED_USER", "LOCAL_USER", "MASQUERADE_DOMAIN", "MASQUERADE_EXCEPTION", "CANONIFY_DOMAIN"),
    *("GENERICS_DOMAIN", "LDAPROUTE_DOMAIN", "LDAPROUTE_EQUIVALENT", "VIRTUSER_DOMAIN", "RELAY_DOMAIN"),
)
# These end in dnl: m4 drops whatever follows them on their line.
EAT_LINE = frozenset([*_DOMAINS, *(f"{name}_FILE" for name in _DOMAINS), "LOCAL_DOMAIN", "TRUST_AUTH_MECH"])

# These read a file of that name: without an argument m4 ends with an error.
NEED_ARGUMENT = frozenset(["OSTYPE", "DOMAIN", "FEATURE", "HACK", "MAILER"])

SILENT = frozenset(
    [
        *("VERSIONID", "MASQUERADE_AS", "CLIENT_OPTIONS", "MAIL_FILTER", "INPUT_MAIL_FILTER", "QUEUE_GROUP"),
        *("MODIFY_MAILER_FLAGS", "SITECONFIG", "SITE", "UUCPSMTP", "DOL", "CONCAT", "POPDIVERT"),
        "PUSHDIVERT",
    ]
)

# cfhead.m4 defines these before the file is read: written without quotes they are expanded, not named.
DEFAULTS = {
    "MAIL_SETTINGS_DIR": "/etc/mail/",
    "DATABASE_MAP_TYPE": "hash",
    "ALIAS_FILE": "MAIL_SETTINGS_DIR`'aliases",
    "CF_LEVEL": "10",
    "confMAILER_NAME": "`MAILER-DAEMON'",
    "confFROM_LINE": "From $g $d",
    "confOPERATORS": ".:%@!^/[]+",
    "confSMTP_LOGIN_MSG": "$j Sendmail $v/$Z; $b",
    "confSEVEN_BIT_INPUT": "False",
    "confALIAS_WAIT": "10",
    "confMIN_FREE_BLOCKS": "100",
    "confBLANK_SUB": ".",
    "confCON_EXPENSIVE": "False",
    "confDELIVERY_MODE": "background",
    "confTEMP_FILE_MODE": "0600",
    "confMCI_CACHE_SIZE": "2",
    "confMCI_CACHE_TIMEOUT": "5m",
    "confUSE_ERRORS_TO": "False",
    "confLOG_LEVEL": "9",
    "confCHECK_ALIASES": "False",
    "confOLD_STYLE_HEADERS": "True",
    "confPRIVACY_FLAGS": "authwarnings",
    "confSAFE_QUEUE": "True",
    "confTO_QUEUERETURN": "5d",
    "confTO_QUEUEWARN": "4h",
    "confTIME_ZONE": "USE_SYSTEM",
    "confCW_FILE": "MAIL_SETTINGS_DIR`'local-host-names",
    "confMIME_FORMAT_ERRORS": "True",
    "confFORWARD_PATH": "$z/.forward.$w:$z/.forward",
    "confCR_FILE": "-o MAIL_SETTINGS_DIR`'relay-domains",
}

# What Debian's own includes set: a define of these above the include is overridden by it.
SET_BY_INCLUDE = {
    "sasl.m4": frozenset(["confTO_AUTH", "confAUTH_REALM", "confAUTH_MECHANISMS"]),
    "starttls.m4": frozenset(
        [
            *("confTO_STARTTLS", "confCACERT_PATH", "confCACERT", "confCRL", "confDH_PARAMETERS"),
            *(
                "confSERVER_CERT",
                "confSERVER_KEY",
                "confCLIENT_CERT",
                "confCLIENT_KEY",
                "confTLS_SRV_OPTIONS",
            ),
        ]
    ),
}

# Includes that Debian ships: they define no macros for the file to call.
DEBIAN_INCLUDES = frozenset(["cf.m4", "autoconf.m4", "dialup.m4", "provider.m4", "sasl.m4", "starttls.m4"])

KNOWN = frozenset([*SECTIONS, *EAT_LINE, *NEED_ARGUMENT, *SILENT, "DAEMON_OPTIONS", "MAILER_DEFINITIONS"])
