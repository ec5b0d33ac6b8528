"""Whatever the bytes are: an answer or an EditError, soon, and never anything else."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.editors.mc_collection import HEAD, TAIL
from wizard.editors import EditError, init_script, sasl_conf, sendmail_mc, shell_defaults
from wizard.editors.sendmail_mc import Wanted

PIECES = st.sampled_from(
    [*"`'(),#\n\r\t\\\"$;&|<>={}: \x00\xff", "dnl", "define", "undefine", "ifdef", "ifelse", "include", "defn", "divert", "shift", "eval",
     "translit", "substr", "popdef", "pushdef", "changecom", "DAEMON_OPTIONS", "FEATURE", "MAILER", "LOCAL_CONFIG", "TRUST_AUTH_MECH",
     "PUSHDIVERT", "POPDIVERT", "_DPO_", "confAUTH_OPTIONS", "$1", "$@", "$#", "Port=587", "M=", "Addr=::1", "-1", "7", "START=", "if ", "fi",
     "case x in", "esac", "export ", "find /etc/default -regex", "START", "é", "O DaemonPortOptions=Port=587\n"]
)  # fmt: skip
TEXT = st.lists(PIECES, max_size=40).map("".join)
ITEM = Wanted("submission", "inet", "MSA", None, "Ea", "S")


def line(item: Wanted) -> str:
    return f"DAEMON_OPTIONS(`Port=587, Name={item.name}, M={item.require}')dnl\n"


@given(text=TEXT, loaded=st.booleans())
@settings(max_examples=400, deadline=None)
def test_sendmail_mc(text: str, loaded: bool) -> None:
    text = HEAD + text if loaded else text
    edits: tuple[Callable[[str], str], ...] = (
        lambda old: sendmail_mc.add_include(old, "/x.m4", "include(`/x.m4')dnl\n"),
        lambda old: sendmail_mc.set_define(
            old, "confAUTH_OPTIONS", "p y", "define(`confAUTH_OPTIONS',`p y')dnl\n"
        ),
        lambda old: sendmail_mc.add_feature(old, "no_default_msa", "FEATURE(`no_default_msa')dnl\n"),
        lambda old: sendmail_mc.set_listeners(old, "submission", [ITEM], line, keep_addresses=True),
    )
    for edit in edits:
        with contextlib.suppress(EditError):
            once = edit(text)
            assert edit(once) == once
    for ask in (
        sendmail_mc.check,
        sendmail_mc.unknown_macros,
        sendmail_mc.features,
        sendmail_mc.trusted_mechanisms,
    ):
        with contextlib.suppress(EditError):
            ask(text)


@given(text=TEXT)
@settings(max_examples=300, deadline=None)
def test_the_other_files(text: str) -> None:
    with contextlib.suppress(EditError):
        once = shell_defaults.set_value(text, "START", "yes")
        assert shell_defaults.value(once, "START") == "yes"
        assert shell_defaults.set_value(once, "START", "yes") == once
    with contextlib.suppress(EditError):
        once = sasl_conf.set_value(text, "mech_list", "PLAIN")
        assert sasl_conf.set_value(once, "mech_list", "PLAIN") == once
    assert not init_script.has_defect(init_script.add_slash(text))


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "`" * 400_000, HEAD + "'" * 400_000, HEAD + "(" * 400_000, HEAD + "x(" * 200_000, HEAD + "dnl " + "x" * 500_000,
        HEAD + "ifelse(`a',`a',`b')" * 9000, HEAD + "define(`d', `$1$1$1$1')" + "d(" * 60 + "x" + ")" * 60 + "\n",
        HEAD + "DAEMON_OPTIONS(`Port=25')dnl\n" * 3000 + TAIL, HEAD + "RELAY_DOMAIN(`x.example')dnl\n" * 9000 + TAIL, "x" * 2_000_000,
    ],
    ids=["backquotes", "apostrophes", "parentheses", "words", "long line", "conditions", "growth", "listeners", "domains", "huge"],
)  # fmt: skip
def test_it_does_not_take_long(text: str) -> None:
    start = time.process_time()
    with contextlib.suppress(EditError):
        sendmail_mc.check(text)
    assert time.process_time() - start < 10
