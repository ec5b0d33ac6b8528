"""Mail filters: which are asked where, how their sockets are found, and what clients see of a dead one."""

from __future__ import annotations

import dataclasses
import socket
from pathlib import Path

import pytest

from tests.unit.troubleshoot.pictures import CF, SENDMAIL, conversation, facts, picture
from wizard.maillog.read import LOG, LogLine
from wizard.model.plan import Sign
from wizard.sendmail.cf import Daemon
from wizard.system.host import Host
from wizard.troubleshoot.diagnosis import Fault
from wizard.troubleshoot.milters import Milter, look, named
from wizard.troubleshoot.model import Layer
from wizard.troubleshoot.verdict import judge

GONE = "there is no such socket"
MILTER = Milter("opendkim", "local:/run/opendkim.sock", "T", frozenset({25, 587}), GONE, service="opendkim")
ERROR = "6AT905qR001872: Milter (opendkim): to error state"


def _dead(name: str, milter: Milter = MILTER, **changes: object) -> Fault | None:
    return judge(picture(milters=(milter,), **changes)).fault(name)


def test_filters_are_those_of_the_option_and_of_each_listener() -> None:
    cf = """O InputMailFilters=one, two
O DaemonPortOptions=Name=A, Port=smtp
O DaemonPortOptions=Name=B, Port=587, I=two;three
Xtwo, S=inet:8891@localhost, F=R, T=S:1m;R:1m
Xthree, S=local:/run/three, F=, T=S:4m
Xone, S=/run/one,
\tF=T
Xnever, S=local:/run/never, F=T
"""
    assert named(cf) == [
        Milter("one", "/run/one", "T", frozenset({25}), line="Xone, S=/run/one, F=T"),
        Milter(
            "two",
            "inet:8891@localhost",
            "R",
            frozenset({25, 587}),
            line="Xtwo, S=inet:8891@localhost, F=R, T=S:1m;R:1m",
        ),
        Milter(
            "three", "local:/run/three", "", frozenset({587}), line="Xthree, S=local:/run/three, F=, T=S:4m"
        ),
    ]
    assert named(CF) == []


def test_a_socket_is_looked_for_where_sendmail_does(tmp_path: Path) -> None:
    host, path = Host(tmp_path), tmp_path / "x"
    milter = Milter("clamav", "local:/x", "T")
    assert look(host, "", milter).problem == GONE
    assert (look(host, "", milter).service, look(host, "", milter).installed) == ("clamav-milter", False)
    path.touch()
    assert "another kind of file" in look(host, "", milter).problem
    path.unlink()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        assert "nobody answers" in look(host, "", milter).problem
        server.listen()
        assert look(host, "", milter).problem == ""
        tmp_path.chmod(0o775)
        seen = look(host, "", milter)
        assert (seen.unsafe, "unsafe" in seen.problem) == ("`chmod go-w /`", True)
        assert look(host, "O DontBlameSendmail=GroupWritableDirPathSafe\n", milter).problem == ""
        tmp_path.chmod(0o1777)
        assert "unsafe" in look(host, "", milter).problem
        assert look(host, "O DontBlameSendmail=TrustStickyBit\n", milter).problem == ""
        assert "chmod" not in look(host, "", milter).unsafe
        tmp_path.chmod(0o755)
        (tmp_path / "link").symlink_to(path)
        assert "symbolic link" in look(host, "", dataclasses.replace(milter, socket="/link")).problem


def test_a_port_is_tried_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = f"{server.getsockname()[1]}@127.0.0.1"
        assert look(Host(), "", Milter("x", f"inet:{place}", "")).problem == ""
    assert "no connection" in look(Host(), "", Milter("x", f"inet:{place}", "")).problem
    assert "no connection" in look(Host(), "", Milter("x", "inet:no-such-service@", "")).problem
    assert look(Host(), "", Milter("x", "inet:8891@127.0.0.1", "")).service == "opendkim"


@pytest.mark.parametrize(
    ("flag", "layer", "words"),
    [("T", Layer.STARTTLS, "454"), ("R", Layer.GREETING, "554"), ("4", Layer.GREETING, "421")],
)
def test_what_f_makes_of_it_is_said_where_it_shows(flag: str, layer: Layer, words: str) -> None:
    milter = Milter("opendkim", "local:/run/opendkim.sock", flag, frozenset({587}), GONE)
    talk = {"stopped": layer, "why": "no", "code": 421, "greeting": "421 4.7.0 x closing connection"}
    verdict = judge(picture(milters=(milter,), talk=talk))
    assert verdict.blamed is not None
    assert (verdict.blamed.id, verdict.blamed.layer) == ("milter-dead", layer)
    assert words in verdict.blamed.finding.cause
    assert [fault.id for fault in verdict.faults] == ["milter-dead"]


