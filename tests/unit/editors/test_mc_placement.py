"""Where includes, defines and features go; typos."""

from __future__ import annotations

import pytest

from tests.unit.editors.mc_collection import CF, HEAD, TAIL
from wizard.editors import EditError, sendmail_mc

SASL = "/etc/mail/sasl/sasl.m4"
BLOCK = f"include(`{SASL}')dnl\n"
AUTH = "define(`confAUTH_OPTIONS',`p y')dnl\n"


def place(text: str) -> str:
    """The file with the inserted line shown as @."""
    return (
        sendmail_mc.add_include(text, SASL, BLOCK)
        .replace(BLOCK, "@\n")
        .replace(BLOCK.replace("\n", "\r\n"), "@\r\n")
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "dnl #\ndnl # Default Mailer setup\nMAILER_DEFINITIONS\n" + TAIL,
            "dnl #\n@\ndnl # Default Mailer setup\nMAILER_DEFINITIONS\n" + TAIL,
        ),
        ("dnl define(`x')\nMAILER(`smtp')dnl\n", "dnl define(`x')\n@\nMAILER(`smtp')dnl\n"),
        ("dnl MAILER(`smtp')dnl\n", "dnl MAILER(`smtp')dnl\n@\n"),
        (TAIL + "FEATURE(`x')", "@\n" + TAIL + "FEATURE(`x')"),
        ("LOCAL_CONFIG\nCwx\n" + TAIL, "@\nLOCAL_CONFIG\nCwx\n" + TAIL),
        ("LOCAL_CONFIG\nCwx\n", "@\nLOCAL_CONFIG\nCwx\n"),
        ("FEATURE(`x')dnl", "FEATURE(`x')dnl\n@\n"),
        ("divert(-1)\nprose\n" + TAIL, "@\ndivert(-1)\nprose\n" + TAIL),
        ("define(`x',\n`y')MAILER(`smtp')\n", "@\ndefine(`x',\n`y')MAILER(`smtp')\n"),
        ("FEATURE(`x') MAILER(`smtp')\n", "@\nFEATURE(`x') MAILER(`smtp')\n"),
        (
            "ifdef(`CF_LEVEL',\n`dnl\nMAILER(`smtp')dnl\n')\n",
            "@\nifdef(`CF_LEVEL',\n`dnl\nMAILER(`smtp')dnl\n')\n",
        ),
        ("dnl # mailers\r\nMAILER(`smtp')\r\n\r\n\r\n", "@\r\ndnl # mailers\r\nMAILER(`smtp')\r\n\r\n\r\n"),
    ],
)
def test_an_include(before: str, after: str) -> None:
    assert place(HEAD + before) == HEAD + after


@pytest.mark.parametrize(
    "live", [f"include(`{SASL}')", f"include({SASL})dnl", f"sinclude(`{SASL}')dnl", "include(`/etc/mail//sasl/./sasl.m4')dnl",
             f"ifdef(`CF_LEVEL', `include(`{SASL}')')"],
)  # fmt: skip
def test_an_include_that_is_there_already(live: str) -> None:
    for text in (HEAD + live + "\n" + TAIL, HEAD + TAIL + live):
        assert sendmail_mc.add_include(text, SASL, BLOCK) == text


@pytest.mark.parametrize("dead", ["dnl {}", "dnl# {}", "EXPOSED_USER(`root') {}", "`{}'", "define(`x',`{}')"])
def test_an_include_that_is_not_live_does_not_count(dead: str) -> None:
    text = HEAD + dead.replace("{}", BLOCK.strip()) + "\n" + TAIL
    assert sendmail_mc.add_include(text, SASL, BLOCK) != text


def test_a_block_that_does_not_include_the_path_is_refused() -> None:
    with pytest.raises(EditError, match="do not include"):
        sendmail_mc.add_include(HEAD + TAIL, SASL, "dnl nothing\n")


