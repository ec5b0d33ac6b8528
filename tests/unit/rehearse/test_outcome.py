"""The verdict follows from what was seen, and the report holds it in every form."""

from __future__ import annotations

import html
import json
from typing import Any

import pytest

from templates import render
from tests.unit.rehearse.made import STATE, good, step
from wizard.client_settings import ClientSettings
from wizard.rehearse.outcome import Rehearsal, shown
from wizard.rehearse.written import AttributedPath, PathChange


def test_one_that_went() -> None:
    made = good()
    assert (made.ok, made.clean, made.logged_in, made.stopped_at, made.unknown) == (True, True, True, "", [])
    assert "It would work" in made.verdict
    document = made.to_json()
    json.dumps(document)
    assert document["rollback"]["clean"]
    assert document["clone"]["memory"] == 9 << 20


def spoilt(made: Rehearsal, how: str) -> None:
    match how:
        case "blocked":
            made.run |= {"blocked": "preflight", "steps": [step("preflight", reason="port 587 is held")]}
        case "failed":
            made.run |= {"failed": "restart", "failures": [{"step": "restart", "why": "no greeting"}]}
        case "undecided":
            ending = {"id": "cf-lines", "says": "lines of your own\x1b[2J <b>", "lines": ["Cwmine.test"]}
            made.run |= {"undecided": "smtp-port", "ends": [ending]}
            made.run["steps"][0] |= {"commit": None, "state": "undecided"}
        case "name":
            made.stops = "'mail' is not a qualified name"
        case "login":
            made.login |= {"code": 535, "verdict": "The login was refused (535)."}
        case "not tried":
            made.login = {
                "tried": False,
                "why": "there is no made-up user that could log in",
                "remaining": False,
            }
        case "rollback":
            made.rollback["failed"] = "apt refused"
        case "left":
            made.left = [PathChange("/etc/x", "new")]
        case "package":
            made.after = {**STATE, "packages": {**STATE["packages"], "m4": "1"}}
        case "listener":
            made.after = {**STATE, "listeners": []}
        case "enabled":
            made.after = {**STATE, "enabled": {"sendmail": False, "saslauthd": False}}
        case "broke off":
            made.run, made.after, made.errors = {}, {}, ["Traceback"]


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("blocked", "would stop at preflight on this host: port 587 is held"),
        (
            "undecided",
            "would stop at smtp-port on this host: something that works would end: lines of your own",
        ),
        ("failed", "would stop at restart on this host: no greeting"),
        ("name", "would stop at preflight on this host: 'mail' is not"),
        ("login", "no login was accepted: The login was refused (535)"),
        ("not tried", "no made-up user"),
        ("rollback", "not everything could be rolled back"),
        ("left", "not everything could be rolled back"),
        ("package", "not everything could be rolled back"),
        ("listener", "not everything could be rolled back"),
        ("enabled", "not everything could be rolled back"),
        ("broke off", "broke off: Traceback"),
    ],
)
def test_one_that_did_not(how: str, says: str) -> None:
    made = good()
    spoilt(made, how)
    assert not made.ok
    assert says in made.verdict
    for form in ("text", "md", "html", "screen"):
        assert shown(made, form)
    assert "FAILED: " in shown(made, "text")


@pytest.mark.parametrize(("code", "ok"), [(535, True), (235, False), (None, False)])
def test_whom_the_policy_refuses_must_not_get_in(code: int | None, ok: bool) -> None:
    made = good()
    made.login["stranger"] = {"user": "rehearsal-x", "code": code, "refused": code == 535}
    assert made.ok is ok
    assert (
        "All steps went through, but rehearsal-x, whom the policy on logins refuses" in made.verdict
    ) is not ok
    for form in ("md", "screen"):
        assert "rehearsal-x, whom the policy on logins refuses, was" in " ".join(shown(made, form).split())
    assert "whom the policy" not in shown(good(), "md")


def test_where_a_step_failed_the_log_is_shown() -> None:
    made = good()
    spoilt(made, "failed")
    made.log = ["sendmail[7]: it will not start", "<second>"]
    for form in ("text", "md", "screen"):
        assert "last lines of the clone's log" in shown(made, form)
        assert "sendmail[7]: it will not start" in shown(made, form)
    assert "&lt;second&gt;" in shown(made, "html")
    assert "clone's log" not in shown(good(), "text")


