"""The settings as a form: each field with its help, checked while typing; saved where every command reads them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Input, Label, Static

from screens.base import FORM, Field
from screens.settings_form import SAVE, Flag, SettingsForm
from wizard.client_settings import serves_implicit_tls
from wizard.console import clean
from wizard.model.answers import (
    EVERYBODY,
    FIREWALL_CHOICES,
    MECHANISMS,
    POLICIES,
    TLS_POLICIES,
    UNCHANGED,
    Answers,
    Auth,
    Certificate,
    Firewall,
    Guess,
    Install,
    Listen,
    Login,
    Test,
    Tls,
)
from wizard.model.answers_file import SAVED, parse
from wizard.model.set_option import as_options, as_words
from wizard.render.files import as_toml

if TYPE_CHECKING:
    from wizard.model.facts import Facts

TEXTS = (  # id: section and key of the answers
    Field(
        "listen-submission",
        "Submission addresses",
        "The IP addresses of this host at which mail clients reach port 587 (howto 3.3), separated by commas. Leave "
        "empty for every IPv4 address. If this is wrong, users cannot reach the server.",
        "(every IPv4 address)",
    ),
    Field(
        "listen-smtp",
        "SMTP addresses",
        "The IP addresses of this host at which other mail servers reach port 25 (howto 3.5). Leave empty for every IPv4 "
        "address. Otherwise they must include 127.0.0.1, or mail from local programs is never delivered.",
        "(every IPv4 address)",
    ),
    Field(
        "auth-saslauthd_mechanism",
        "Passwords from",
        f"What saslauthd asks (howto 2.3): {', '.join(MECHANISMS)}. pam: the users of this host. Leave empty to keep what this host has.",
        "(as configured on this host)",
    ),
    Field(
        "login-policy",
        "Who may log in",
        f"{', '.join(POLICIES)}. everybody: every account of this host, root too, as in the howto. Recommended is "
        "no-system-accounts: all but root and system accounts, whose passwords the whole world could try to guess.",
        "(everybody)",
    ),
    Field(
        "login-groups",
        "Groups",
        "For groups above: only members of these groups of this host may log in, separated by commas.",
        "(no group)",
    ),
    Field(
        "guess-attempts",
        "Wrong passwords",
        "For the box above that bans who guesses: after this many wrong passwords from an address it is banned.",
        "(5)",
    ),
    Field(
        "guess-window",
        "Within",
        "The time within which so many wrong passwords count: a number with its unit, such as 30s, 10m, 1h or 7d.",
        "(10m)",
    ),
    Field(
        "guess-ban",
        "Banned for",
        "For how long an address is banned: 30s, 10m, 1h, 7d or 4w, say. Then it may try again.",
        "(1h)",
    ),
    Field(
        "guess-never",
        "Never banned",
        "Networks that are never banned, separated by commas: that of an office, say, in which one forgotten telephone with "
        "an old password would have all others banned, too. 192.0.2.0/24 or 2001:db8::/32.",
        "(this host, and where you are now)",
    ),
    Field(
        "tls-policy",
        "TLS of clients",
        f"{', '.join(TLS_POLICIES)}. unchanged: as sendmail and OpenSSL have it. recommended: TLS 1.2 and newer with forward "
        "secrecy alone, on ports 587 and 465. Old mail clients may be shut out; those seen lately are named first.",
        "(unchanged)",
    ),
    Field(
        "firewall-use",
        "Firewall",
        f"The firewall in which to open ports 587 and 25 (howto 3.8): {', '.join(FIREWALL_CHOICES)}. auto: the one that is active.",
        "(auto)",
    ),
    Field(
        "firewall-zone",
        "Firewall zone",
        "For Shorewall and firewalld: the zone that leads outside. Leave empty to detect it.",
        "(found by the default route)",
    ),
    Field(
        "test-host",
        "Test: server",
        "The server of the login test (howto 5.2). Leave empty for this host.",
        "(this host)",
    ),
    Field(
        "test-user",
        "Test: user",
        "The user of the login test. The password is asked for there and stored nowhere.",
        "(nobody yet)",
    ),
    Field(
        "test-send_to",
        "Test: send to",
        "An address to which the login test submits a message. Leave empty for none.",
        "(nobody)",
    ),
)
FLAGS = (
    Field(
        "listen-ipv6",
        "Listen on IPv6 too",
        "Ports 587 and 25 on every IPv6 address as well. If this is wrong, clients that prefer IPv6 wait or fail.",
    ),
    Field(
        "listen-implicit_tls",
        "Port 465 too",
        "TLS from the first byte (RFC 8314), for clients that do not speak STARTTLS. Needs a free port 465.",
    ),
    Field(
        "guess-limit",
        "Ban password guessers",
        "fail2ban bans addresses from which passwords are guessed, as the four fields below say (a step then, beyond the "
        "howto). It is installed where it is missing.",
    ),
    Field(
        "install-recommends",
        "Recommended packages too",
        "Also installs what Debian only recommends with sendmail. This set-up does not need it, and one of the packages "
        "starts a daemon on 127.0.0.1:8461.",
    ),
    Field(
        "watch_restart",
        "Watch the restart",
        "Sendmail's listeners are watched for a minute after its restart; if one disappears or does not greet, the "
        "restart is reverted (howto 3.7). F2 does not save this box: it counts until you quit.",
    ),
    Field(
        "replace_mta",
        "Replace another MTA",
        "Postfix or Exim may be removed for sendmail. Its mail service then stops. F2 does not save this box: it counts "
        "until you quit.",
    ),
)
FIELDS = (*TEXTS, *FLAGS)
WATCHED = 60
"""Seconds that a restart is watched."""
SERVED = (
    "Port 465 is open on this host. Clearing the box does not close it: remove its DAEMON_OPTIONS line from sendmail.mc, "
    "then apply sendmailconfig."
)


class Settings(SettingsForm):
    """F2 saves the settings, and they are used from then on; leaving asks about those that are not saved."""

    HEADING = "Settings"
    PLACE = "settings"
    FIELDS = FIELDS
    AUTO_FOCUS = "#listen-submission"
    HELP_TEXT = f"""
