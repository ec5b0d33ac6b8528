"""Why a test failed, by what this host sees: the failed conversation counts, and the password is never tried again."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from tests.unit.steps.recorded import file
from tests.unit.troubleshoot.pictures import (
    ALICE,
    CF,
    SENDMAIL,
    SHADOW,
    SUBMISSION,
    conversation,
    facts,
    picture,
)
from wizard.gather.certificates import CertificateFiles
from wizard.maillog.read import LogLine
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.plan import Sign
from wizard.smtp.login_test import Layer as SmtpLayer
from wizard.smtp.login_test import Result, Target
from wizard.smtp.transcript import Credentials
from wizard.system.host import Host
from wizard.system.sockets import Listener
from wizard.troubleshoot import collect, explain
from wizard.troubleshoot.model import Layer
from wizard.troubleshoot.probe_smtp import TIMEOUT, Tried
from wizard.troubleshoot.verdict import judge

SECRET = "Kw4kzalver-77"
LOGIN = Credentials("alice", SECRET)
REFUSED = Tried(LOGIN, 587, 1.0, SmtpLayer.CREDENTIALS, "it got 535", ("< 535 5.7.0 authentication failed",))


def _cause(**changes: Any) -> tuple[str, str, str]:
    talks = tuple(map(REFUSED.onto, (conversation(25), conversation(587))))
    check = explain.cause(picture(**{"account": ALICE, "conversations": talks} | changes))
    return check.id, check.says, check.remedy


def test_the_login_as_it_ended_is_put_onto_the_same_port_alone() -> None:
    talk = REFUSED.onto(conversation(587))
    assert (talk.login, talk.stopped, talk.judged, talk.last) == (
        False,
        Layer.ACCOUNT,
        True,
        "535 5.7.0 authentication failed",
    )
    assert REFUSED.onto(conversation(25)).login is None
    hung = conversation(587, stopped=Layer.GREETING)
    assert REFUSED.onto(hung) is hung
    assert not dataclasses.replace(REFUSED, layer=SmtpLayer.LOGIN).onto(conversation(587)).judged
    assert dataclasses.replace(REFUSED, layer=SmtpLayer.RELAY).onto(conversation(587)).login
    assert dataclasses.replace(REFUSED, layer=SmtpLayer.CERTIFICATE).onto(conversation(587)).login is None


def test_the_cause_and_its_fix_instead_of_what_is_probable() -> None:
    name, says, remedy = _cause(facts={"processes": facts().processes[:1]}, mux_problem="Connection refused")
    assert name == "saslauthd-dead"
    assert says.startswith("Cause: saslauthd does not run")
    assert says.endswith(": every login ends in 535.")
    assert remedy == "msa-wizard troubleshoot --fix saslauthd-dead"


def test_machinery_that_is_sound_is_said_to_be() -> None:
    name, says, remedy = _cause(account=dataclasses.replace(ALICE, right=False))
    assert name == "password-wrong"
    assert says == (
        "Cause: the password of alice is wrong. All else that was looked at works. "
        "The account alice is there and not locked."
    )
    assert remedy == "type it again, or set a new one: `passwd alice`", "wherever it was typed"
    locked = dataclasses.replace(ALICE, shadow=dataclasses.replace(SHADOW, locked=True))
    assert _cause(account=locked)[:2] == (
        "account-locked",
        "Cause: the account alice is locked. All else that was looked at works.",
    )
    unknown = explain.cause(picture(conversations=(conversation(25), REFUSED.onto(conversation(587)))))
    assert (unknown.id, unknown.sign) == ("login-unknown", Sign.UNKNOWN)
    sound = explain.cause(picture())
    assert (sound.id, sound.sign) == ("troubleshoot", Sign.UNKNOWN)


def test_what_is_amiss_beside_an_accepted_login_has_its_cause_and_fix() -> None:
    clear = conversation(587, clear=("LOGIN", "PLAIN"))
    seen = picture(conversations=(conversation(25), clear), mux_problem="Connection refused")
    accepted = Tried(LOGIN, 587, 1.0, amiss=("login-before-starttls",))
    check = explain.cause(seen, accepted)
    assert (check.id, check.sign) == ("auth-in-clear", Sign.FAILED), "and not what else fails"
    assert check.remedy.endswith("msa-wizard troubleshoot --fix auth-in-clear")
    assert explain.cause(picture(), accepted).sign is Sign.UNKNOWN


def test_not_all_else_works_where_the_test_has_found_something_else() -> None:
    talks = (conversation(25), REFUSED.onto(conversation(587)))
    seen = picture(account=dataclasses.replace(ALICE, right=False), conversations=talks)
    check = explain.cause(seen, dataclasses.replace(REFUSED, amiss=("smtp-auth",)))
    assert check.says.startswith("Cause: the password of alice is wrong. The account alice")


def test_what_only_other_mechanisms_meet_does_not_explain_a_login_with_login(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = judge(
        picture(
            account=dataclasses.replace(ALICE, right=False),
            conversations=(conversation(25), REFUSED.onto(conversation(587))),
        )
    )
    (wrong,) = (fault for fault in seen.faults if fault.id == "password-wrong")
    other = dataclasses.replace(wrong, diagnosis=dataclasses.replace(wrong.diagnosis, id="mechanisms"))
    monkeypatch.setattr(explain, "judge", lambda _: dataclasses.replace(seen, faults=(other, wrong)))
    assert explain.cause(picture(), REFUSED).id == "password-wrong"
    assert explain.cause(picture()).id == "mechanisms"
    monkeypatch.setattr(explain, "judge", lambda _: dataclasses.replace(seen, faults=(other,)))
    assert explain.cause(picture(), REFUSED).id == "mechanisms", "better than nothing"


def test_a_fault_where_the_test_ended_goes_before_one_that_it_got_past() -> None:
    cf = CF.replace("O ServerCertFile", "#O ServerCertFile").replace(
        "Port=submission", "Port=submission, Addr=127.0.0.1"
    )
    files = {f.SENDMAIL_MC: file(f"include(`{f.SASL_M4}')dnl\n"), f.SENDMAIL_CF: file(cf)}
    none = CertificateFiles("", "", None, None, "", None)
    bare = conversation(587, stopped=Layer.STARTTLS, why="STARTTLS is not offered", offered=())
    seen = picture(
        facts={"files": files, "cf_from_mc": cf}, files=none, conversations=(conversation(25), bare)
    )
    assert explain.cause(seen).id == "loopback-only"
    ended = Tried(None, 587, 1.0, SmtpLayer.STARTTLS, "STARTTLS is not offered")
    assert explain.cause(seen, ended).id == "starttls-include"
    stale = picture(facts={"cf_changed": 9e9}, conversations=(conversation(25), bare))
    assert explain.cause(stale, ended).id == "sendmail-stale", "a known cause goes before an unknown one"


def test_a_port_where_nothing_is_to_listen_is_the_cause_by_itself() -> None:
    refused = Tried(None, 465, 1.0, SmtpLayer.TCP, "Connection refused")
    elsewhere = {"conversations": (conversation(25), conversation(587, stopped=Layer.STARTTLS, why="no"))}
    for seen in (picture(), picture(**elsewhere)):
        check = explain.cause(seen, refused)
        assert check.remedy.startswith("use port 587; to serve 465, too: `msa-wizard apply --set ")
        assert (check.id, check.sign) == ("troubleshoot", Sign.FAILED)
        assert check.says == (
            "Cause: sendmail.cf has no listener on port 465; mail clients are served on port 587."
        )
    served = dataclasses.replace(refused, port=587)
    assert explain.cause(picture(), served).sign is Sign.UNKNOWN
    later = dataclasses.replace(refused, layer=SmtpLayer.STARTTLS)
    assert explain.cause(picture(), later).sign is Sign.UNKNOWN, "something answers there"
    generated = CF.replace("Port=submission", "Port=465")
    behind = picture(facts={"cf_from_mc": generated})
    assert explain.cause(behind, refused).remedy.endswith(": `msa-wizard troubleshoot --fix cf-differs`")
    bare = CF.replace(SUBMISSION, "")
    none = picture(
        facts={"files": {f.SENDMAIL_CF: file(bare)}, "cf_from_mc": bare}, conversations=(conversation(25),)
    )
    assert explain.cause(none, refused).id == "submission-missing", "its fix goes first"


def test_an_address_of_sendmail_cf_is_this_host_also_where_it_is_gone(tmp_path: Path) -> None:
    (tmp_path / "etc/mail").mkdir(parents=True)
    cf = tmp_path / "etc/mail/sendmail.cf"
    cf.write_text("O DaemonPortOptions=Family=inet, Name=MSP-v4, Port=587, M=Ea, Addr=192.0.2.25\n")
    assert explain._own(Host(tmp_path), "192.0.2.25")
    assert not explain._own(Host(tmp_path), "192.0.2.26")


def _result(**changes: Any) -> Result:
    said = "The login was refused: it got 535. Probable causes: many."
    return dataclasses.replace(
        Result(False, SmtpLayer.CREDENTIALS, said, 535, (), (), None, None, None), **changes
    )


@pytest.mark.parametrize("right", [True, False])
def test_the_password_is_not_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, right: bool
) -> None:
    seen: list[Any] = []

    def converse(daemon: Any, name: str, credentials: Any, *_: Any) -> Any:
        seen.append(credentials)
        return conversation(daemon.port)

    monkeypatch.setattr(collect, "converse", converse)
    monkeypatch.setattr(Host, "ask_unix_socket", lambda *arguments, **_: seen.append(arguments[2][1]))
    monkeypatch.setattr(
        "wizard.troubleshoot.account.look", lambda *_, **__: dataclasses.replace(ALICE, right=right)
    )
    monkeypatch.setattr(collect, "look", lambda *_: facts())
    monkeypatch.setattr(
        collect, "_text", lambda _, path, absent="": picture().cf if path.endswith(".cf") else absent
    )
    shown = collect.take(Host(tmp_path), Answers(), LOGIN, REFUSED)
    # A password that is known to be wrong explains the refusal: nothing else is to blame for it.
    assert shown.login is (False if right else None)
    assert shown.began == 1.0
    assert shown.socket_login is None
    assert seen
    assert SECRET not in str(seen)
    assert set(seen) <= {None, b""}


def test_what_another_program_will_say_on_the_port_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    patience = dict[int, float]()

    def converse(daemon: Any, name: str, credentials: Any, timeout: float, *_: Any) -> Any:
        patience[daemon.port] = timeout
        return conversation(daemon.port)

    held = Listener("0.0.0.0", 25, "sendmail-mta", 1), Listener("0.0.0.0", 587, "python3", 9)
    monkeypatch.setattr(collect, "converse", converse)
    monkeypatch.setattr(collect, "listeners", lambda _: held)
    monkeypatch.setattr(collect, "look", lambda *_: facts(listeners=held))
    monkeypatch.setattr(
        collect, "_text", lambda _, path, absent="": picture().cf if path.endswith(".cf") else absent
    )
    collect.take(Host(tmp_path), Answers())
    assert patience == {25: TIMEOUT, 587: collect.STOPPED}


_SAID = (
    "                 : auth failure: [user=alice] [service=smtp] [realm=] [mech=pam] [reason=PAM auth error]"
)


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (LogLine(2.0, "saslauthd", 1, _SAID), "NO PAM auth error"),
        (LogLine(0.5, "saslauthd", 1, _SAID), None),
        (LogLine(2.0, "sm-mta", 1, _SAID), None),
        (LogLine(2.0, "saslauthd", 1, _SAID, "/var/log/mail.log"), None),
        (LogLine(2.0, "saslauthd", 1, _SAID.replace("alice", "zoe")), None),
    ],
)
def test_what_saslauthd_answered_is_read_from_its_own_words(line: LogLine, answer: str | None) -> None:
    assert collect._logged_answer((line,), REFUSED) == answer
    if answer:
        name, says, _ = _cause(socket_login=answer)
        assert name == "pam-unknown"
        assert says.endswith("The account alice is there and not locked.")
        assert "Nothing before" not in says


@pytest.mark.parametrize(
    ("root", "host", "asked"),
    [(True, "127.0.0.1", True), (True, "::1", True), (False, "127.0.0.1", False), (True, "192.0.2.9", False)],
)
def test_another_machine_or_another_user_sees_nothing(
    monkeypatch: pytest.MonkeyPatch, root: bool, host: str, asked: bool
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0 if root else 1000)
    monkeypatch.setattr(explain, "take", lambda *_: picture())
    check = explain.of_login(Host(), Answers(), Target(host), LOGIN, _result(), 1.0)
    assert (check is not None) is asked


def test_that_port_25_offers_no_login_has_no_cause_to_look_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(explain, "take", lambda *_: picture())
    offer = dataclasses.replace(_result(), layer=SmtpLayer.AUTH_OFFER)
    asked = (Host(), Answers(), Target("127.0.0.1", 25), LOGIN, offer, 1.0)
    assert explain.of_login(*asked) is None


@pytest.mark.parametrize(("family", "says"), [("inet", True), ("inet6", False)])
def test_a_port_that_only_ipv4_reaches_is_the_cause_where_ipv6_was_tried(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, family: str, says: bool
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(explain, "take", lambda *_: picture())
    (tmp_path / "etc/mail").mkdir(parents=True)
    listener = f"O DaemonPortOptions=Family={family}, Name=MSP-v4, Port=587, M=Ea\n"
    (tmp_path / "etc/mail/sendmail.cf").write_text(listener)
    refused = dataclasses.replace(_result(), layer=SmtpLayer.TCP)
    check = explain.of_login(Host(tmp_path), Answers(), Target("::1"), LOGIN, refused, 1.0)
    assert check is not None
    assert ("no listener of IPv6 on port 587" in check.says) is says
    assert (check.remedy == "msa-wizard apply --set listen.ipv6=true") is says


@pytest.mark.parametrize("barred", ["", "alice: 3 failures"])
def test_who_is_locked_out_is_not_called_not_locked(barred: str) -> None:
    owner = dataclasses.replace(ALICE, right=False, barred=barred)
    assert (explain._state(owner) == "") is bool(barred)


def test_the_headline_has_no_probable_causes() -> None:
    assert _result().headline == "The login was refused: it got 535."
    assert _result(verdict="The login was accepted (235).").headline == "The login was accepted (235)."


def test_a_daemon_outside_its_unit_is_not_what_is_to_blame() -> None:
    astray = {"processes": (dataclasses.replace(SENDMAIL, unit=""), *facts().processes[1:])}
    assert _cause(facts=astray)[0] == "login-unknown"
    stopped = {"stopped": Layer.GREETING, "why": "it fell silent", "greeting": "", "code": 0}
    silent = (conversation(25), conversation(587, **stopped))
    assert _cause(facts=astray, conversations=silent, states={1: "T"})[0] == "sendmail-hung"
    assert "sendmail-outside" in [fault.id for fault in judge(picture(facts=astray)).faults]
