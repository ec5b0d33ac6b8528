"""What the collection says, and that edits leave the rest of each file alone."""

from __future__ import annotations

import difflib
import time

import pytest

from tests.unit.editors.mc_collection import HEAD, REFUSED, TAIL, UNDERSTOOD, Shape
from wizard.editors import EditError, sendmail_mc

SASL, TLS = "/etc/mail/sasl/sasl.m4", "/etc/mail/tls/starttls.m4"

every = pytest.mark.parametrize("shape", UNDERSTOOD, ids=lambda shape: shape.name)


def including(path: str) -> str:
    return f"dnl # block\ninclude(`{path}')dnl\n"


def added(old: str, new: str) -> list[str]:
    """The lines that were put in. Fails when any other line changed."""
    ops = difflib.SequenceMatcher(
        None, old.splitlines(True), new.splitlines(True), autojunk=False
    ).get_opcodes()
    assert {tag for tag, *_ in ops} <= {"equal", "insert"}, ops
    return [line for tag, _, _, a, b in ops if tag == "insert" for line in new.splitlines(True)[a:b]]


@every
def test_read(shape: Shape) -> None:
    sendmail_mc.check(shape.text)
    found = [
        (item.service, item.family, item.address, item.modifiers)
        for item in sendmail_mc.daemon_options(shape.text)
    ]
    assert found == list(shape.daemons)
    assert sendmail_mc.includes(shape.text) == shape.includes
    assert sendmail_mc.features(shape.text) == shape.features
    assert sendmail_mc.define_value(shape.text, "confAUTH_OPTIONS") == shape.auth
    assert sendmail_mc.trusted_mechanisms(shape.text) == shape.trusted


@pytest.mark.parametrize("shape", REFUSED, ids=lambda shape: shape.name)
def test_refused_with_the_line(shape: Shape) -> None:
    with pytest.raises(EditError) as caught:
        sendmail_mc.check(shape.text)
    error = caught.value
    assert error.line == shape.refused
    assert error.why
    assert error.remedy
    assert len(str(error)) < 400
    assert str(error).isprintable()


@pytest.mark.parametrize(
    "body",
    ["x again", "x again again", "again(again)", "again(`$1$1')", "again", "ifelse(`a', `a', `again again')"],
)
def test_a_macro_that_calls_itself_is_refused_quickly_and_only_once(body: str) -> None:
    text = f"{HEAD}define(`again', `{body}')dnl\nagain(x)\n{'dnl a long file' * 20_000}\n{TAIL}"
    seconds = []
    for _ in range(2):
        started = time.process_time()
        with pytest.raises(EditError, match=r"expand without end|nested too deep") as caught:
            sendmail_mc.check(text)
        seconds.append(time.process_time() - started)
        assert caught.value.line == 4
    assert seconds[0] < 2
    assert seconds[1] < 0.02


@every
def test_an_include_is_added_once_and_nothing_else_moves(shape: Shape) -> None:
    once = sendmail_mc.add_include(shape.text, SASL, including(SASL))
    assert sendmail_mc.add_include(once, SASL, including(SASL)) == once
    newline = "\r\n" if "\r\n" in shape.text else "\n"
    if shape.text.endswith("\n"):
        assert added(shape.text, once) == [f"dnl # block{newline}", f"include(`{SASL}'){'dnl'}{newline}"]
    assert SASL in sendmail_mc.includes(once)
    again = sendmail_mc.add_include(once, TLS, including(TLS))
    assert [path for path in sendmail_mc.includes(again) if path.startswith("/etc/mail/")][-2:].count(
        TLS
    ) == 1
    assert len(sendmail_mc.daemon_options(again)) == len(shape.daemons)


@every
def test_a_define_is_set_once(shape: Shape) -> None:
    block = "define(`confAUTH_OPTIONS',`p y')dnl\n"
    once = sendmail_mc.set_define(shape.text, "confAUTH_OPTIONS", "p y", block)
    assert sendmail_mc.define_value(once, "confAUTH_OPTIONS") == "p y"
    assert sendmail_mc.set_define(once, "confAUTH_OPTIONS", "p y", block) == once
    old, new = shape.text.splitlines(), once.splitlines()
    changed = [
        tag
        for tag, *_ in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
        if tag != "equal"
    ]
    assert len(changed) <= 1


@every
def test_a_feature_is_added_once(shape: Shape) -> None:
    block = "FEATURE(`no_default_msa')dnl\n"
    once = sendmail_mc.add_feature(shape.text, "no_default_msa", block)
    assert "no_default_msa" in sendmail_mc.features(once)
    assert sendmail_mc.add_feature(once, "no_default_msa", block) == once
    assert (once == shape.text) == ("no_default_msa" in shape.features)
