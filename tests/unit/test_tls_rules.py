"""The ruleset by which TLS is chosen for the ports of mail clients alone: in sendmail.mc, and in what m4 makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from wizard.editors import EditError, sendmail_mc
from wizard.errors import GateError
from wizard.sendmail import tls_rules
from wizard.sendmail.mc_gate import Gate, Planned, unplanned
from wizard.sendmail.tls_rules import drops_dh, listed, own, ports, present, rules, with_rules

CF = """O DaemonPortOptions=Family=inet, Name=MTA-v4, Port=smtp, M=A
O DaemonPortOptions=Family=inet, Name=MSP-v4, Port=submission, M=Ea
O DaemonPortOptions=Family=inet, Name=TLS, Port=465, M=Eas
O DaemonPortOptions=Family=inet6, Name=MSP-v6, Port=587, M=Ea
O DaemonPortOptions=Family=inet, Name=Own, Port=2525, M=a
O DaemonPortOptions=Family=inet, Name=Filter, Port=10025, M=A
"""
MC = "include(`/usr/share/sendmail/cf/m4/cf.m4')dnl\nOSTYPE(`debian')dnl\nMAILER(`smtp')dnl\n"
LINES = rules((587,), "DEFAULT:!kRSA")


def test_each_port_for_mail_clients_has_a_rule_and_25_never() -> None:
    assert ports(CF) == (465, 587, 2525)
    assert ports("O DaemonPortOptions=Name=X, Port=25, M=a\n") == ()
    made = rules(ports(CF), listed("DEFAULT", small_dh=False))
    assert [line.split("\t")[0] for line in made] == [
        "Stls_srv_features",
        "R$*",
        "R465",
        "R587",
        "R2525",
        "R$*",
    ]
    assert made[-1].endswith('$@ ""'), "nothing for other ports"
    assert '"' not in "".join(made[:-1]), "a token in quotes may have 256 characters only"


def test_what_is_weak_is_barred_behind_the_list_in_force() -> None:
    assert listed("ECDHE+AESGCM", small_dh=False) == "ECDHE+AESGCM:!kRSA:!aNULL:!eNULL:!3DES:!RC4"
    small = listed("DEFAULT", small_dh=True)
    assert small.endswith(":!kDHE")
    assert drops_dh("\n".join(rules((587,), small)))
    assert not drops_dh("\n".join(LINES))


@pytest.mark.parametrize("mc", [MC, MC.removesuffix("\n"), f"{MC}\nLOCAL_RULESETS\nSown\nR$*\t$@ $1\n"])
def test_it_goes_to_the_end_and_is_written_again_in_its_place(mc: str) -> None:
    new = with_rules(mc, LINES)
    assert new.startswith(mc)
    sendmail_mc.check(new)
    assert own(mc) == ""
    assert own(new).splitlines() == ["LOCAL_RULESETS", *LINES]
    assert with_rules(new, LINES) == new
    more = f"{new}dnl # mine\n"
    again = with_rules(more, rules((465, 587), "HIGH"))
    assert again.endswith("dnl # mine\n")
    assert again.count("Stls_srv_features") == 1
    assert "R465" in own(again)


@pytest.mark.parametrize("damage", ["begins twice", "no end", "only the end"])
def test_marks_that_were_changed_are_not_guessed_at(damage: str) -> None:
    new = with_rules(MC, LINES)
    lines = new.splitlines(keepends=True)
    text = {
        "begins twice": new + new[len(MC) :],
        "no end": "".join(lines[:-1]),
        "only the end": MC + lines[-1],
    }[damage]
    with pytest.raises(EditError, match="no longer one of two lines"):
        own(text)


def test_it_is_found_in_a_sendmail_cf_whoever_wrote_it() -> None:
    cf = "O X=1\nSbefore\nR$*\t$@ $1\n\n" + "\n".join(LINES) + "\n#\nSafter\nR$*\t$@ $1\n"
    assert present(cf) == LINES
    assert present("Stls_srv_features\nR$* $| $*\t$: a comment\nMlocal, P=x\n") == (
        "Stls_srv_features",
        "R$* $| $*\t$: a comment",
    )
    assert present(CF) == ()


@pytest.mark.parametrize("text", ['A"B', "A B", "A;B", "$*", "A\tB", "", "A" * 901])
def test_a_list_that_no_rule_can_hold_is_known(text: str) -> None:
    assert not tls_rules.LIST.match(text)


def test_lists_as_people_have_them_can_be_held() -> None:
    for text in (
        "DEFAULT@SECLEVEL=1",
        "ALL:!aNULL:-kRSA",
        "ECDHE-RSA-AES128-GCM-SHA256:AES128-SHA",
        "HIGH+TLSv1.2",
    ):
        assert tls_rules.LIST.match(text)


def test_the_gate_wants_its_lines_together_and_lets_no_others_come() -> None:
    gate = Gate(rules=LINES, planned=Planned(lines=frozenset(LINES)))
    whole = "O X=1\n" + "\n".join(LINES) + "\nMlocal\n"
    gate.compare(whole)
    with pytest.raises(GateError, match="would not have Stls_srv_features as planned"):
        gate.compare(whole.replace('R$*\t\t\t$@ ""\n', ""))
    assert unplanned("O X=1\nMlocal\n", whole, gate.planned) == ()
    assert unplanned(whole, "O X=1\nMlocal\n", gate.planned) == (), "what was ours may go"
    assert unplanned("O X=1\nMlocal\n", whole.replace("O X=1", "O X=2"), gate.planned) == ("-O X=1", "+O X=2")


def test_a_listener_without_tls_is_not_asked() -> None:
    cf = "O DaemonPortOptions=Name=X, Port=2525, M=aS\nO DaemonPortOptions=Name=Y, Port=587, M=Ea\n"
    assert ports(cf) == (587,)
    own = "O DaemonPortOptions=Family=inet6, Name=A, Port=587, M=Ea\nO DaemonPortOptions=Name=B, Port=587, Addr=127.0.0.1, M=E\n"
    both = own + "O DaemonPortOptions=Name=C, Port=587, Addr=192.0.2.1, M=Ea\n"
    assert tls_rules.listeners(both)[587].name == "C", "of one port the one with a login, by IPv4"


def test_whoever_has_a_ruleset_of_his_own_reads_in_the_documents_what_it_has_to_return() -> None:
    (rule,) = (line for line in rules((587,), listed("DEFAULT", small_dh=False)) if line.startswith("R587"))
    page = Path(__file__).resolve().parents[2] / "docs/server.md"
    assert f"`{rule.partition('$@ ')[2]}`" in page.read_text()