def test_some_steps_need_no_login() -> None:
    made = good()
    made.login = {"tried": False, "why": "not all steps are done: restart would remain", "remaining": True}
    assert made.ok
    assert "No login was tried: not all steps are done" in made.verdict


@pytest.mark.parametrize(
    ("form", "holds"),
    [
        ("text", ["OK: It would work", "changed: /etc/mail/sendmail.mc", "files of the packages: 1 path"]),
        ("md", ["**OK: It would work", "### smtp-port: Do smtp-port (0.1 s)", "        +new", "< 235 2.0.0"]),
        ("md", ["done; it was to do: "]),
        ("html", ["<strong>OK: It would work", "-old &lt;b&gt;", "&lt; 235 2.0.0 OK"]),
        ("screen", ["smtp-port          done in 0.1 s", "< 235 2.0.0 OK"]),
    ],
)
def test_every_form_tells_it(form: str, holds: list[str]) -> None:
    text = shown(good(), form)
    for words in holds:
        assert words in text


def test_a_page_shows_markup_from_outside_as_it_is_written() -> None:
    made = good()
    hostile = (
        "<script>x</script> ![i](http://evil.test/i.png) [l](http://evil.test) <http://evil.test> &lt; \\*"
    )
    made.notes.append(hostile)
    made.run["steps"][0]["changes"][0]["diff"] = "+```\n+</pre><b>"
    page = shown(made, "html")
    assert html.escape(hostile) in page
    assert "+```\n  +&lt;/pre&gt;&lt;b&gt;" in page
    assert not any(tag in page for tag in ("<script", "<img", "<a "))


@pytest.mark.parametrize("name", ["page.html.j2", "client_autoconfig.xml.j2"])
def test_templates_escape_by_their_name(name: str) -> None:
    settings = ClientSettings("mail.example.test", "example.test", imap="imap.example.test")
    object.__setattr__(settings, "domain", "<&")
    assert "&lt;&amp;" in render(name, settings=settings, title="<&", body="")
    assert render("hosts_line.j2", name="<&", short="a") == "127.0.1.1\t<& a\n"


def test_what_comes_from_outside_is_cleaned() -> None:
    made = good()
    made.paths.append(AttributedPath("/etc/\x1b[31mred\nline", "new", ""))
    hostile: dict[str, Any] = {"who": "server", "text": "\x1b]0;title\x07235", "explanation": ""}
    made.login["lines"] = [hostile]
    made.notes.append("a\x1b[2Jnote")
    for form in ("text", "md", "html", "screen"):
        assert "\x1b" not in shown(made, form)
    assert r"no plan knew of this path: /etc/\x1b[31mred line (new)" in shown(made, "text")


@pytest.mark.parametrize("form", ["text", "screen", "md", "html"])
def test_what_would_end_is_a_finding_of_its_own(form: str) -> None:
    made = good()
    assert "would end" not in shown(made, form)
    spoilt(made, "undecided")
    report = shown(made, form)
    assert "would end" in report
    assert "cf-lines: lines of your own" in report
    assert "Cwmine.test" in report
    assert "\x1b" not in report
    if form == "html":
        assert "<b>" not in report
    document = made.to_json()
    assert (document["stopped_at"], document["ok"]) == ("smtp-port", False)
    assert document["ends"][0]["lines"] == ["Cwmine.test"]
    assert "--accept cf-lines" in document["why"]


def test_a_step_that_was_not_rehearsed_has_the_state_that_all_others_show() -> None:
    made = good()
    made.run["steps"].append(step("certificate-obtain", state="not-applicable", reason="optional"))
    assert "  certificate-obtain n/a\n" in shown(made, "screen")
    assert "not-applicable" not in shown(made, "md")


def test_a_firewall_that_is_not_in_the_clone_is_not_passed_over() -> None:
    made = good()
    made.run["steps"].append(step("firewall", state="not-applicable", reason="no firewall is active"))
    assert made.left_out([]) == []
    assert made.left_out(["ufw"])[0].startswith("firewall is not rehearsed, for ufw of this host")
    made.run["steps"][-1] = step("firewall")
    assert made.left_out(["ufw"]) == []