def test_a_tls_port_shows_it_at_the_login_and_a_client_that_passed_makes_it_a_warning() -> None:
    talks = (conversation(465, daemon=Daemon("X", "inet", "", 465, "as")),)
    milter = Milter("x", "local:/x", "T", frozenset({465}), GONE)
    fault = _dead("milter-dead", milter, conversations=talks)
    assert fault is not None
    assert (fault.sign, fault.layer) == (Sign.FAILED, Layer.AUTH_OFFER)
    passed = _dead("milter-dead")
    assert passed is not None
    assert passed.sign is Sign.WARNING


def test_without_f_or_on_port_25_alone_it_is_a_warning() -> None:
    for milter in (
        Milter("x", "local:/x", "", frozenset({587}), GONE),
        Milter("x", "local:/x", "T", frozenset({25}), GONE),
    ):
        fault = _dead("milter-unfiltered", milter)
        assert fault is not None
        assert fault.sign is Sign.WARNING


def test_the_line_is_shown_as_it_stands_and_an_empty_f_is_none() -> None:
    line = "Xclamav, S=local:/run/clamav.ctl, F=, T=S:4m;R:4m"
    milter = Milter("clamav", "local:/run/clamav.ctl", "", frozenset({587}), GONE, line=line)
    fault = _dead("milter-unfiltered", milter)
    assert fault is not None
    assert fault.finding.evidence[0].says == line
    assert "with no T, R or 4 in F= mail passes unfiltered" in fault.finding.cause


def test_the_fix_names_the_service_and_what_it_lacks() -> None:
    def text(**changes: object) -> str:
        milter = Milter("opendkim", "local:/run/o", "T", frozenset({587}), **changes)  # type: ignore[arg-type]
        fault = _dead("milter-dead", milter, log=(LogLine(2e9, "sm-mta", 1, ERROR),))
        assert fault is not None
        return fault.finding.mend.text

    assert "systemctl start opendkim" in text(problem=GONE, service="opendkim", installed=True)
    assert "`apt-get install opendkim` and give it that socket" in text(problem=GONE, service="opendkim")
    assert "but not on local:/run/o" in text(problem=GONE, service="opendkim", installed=True, runs=True)
    assert "grep -rn /run/o /etc" in text(problem=GONE)
    assert "systemctl restart opendkim" in text(service="opendkim", installed=True)
    assert "grep -rn" in text(service="opendkim")
    assert "chmod go-w /run" in text(problem="unsafe", unsafe="`chmod go-w /run`")


def test_one_that_hangs_is_known_from_sendmails_own_words_alone() -> None:
    answers = Milter("opendkim", "local:/run/o", "T", frozenset({587}))
    now = picture().began
    talk = {"stopped": Layer.STARTTLS, "why": "STARTTLS got 454 4.7.0 Please try again later"}
    log = (LogLine(now, "sm-mta", 1, ERROR),)
    assert _dead("milter-dead", answers, talk=talk, log=log) is not None
    forged = (LogLine(now, "sm-mta", 1, ERROR, LOG),)
    assert _dead("milter-dead", answers, talk=talk, log=forged) is None
    early = (LogLine(now - 600, "sm-mta", 1, ERROR.replace("to error state", "timeout before data read")),)
    process = SENDMAIL.__class__(1, "sendmail-mta", ("x",), now - 900)
    changed = {"processes": (process, *facts().processes[1:])}
    assert _dead("milter-dead", answers, log=early, facts=changed) is None
    assert _dead("milter-failed", answers, log=early, facts=changed) is not None


def test_a_folder_that_others_may_write_to_stops_the_start() -> None:
    milter = Milter("x", "local:/run/x/s", "", frozenset({587}), "unsafe", unsafe="`chmod go-w /run/x`")
    said = LogLine(
        2e9, "sm-mta", 1, "SYSERR(root): line 9: Xx: local socket name /run/x/s unsafe: Group writable"
    )
    stopped = {"processes": facts().processes[1:], "listeners": ()}
    blamed = judge(picture(milters=(milter,), facts=stopped, log=(said,))).blamed
    assert blamed is not None
    assert blamed.id == "milter-unsafe"
    assert "chmod go-w /run/x" in blamed.finding.mend.text
    assert _dead("milter-unsafe", milter) is None