DEFINES = [
    ("define(`confAUTH_OPTIONS', `A p')dnl  # mine\n", "define(`confAUTH_OPTIONS', `p y')dnl  # mine\n"),
    ("define(confAUTH_OPTIONS, A)\n", "define(confAUTH_OPTIONS, p y)\n"),
    ("define(`confAUTH_OPTIONS',\tA,p )dnl\n", "define(`confAUTH_OPTIONS',\t`p y')dnl\n"),
    ("define(`confAUTH_OPTIONS', ``A'')\n", "define(`confAUTH_OPTIONS', ``p y'')\n"),
    ("define(`confAUTH_OPTIONS',dnl\n`A')dnl\n", "define(`confAUTH_OPTIONS',dnl\n`p y')dnl\n"),
    ("define(`confAUTH_OPTIONS',`A'dnl why\n)dnl\n", "define(`confAUTH_OPTIONS',`p y'dnl why\n)dnl\n"),
    ("define(`confAUTH_OPTIONS',`A,\n  p')dnl\n", "define(`confAUTH_OPTIONS',`p y')dnl\n"),
    ("define(`confAUTH_OPTIONS',`A'`p')dnl\n", "define(`confAUTH_OPTIONS',`p y')dnl\n"),
    ("define(`confAUTH_OPTIONS',`A'defn(`confX')`p')dnl\n", "define(`confAUTH_OPTIONS',`p y')dnl\n"),
    ("define(`confAUTH_OPTIONS')dnl\n", "define(`confAUTH_OPTIONS', `p y')dnl\n"),
    ("define(`confAUTH_OPTIONS', `')dnl\n", "define(`confAUTH_OPTIONS', `p y')dnl\n"),
    (
        "define(`confAUTH_OPTIONS',`A')define(`confAUTH_OPTIONS',`B')\n",
        "define(`confAUTH_OPTIONS',`A')define(`confAUTH_OPTIONS',`p y')\n",
    ),
    ("dnl define(`confAUTH_OPTIONS',`A')\n", "dnl define(`confAUTH_OPTIONS',`A')\n" + AUTH),
    ("define(`confAUTH_OPTIONS',`p y')\r\n", "define(`confAUTH_OPTIONS',`p y')\r\n"),
    (
        "ifdef(`CF_LEVEL', `define(`confAUTH_OPTIONS', `A')')dnl\n",
        "ifdef(`CF_LEVEL', `define(`confAUTH_OPTIONS', `p y')')dnl\n",
    ),
]


@pytest.mark.parametrize(("before", "after"), DEFINES)
def test_a_define(before: str, after: str) -> None:
    assert (
        sendmail_mc.set_define(HEAD + before + TAIL, "confAUTH_OPTIONS", "p y", AUTH) == HEAD + after + TAIL
    )
    assert sendmail_mc.set_define(HEAD + after + TAIL, "confAUTH_OPTIONS", "p y", AUTH) == HEAD + after + TAIL


def test_a_define_goes_behind_the_includes_wherever_they_are() -> None:
    text = HEAD + TAIL + "include(`/etc/mail/sasl/sasl.m4')dnl\ninclude(`/etc/mail/tls/starttls.m4')dnl\n"
    assert sendmail_mc.set_define(text, "confAUTH_OPTIONS", "p y", AUTH) == text + AUTH


def test_a_define_above_the_include_that_sets_it_again_is_not_in_force() -> None:
    block = "define(`confAUTH_MECHANISMS',`LOGIN PLAIN')dnl\n"
    text = HEAD + "define(`confAUTH_MECHANISMS',`CRAM-MD5')dnl\n" + BLOCK + TAIL
    assert sendmail_mc.define_value(text, "confAUTH_MECHANISMS") is None
    new = sendmail_mc.set_define(text, "confAUTH_MECHANISMS", "LOGIN PLAIN", block)
    assert new == HEAD + "define(`confAUTH_MECHANISMS',`CRAM-MD5')dnl\n" + BLOCK + block + TAIL
    assert sendmail_mc.set_define(new, "confAUTH_MECHANISMS", "LOGIN PLAIN", block) == new