What you choose here goes into the plans of all steps. The howto's own set-up needs none of it: every field may
stay as it is. Tab, Enter and Down go to the next field, Up to the one before; Space ticks a box.

What an authority is asked for is in a form of its own, "Get a certificate": o on the screen Certificate, or Ctrl+P.

F2 saves the settings in {SAVED}. From then on they are used here and by every command. The line above the keys
says what does the same. To take them from another file: `msa-wizard answers --answers FILE --save`
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        SAVE,
        Binding("enter", "app.focus_next", "Next field", show=False, priority=True),
        *FORM,
        Binding("escape", "back", "Back"),
    ]

    def body(self) -> ComposeResult:
        """The fields, and help on the one that has the focus."""
        answers = self.settings()
        with VerticalScroll(id="form", can_focus=False):
            flags = {
                field.id: Flag(field.label, bool(_value(answers, field.id)), id=field.id, tooltip=field.about)
                for field in FLAGS
            }
            for field in TEXTS:
                if field.id == "guess-attempts":
                    yield flags.pop("guess-limit")
                yield field.line(_text(answers, field.id))
                if field.id == "tls-policy":
                    label = Label("Certificate", classes="label")
                    yield Horizontal(label, Static(id="certificate", markup=False), classes="field")
            yield from flags.values()
        yield Static("", id="about", markup=False)

    def on_mount(self) -> None:
        """Look at the host."""
        self.add_to_title("every field may stay as it is")
        self._show_certificate()
        self.look(self.backend.facts, self._show)

    def on_screen_resume(self) -> None:
        """The form of the certificate may have been on top."""
        self._show_certificate()

    def _show_certificate(self) -> None:
        """What an authority is asked for; that is chosen elsewhere."""
        wanted, where = self.backend.answers.certificate, "o on Certificate"
        name = f"{wanted.names[0]} by " if wanted.names else ""
        words = f"{name}{wanted.challenge} ({where})" if wanted.challenge else f"(apply gets none; {where})"
        self.query_one("#certificate", Static).update(words)

    def _show(self, facts: Facts) -> None:
        """Show what an empty field means on this very host, and a port that it serves already."""
        from wizard.sendmail.password_source import in_words

        self.facts = facts
        self.query_one("#auth-saslauthd_mechanism", Input).placeholder = f"({in_words(facts)})"
        box = self.query_one("#listen-implicit_tls", Flag)
        if serves_implicit_tls(facts) and not box.value and self.before is not None:
            box.value = True
            self.before = replace(self.before, listen=replace(self.before.listen, implicit_tls=True))

    def own(self, answers: Answers) -> object:
        """All but what the form "Get a certificate" is about."""
        return replace(answers, certificate=Certificate())

    def on_saving(self, answers: Answers) -> str:
        """Addresses and groups that this host does not have, and groups that count for nothing."""
        from wizard.model.answer_checks import unknown_groups, unused_groups
        from wizard.sendmail.own_address import not_here

        strange = not_here(self.facts, answers.listen) if self.facts is not None else ""
        unknown = unknown_groups(answers.login, self.facts.local_groups) if self.facts is not None else ""
        words = " ".join(filter(None, (strange, unused_groups(answers.login), unknown)))
        return f"! {clean(words)}" if words else ""

    def about(self) -> str:
        """Of port 465 also that a box does not close it."""
        on_tls = self.focused is not None and self.focused.id == "listen-implicit_tls"
        served = self.facts is not None and serves_implicit_tls(self.facts)
        return SERVED if on_tls and served else self.about_focused()

    def show_command(self, answers: Answers) -> None:
        """The command that saves the same."""
        options = as_options(answers, self.backend.saved)
        self.same(f"msa-wizard answers{as_words([*options, '--save']) if options else ''}")

    def typed(self, without: Collection[str] = ()) -> Answers:
        """The settings with the fields and boxes."""
        text = {field.id: "" if field.id in without else self.entered(field.id) for field in TEXTS}
        flag = {field.id: self.query_one(f"#{field.id}", Flag).value for field in FLAGS}
        raw = Answers(
            Listen(
                _list(text["listen-submission"]),
                _list(text["listen-smtp"]),
                flag["listen-ipv6"],
                flag["listen-implicit_tls"],
                self.backend.answers.listen.local_submission,
            ),
            Auth(text["auth-saslauthd_mechanism"], self.backend.answers.auth.mechanisms),
            Test(text["test-host"], text["test-user"], text["test-send_to"]),
            login=Login(text["login-policy"] or EVERYBODY, _names(text["login-groups"])),
            guess=Guess(
                flag["guess-limit"],
                _number(text["guess-attempts"]),
                text["guess-window"] or Guess.window,
                text["guess-ban"] or Guess.ban,
                _list(text["guess-never"]),
            ),
            tls=Tls(text["tls-policy"] or UNCHANGED),
            firewall=Firewall(text["firewall-use"] or "auto", text["firewall-zone"]),
            install=Install(flag["install-recommends"]),
            accept=self.backend.answers.accept,
            certificate=self.backend.answers.certificate,
        )
        return replace(
            parse(as_toml(raw)),
            replace_mta=flag["replace_mta"],
            watch_restart=WATCHED * flag["watch_restart"],
        )


def _list(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def _names(text: str) -> tuple[str, ...]:
    """Names that may have blanks in them."""
    return tuple(name for name in map(str.strip, text.split(",")) if name)


def _number(text: str) -> int:
    """What was typed, as it is where it is no number: the check of the answers says so."""
    if not text:
        return Guess.attempts
    return int(text) if text.isdecimal() and len(text) < 10 else text  # type: ignore[return-value]


def _value(answers: Answers, name: str) -> object:
    section, _, key = name.rpartition("-")
    return getattr(getattr(answers, section) if section else answers, key)


def _text(answers: Answers, name: str) -> str:
    value = _value(answers, name)
    return ", ".join(value) if isinstance(value, tuple) else str(value)
