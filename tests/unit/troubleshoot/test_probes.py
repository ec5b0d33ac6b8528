"""The probes on files and texts of their own: PAM's stack, nft's rules, shadow, the queue, the log."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.unit import nft_rulesets
from wizard.gather import pam
from wizard.maillog import read as mail_log
from wizard.smtp.transcript import Credentials
from wizard.system.host import Host
from wizard.troubleshoot import account, storage
from wizard.troubleshoot.diagnoses.firewall import ufw_allows
from wizard.troubleshoot.report import text
from wizard.troubleshoot.verdict import judge


def _put(root: Path, path: str, content: str) -> None:
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(content)


def test_pam_is_followed_through_its_includes(tmp_path: Path) -> None:
    _put(tmp_path, "/lib/x86_64-linux-gnu/security/pam_unix.so", "")
    _put(tmp_path, "/etc/pam.d/smtp", "# x\n@include common-auth\naccount include common-account\n")
    _put(tmp_path, "/etc/pam.d/common-auth", "auth [success=1 default=ignore] pam_unix.so nullok\n")
    _put(tmp_path, "/etc/pam.d/common-account", "account required pam_unix.so\nauth required pam_deny.so\n")
    found = pam.look(Host(tmp_path))
    assert found.wrong == ()
    assert [(item.kind, item.module) for item in found.lines] == [
        ("auth", "pam_unix.so"),
        ("account", "pam_unix.so"),
    ]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("auth required pam_none.so", "not on this host"),
        ("@include nowhere", "not there"),
        ("auth needed pam_unix.so", "not a control word"),
        ("complete nonsense", "not a line that PAM understands"),
        ("auth substack nowhere", "not there"),
        ("@include smtp", "not there"),
    ],
)
def test_what_is_wrong_in_pam_is_told_with_its_line(tmp_path: Path, line: str, what: str) -> None:
    _put(tmp_path, "/lib/security/pam_unix.so", "")
    _put(tmp_path, "/etc/pam.d/smtp", f"#\n{line}\n")
    wrong = pam.look(Host(tmp_path)).wrong
    assert what in wrong[0][0]
    assert wrong[0][2].startswith("/etc/pam.d/smtp")


@pytest.mark.parametrize(
    "line", ["-auth required pam_none.so", "auth optional pam_none.so", "session required pam_none.so"]
)
def test_a_module_that_may_be_missing_is_no_fault(tmp_path: Path, line: str) -> None:
    _put(tmp_path, "/etc/pam.d/smtp", f"{line}\n")
    assert pam.look(Host(tmp_path)).wrong == ()


def test_without_smtp_the_other_service_answers(tmp_path: Path) -> None:
    assert pam.look(Host(tmp_path)).path is None
    _put(tmp_path, "/etc/pam.d/other", "auth required pam_deny.so\n")
    assert pam.look(Host(tmp_path)).path == pam.OTHER


CHAIN = {"family": "inet", "table": "filter", "name": "input", "hook": "input", "prio": 0, "policy": "drop"}


def _rule(*expressions: Any, chain: str = "input") -> dict[str, Any]:
    return {"family": "inet", "table": "filter", "chain": chain, "handle": 7, "expr": list(expressions)}


def _dport(right: Any) -> dict[str, Any]:
    left = {"payload": {"protocol": "tcp", "field": "dport"}}
    return {"match": {"op": "==", "left": left, "right": right}}


def _meta(key: str, right: Any) -> dict[str, Any]:
    return {"match": {"op": "==", "left": {"meta": {"key": key}}, "right": right}}


def _state(right: Any) -> dict[str, Any]:
    return {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": right}}


_SOURCE = {
    "match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "192.0.2.1"}
}
ACCEPT, DROP = {"accept": None}, {"drop": None}
NAMED: dict[str, list[dict[str, Any]]] = {
    "set": [{"family": "inet", "table": "filter", "name": "open", "elem": [25, 587]}],
    "map": [{"family": "inet", "table": "filter", "name": "ports", "elem": [[587, ACCEPT]]}],
}


def _vmap(data: Any) -> dict[str, Any]:
    return {"vmap": {"key": {"payload": {"protocol": "tcp", "field": "dport"}}, "data": data}}


@pytest.mark.parametrize(
    ("rules", "verdict"),
    [
        ([], "closed"),
        ([_rule(_dport(587), ACCEPT)], "open"),
        ([_rule(_dport({"set": [25, 587]}), ACCEPT)], "open"),
        ([_rule(_dport({"range": [500, 600]}), ACCEPT)], "open"),
        ([_rule(_dport(25), ACCEPT)], "closed"),
        ([_rule(_meta("iifname", "lo"), ACCEPT)], "closed"),
        ([_rule(_state(["established", "related"]), ACCEPT)], "closed"),
        ([_rule(_state(["established", "new"]), ACCEPT)], "open"),
        ([_rule(_SOURCE, _dport(587), ACCEPT)], "unknown"),
        ([_rule(_dport(587), DROP), _rule(_dport(587), ACCEPT)], "closed"),
        ([_rule({"jump": {"target": "web"}}), _rule(_dport(587), ACCEPT, chain="web")], "open"),
        ([_rule({"jump": {"target": "web"}}), _rule({"return": None}, chain="web")], "closed"),
        ([_rule(_vmap({"set": [[25, ACCEPT], [587, ACCEPT]]}))], "open"),
        (
            [
                _rule(_vmap({"set": [[25, ACCEPT], [587, {"jump": {"target": "web"}}]]})),
                _rule(ACCEPT, chain="web"),
            ],
            "open",
        ),
        ([_rule(_vmap("@ports"))], "open"),
        ([_rule(_dport("@open"), ACCEPT)], "open"),
        ([_rule({"xt": {"type": "target", "name": "REJECT"}}), _rule(ACCEPT)], "closed"),
        ([_rule({"limit": {"rate": 3}}, DROP), _rule(ACCEPT)], "unknown"),
    ],
)
def test_a_packet_is_followed_through_nfts_rules(rules: list[dict[str, Any]], verdict: str) -> None:
    chains = (CHAIN, {"family": "inet", "table": "filter", "name": "web"})
    assert nft_rulesets.read(chains, rules, **NAMED).verdict(587)[0] == verdict


def test_bans_of_some_addresses_close_nothing() -> None:
    chains = ({**CHAIN, "policy": "accept"},)
    banned = {"match": {"op": "==", "left": _SOURCE["match"]["left"], "right": "@addr-set-sshd"}}
    rules = (_rule(_dport(587), banned, DROP),)
    assert nft_rulesets.read(chains, rules).verdict(587)[0] == "unknown"


def test_a_chain_that_some_return_from_is_not_closed() -> None:
    """As ufw has it: packets to this host return before the drop, told by a match that nft shows no more of."""
    kind = {"xt": {"type": "match", "name": "addrtype"}}
    rules = (
        _rule({"jump": {"target": "web"}}),
        _rule(_dport(587), ACCEPT),
        _rule(kind, {"return": None}, chain="web"),
        _rule(DROP, chain="web"),
    )
    chains = (CHAIN, {"family": "inet", "table": "filter", "name": "web"})
    assert nft_rulesets.read(chains, rules).verdict(587)[0] == "unknown"
    assert nft_rulesets.read(chains, rules[:1] + rules[3:]).verdict(587)[0] == "closed"


def test_shadow_is_compared_without_asking_pam(tmp_path: Path) -> None:
    """Hashes of mkpasswd; a method that libcrypt does not know leaves it open."""
    hashed = (
        "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/"
    )
    assert account.matches(hashed, "password") is True
    assert account.matches(hashed, "passwort") is False
    assert account.matches("$99$x$y", "password") is None


@pytest.mark.parametrize(
    ("row", "state"),
    [
        ("root:!$6$x$y:20000:0:99999:7:::", "locked"),
        ("root:*:20000:0:99999:7:::", "never"),
        ("root::20000:0:99999:7:::", "empty"),
    ],
)
def test_the_states_of_a_line_in_shadow(tmp_path: Path, row: str, state: str) -> None:
    _put(tmp_path, "/etc/shadow", f"other:*:1:::::: \n{row}\n")
    found = account.look(Host(tmp_path), Credentials("root", "secret-88"))
    assert found.shadow is not None
    assert getattr(found.shadow, state)
    assert found.right is not True
    assert "secret-88" not in repr(found)
    assert "$6$" not in repr(found)


def test_a_queue_is_counted_with_its_reasons(tmp_path: Path) -> None:
    _put(
        tmp_path, "/var/spool/mqueue/qfa1", f"V8\nT{int(time.time()) - 7200}\nMDeferred: Connection refused\n"
    )
    _put(tmp_path, "/var/spool/mqueue/dfa1", "x")
    queue = storage.look(Host(tmp_path)).queues[0]
    assert (queue.count, queue.reasons) == (1, ("Deferred: Connection refused",))
    assert queue.oldest > 7000


def test_the_load_is_what_sendmail_reads(tmp_path: Path) -> None:
    assert storage.look(Host(tmp_path)).load == 0
    _put(tmp_path, "/proc/loadavg", "9.25 1.00 0.50 1/100 1\n")
    assert storage.look(Host(tmp_path)).load == 9.25


def test_queue_groups_are_counted_and_what_no_run_tries(tmp_path: Path) -> None:
    for name in ("q1/qf/qfa1", "q1/df/dfa1", "q2/qfa2", "q2/hfa3", "Qfa4", "qfa5"):
        _put(tmp_path, f"/var/spool/mqueue/{name}", "V8\n")
    queue = storage.look(Host(tmp_path)).queues[0]
    assert queue.count == 3
    assert queue.held == ("/var/spool/mqueue/Qfa4", "/var/spool/mqueue/q2/hfa3")


def test_debians_empty_dead_letter_is_none(tmp_path: Path) -> None:
    _put(tmp_path, storage.DEAD_LETTERS[0], "")
    _put(tmp_path, storage.DEAD_LETTERS[1], "From: cron\n")
    assert storage.look(Host(tmp_path)).dead_letters == storage.DEAD_LETTERS[1:]


def test_a_mail_log_in_either_form_of_date(tmp_path: Path) -> None:
    _put(
        tmp_path,
        "/var/log/mail.log",
        "Nov 23 02:00:00 mail sm-mta[7]: NOQUEUE: one\n2026-11-23T02:00:00.1+00:00 mail sm-mta[7]: two\nNov 23 02:00:00 mail cron[1]: three\n",
    )
    found = mail_log.lines(Host(tmp_path), 0.0)
    assert found is not None
    assert [item.text for item in found] == ["NOQUEUE: one", "two"]
    assert mail_log.lines(Host(tmp_path / "nothing"), 0.0) is None


def test_hostile_words_do_not_reach_the_terminal() -> None:
    from tests.unit.troubleshoot.pictures import picture

    shown = text(judge(picture(cf_refused="\x1b[2J\x1b]0;owned\x07 line 1")))
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "line 1" in shown


def test_ufws_own_rules_are_read() -> None:
    rules = "### tuple ### allow tcp 25,465 0.0.0.0/0 any 0.0.0.0/0 in\n-A ufw-user-input -p tcp --dport 1 -j ACCEPT\n"
    rules += "### tuple ### deny tcp 587 0.0.0.0/0 any 0.0.0.0/0 in\n### tuple ### limit tcp 600:610 0.0.0.0/0 any 0.0.0.0/0 in\n"
    rules += "### tuple ### allow udp 587 0.0.0.0/0 any 0.0.0.0/0 in\n"
    assert ufw_allows(rules) == [(25, 25), (465, 465), (600, 610)]
    assert ufw_allows("### tuple ### allow any any 0.0.0.0/0 any 192.0.2.0/24 in\n") == [(1, 65535)]