def test_an_undefine_below_stops_the_edit() -> None:
    with pytest.raises(EditError) as caught:
        sendmail_mc.set_define(
            HEAD + TAIL + "undefine(`confAUTH_OPTIONS')dnl\n", "confAUTH_OPTIONS", "p y", AUTH
        )
    assert caught.value.line == 5


@pytest.mark.parametrize("value", ["p' y", "`p", "p\ny", "\x00"])
def test_a_value_that_m4_could_not_keep(value: str) -> None:
    with pytest.raises(EditError):
        sendmail_mc.set_define(HEAD + TAIL, "confAUTH_OPTIONS", value, AUTH)


def test_a_value_that_m4_would_expand_is_refused() -> None:
    with pytest.raises(EditError):
        sendmail_mc.set_define(HEAD + "define(`confX',`1')dnl\n" + TAIL, "confX", "CF_LEVEL", "")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "dnl DAEMON_OPTIONS(`x')\nDAEMON_OPTIONS(`Port=25')\n" + TAIL,
            "dnl DAEMON_OPTIONS(`x')\n@\nDAEMON_OPTIONS(`Port=25')\n" + TAIL,
        ),
        ("dnl\n" + TAIL + "DAEMON_OPTIONS(`Port=25')\n", "dnl\n@\n" + TAIL + "DAEMON_OPTIONS(`Port=25')\n"),
        (
            "FEATURE(`nullclient', `hub')\nDAEMON_OPTIONS(`Port=25')\n",
            "@\nFEATURE(`nullclient', `hub')\nDAEMON_OPTIONS(`Port=25')\n",
        ),
        ("FEATURE(no_default_msa)\n", "FEATURE(no_default_msa)\n"),
    ],
)
def test_a_feature(before: str, after: str) -> None:
    block = "FEATURE(`no_default_msa')dnl\n"
    assert (
        sendmail_mc.add_feature(HEAD + before, "no_default_msa", block).replace(block, "@\n") == HEAD + after
    )


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ("DEAMON_OPTIONS(`Port=25')dnl\n", [(3, "DEAMON_OPTIONS", "DAEMON_OPTIONS")]),
        ("  MALIER(`smtp')\n", [(3, "MALIER", "MAILER")]),
        ("MAILER_DEFINTIONS\n", [(3, "MAILER_DEFINTIONS", "MAILER_DEFINITIONS")]),
        ("inlcude(`/x')\ndefien(`a',`b')\n", [(3, "inlcude", "include"), (4, "defien", "define")]),
        ("QUITE_OTHER(`x')\n", [(3, "QUITE_OTHER", "")]),
        ("include(`/etc/mail/site.m4')\nQUITE_OTHER(`x')\n", []),
        ("dnl DEAMON_OPTIONS(`x')\ndefine(`MINE',`x')dnl\nMINE(`x')\n", []),
        ("divert(-1)\nDEAMON_OPTIONS(`in prose')\ndivert(0)\n", []),
        ("LOCAL_CONFIG\nHReceived: x\nXMAIL(x)\n", []),
    ],
)
def test_typos(lines: str, found: list[tuple[int, str, str]]) -> None:
    assert list(sendmail_mc.unknown_macros(HEAD + lines)) == found


def test_debians_file_has_no_typos() -> None:
    assert (
        sendmail_mc.unknown_macros(
            CF + "VERSIONID(`$Id$')\nOSTYPE(`debian')dnl\nDOMAIN(`debian-mta')dnl\n" + TAIL
        )
        == ()
    )


def test_hostile_text_does_not_reach_the_terminal() -> None:
    with pytest.raises(EditError) as caught:
        sendmail_mc.check(HEAD + "DAEMON_OPTIONS('\x1b[2J\x07\x9b" + "x" * 5000 + ")\n")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400
