"""What is wrong with the words of a sendmail.mc, and the text that m4 accepts in its place: with the real m4."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from snapshots.store import Store
from tests.unit.steps.recorded import file, machine
from wizard.mends.order import find
from wizard.model import facts as f
from wizard.model.answers import Answers
from wizard.model.facts import Facts
from wizard.model.plan import Outcome
from wizard.sendmail.m4 import expand_text
from wizard.sendmail.mc_repair import fault
from wizard.system.host import Completed, Host

pytestmark = pytest.mark.skipif(
    shutil.which("m4") is None or not Path("/usr/share/sendmail/cf/m4/cf.m4").exists(),
    reason="no m4, or no sendmail cf files (apt-get install m4 sendmail-cf)",
)
GOOD = """include(`/usr/share/sendmail/cf/m4/cf.m4')dnl
OSTYPE(`linux')dnl
FEATURE(`no_default_msa')dnl
DAEMON_OPTIONS(`Family=inet, Name=MTA-v4, Port=smtp, M=A')dnl
DAEMON_OPTIONS(`Family=inet, Name=MSP-v4, Port=submission, M=Ea')dnl
define(`confAUTH_OPTIONS', `p y')dnl
MAILER_DEFINITIONS
MAILER(`local')dnl
MAILER(`smtp')dnl
"""


@dataclass(frozen=True)
class Bench(Host):
    """A host whose /etc/mail is below its root."""

    def run(self, argv: Any, **options: Any) -> Completed:
        return super().run(argv, **options | {"cwd": str(self.root / "etc/mail")})


@pytest.fixture
def host(tmp_path: Path) -> Bench:
    (tmp_path / "etc/mail").mkdir(parents=True)
    for part in ("feature/no_default_msa", "feature/use_cw_file", "mailer/smtp"):
        path = tmp_path / f"usr/share/sendmail/cf/{part}.m4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return Bench(tmp_path)


def seen(host: Host, text: str, store: Store | None = None) -> Facts:
    cf = expand_text(host, GOOD.encode()).text
    facts = machine("12", files={f.SENDMAIL_MC: file(text), f.SENDMAIL_CF: file(cf)})
    return replace(facts, mc_fault=fault(host, facts, lambda: store))


@pytest.mark.parametrize(
    ("old", "new", "line", "why"),
    [
        ("DAEMON_OPTIONS(", "DAEMON_OPTION(", 4, "no macro DAEMON_OPTION (the nearest is DAEMON_OPTIONS)"),
        ("MAILER_DEFINITIONS", "MAILER_DEFINITION", 7, "MAILER_DEFINITIONS"),
        ("FEATURE(`no", "FEATURES(`no", 3, "FEATURE"),
        ("define(", "defin(", 6, "define"),
        ("define(", "DEFINE(", 6, "define"),
        ("FEATURE(", "feature(", 3, "FEATURE"),
        ("no_default_msa", "no_default_mas", 3, "no feature no_default_mas (the nearest is no_default_msa)"),
        ("`smtp')dnl", "`smpt')dnl", 9, "no mailer smpt"),
        ("M=Ea')dnl", "M=Eadnl", 5, "never closed"),
        ("M=Ea')dnl", "M=Ea'dnl", 5, "never closed"),
        ("M=Ea')dnl", "M=Ea)dnl", 5, "never closed"),
    ],
)
def test_the_line_is_named_and_put_right(host: Bench, old: str, new: str, line: int, why: str) -> None:
    text = GOOD.replace(old, new)
    found = seen(host, text).mc_fault
    assert found is not None
    assert found.line == line
    assert why in found.sentence
    assert found.text == GOOD.encode()
    assert found.commit == ""


def test_macros_of_an_included_file_are_no_words_to_put_right(host: Bench) -> None:
    """They are called like sendmail's own; m4 knows them."""
    (host.root / "etc/mail/site.m4").write_text(
        "define(`MASQUERADE_DOMAINS', `MASQUERADE_DOMAIN(`$1')')dnl\n"
    )
    sound = GOOD.replace("FEATURE(", "include(`site.m4')dnl\nMASQUERADE_DOMAINS(`x.test')dnl\nFEATURE(", 1)
    assert seen(host, sound).mc_fault is None
    found = seen(host, sound.replace("DAEMON_OPTIONS(", "DAEMON_OPTION(", 1)).mc_fault
    assert found is not None
    assert found.text == sound.encode()


def test_what_has_no_near_word_goes_back_to_the_last_good_text(host: Bench, tmp_path: Path) -> None:
    text = GOOD.replace("no_default_msa", "as_my_friend_had_it").replace("Port=submission", "Port=587")
    found = seen(host, text).mc_fault
    assert found is not None
    assert found.text is None
    plan = find("mend-sendmail-mc").plan(seen(host, text), Answers())
    assert plan.outcome is Outcome.BLOCKED
    assert "line 3" in plan.reason

    class History:
        """Three texts: the broken one, one with fewer listeners, the good one."""

        texts = (text, GOOD.replace("DAEMON_OPTIONS(`Family=inet, Name=MSP", "dnl (`"), GOOD)

        def history(self, path: str) -> list[Any]:
            return [type("Commit", (), {"short": f"c{at}", "at": at}) for at in range(3)]

        def entries(self, commit: Any, paths: list[str]) -> dict[str, Any]:
            return {paths[0]: file(self.texts[commit.at])}

    facts = seen(host, text, History())  # type: ignore[arg-type]
    assert facts.mc_fault is not None
    assert (facts.mc_fault.text, facts.mc_fault.commit) == (GOOD.encode(), "c2")
    plan = find("mend-sendmail-mc").plan(facts, Answers())
    assert plan.outcome is Outcome.PENDING
    assert "c2" in plan.notes[0]
    assert "-FEATURE(`as_my_friend_had_it')dnl" in plan.changes[0].describe().diff


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        GOOD + "LOCAL_RULESETS\nSfoo\nR$*\t$: $1\n",
        GOOD.replace(
            "define(",
            "define(`confMINE', `x')dnl\ndefine(`MY_OWN_MACRO', `dnl')MY_OWN_MACRO(`y')\ndefine(",
            1,
        ),
        "divert(-1)\nDEAMON_OPTIONS(`in running text')\ndivert(0)dnl\n" + GOOD,
    ],
)
def test_a_sound_file_is_left_alone(host: Bench, text: str) -> None:
    facts = seen(host, text)
    assert facts.mc_fault is None
    assert find("mend-sendmail-mc").plan(facts, Answers()).outcome is Outcome.DONE


def test_of_two_lines_for_a_port_the_foreign_one_goes() -> None:
    foreign = "DAEMON_OPTIONS(`Port=587, Name=MSA, M=E')dnl\n"
    for text in (GOOD.replace("DAEMON", foreign + "DAEMON", 1), GOOD.replace("define(", foreign + "define(")):
        facts = machine("12", files={f.SENDMAIL_MC: file(text)})
        plan = find("mend-listeners").plan(facts, Answers())
        assert plan.outcome is Outcome.PENDING, plan.reason
        added = [line for line in plan.changes[0].describe().diff.splitlines() if line.startswith("+d")]
        assert added == [f"+dnl {foreign.strip()}"]
    assert (
        find("mend-listeners").plan(machine("12", files={f.SENDMAIL_MC: file(GOOD)}), Answers()).outcome
        is Outcome.DONE
    )
