"""A certificate from an ACME authority: what it is asked for, as a form; then the plan of `certificate-obtain`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Checkbox, Static

from screens.base import FORM, Field, Frame
from screens.settings_form import Flag
from wizard.errors import AnswersError
from wizard.model.answers import MANUAL, STANDALONE, WEBROOT, Answers
from wizard.model.set_option import as_options, with_set

if TYPE_CHECKING:
    from wizard.engine.run import Run

FIELDS = (
    Field(
        "email",
        "E-mail address",
        "Where the authority may write to you, should something be wrong with the certificate.",
        "(admin@example.org, say)",
    ),
    Field(
        "name",
        "Name",
        "The name that mail clients know this host by. It must lead here in the DNS. Leave empty for its own name. Several are "
        "separated by blanks or commas; the first is the one that clients are told.",
        "(this host's own)",
    ),
    Field(
        "challenge",
        "Challenge",
        f"How the authority sees that the name is yours. {STANDALONE}: certbot answers on port 80, where nobody else listens. "
        f"{WEBROOT}: the web server answers that holds port 80. {MANUAL}: a hook of yours writes into the DNS. Or one of certbot's "
        "plug-ins for the DNS, such as dns-rfc2136.",
        f"({STANDALONE})",
    ),
    Field("webroot", "Web folder", f"For {WEBROOT}: the folder that the web server serves for the name.", "(/var/www/html, say)"),
    Field("credentials", "DNS credentials", "For a plug-in for the DNS: the file with what it logs in with.", "(none)"),
    Field("auth_hook", "DNS hook", f"For {MANUAL}: the program that writes certbot's record into the DNS. It finds it in $CERTBOT_VALIDATION.", "(none)"),
    Field("cleanup_hook", "Hook afterwards", f"For {MANUAL}: the program that takes the record out again.", "(none)"),
    Field("server", "Authority", "The address of its ACME directory. Leave empty for Let's Encrypt.", "(Let's Encrypt)"),
)  # fmt: skip
AGREE = Field(
    "agree_tos",
    "I agree to the authority's terms of service",
    "Space ticks it. Let's Encrypt's are at https://letsencrypt.org/repository; the plan names those of the authority.",
)


def words_of(entered: Mapping[str, str], answers: Answers, saved: Answers) -> list[str]:
    """What `certificate obtain` needs to ask for what was `entered`: it fills in what is not given from the settings as they are
    `saved`, so what is empty, and is not so there, is said as well."""
    of_settings = saved.certificate
    typed = {**entered, "email": entered["email"] or "ADDRESS"}
    words = typed.pop("name").replace(",", " ").split()
    agrees = typed.pop(AGREE.id) == "true"
    if typed["challenge"] == STANDALONE and of_settings.challenge in ("", STANDALONE):
        del typed["challenge"]
    words += [word for key, value in typed.items() if value for word in (f"--{key.replace('_', '-')}", value)]
    words += ["--agree-tos"] if agrees else []
    taken_out = {key: "" for key in ("name", *typed) if not typed.get(key, entered[key])}
    taken_out |= {} if agrees else {AGREE.id: "false"}
    for key, value in taken_out.items():
        words += ["--set", f"certificate.{key}={value}"] if getattr(of_settings, key) else []
    return words + as_options(replace(answers, certificate=of_settings), saved)


class ObtainCertificate(Frame[None]):
    """The form; Enter at its end looks at all of it and shows the plan."""

    HEADING = "Get a certificate"
    AUTO_FOCUS = "#email"
    SAYS = "#about"
    HELP_TEXT = """
No mail client warns of a certificate from an authority that it knows. Debian's certbot gets one from Let's Encrypt, or from
another ACME authority, and renews it by itself; a hook brings each renewal to Sendmail.

It needs a public name that leads to this host, and for most challenges port 80, which is opened in the firewall for that
while alone. All that can be seen from here is looked at first, and Let's Encrypt is asked for a trial that counts against
no limit. You see what will be done before anything is. If Sendmail does not present the certificate in the end, all of it is undone. It can be
rolled back in the history.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "enter", "Next", show=False, priority=True, tooltip="Next field, then begin"),
        Binding("f5", "check", "Check and show"),
        *FORM,
        Binding("escape", "dismiss", "Back"),
    ]

    _wrong = ""
    """What is wrong with the field that the focus goes to."""

    def body(self) -> ComposeResult:
        """The fields with what the settings have, and what the chosen one is for."""
        wanted = self.backend.answers.certificate
        kept = self.wizard.kept.get(self.HEADING, {})
        with Vertical(id="form"):
            for field in FIELDS:
                yield field.line(kept.get(field.id, str(getattr(wanted, field.id))))
            yield Flag(AGREE.label, wanted.agree_tos, id=AGREE.id, tooltip=AGREE.about)
        yield Static("", id="about", markup=False)

    def on_descendant_focus(self) -> None:
        """Say what the field is for."""
        if about := self._wrong or self.about_focused():
            self.say(about)
            self._wrong = ""
            self._show_command()

    def on_input_changed(self) -> None:
        """The command with what was typed."""
        self._show_command()

    def on_checkbox_changed(self) -> None:
        """The command with the consent."""
        self._show_command()

    async def action_enter(self) -> None:
        """To the next field; at the last one check."""
        await self.caught_up()
        if isinstance(self.focused, Checkbox):
            self.action_check()
        else:
            self.focus_next()

    def action_check(self) -> None:
        """Look at all of it, and show what would be done."""
        from screens.review_and_run import RunSteps
        from wizard.steps.certificate_obtain import CertificateObtain

        try:
            answers = with_set(
                self.backend.answers, [f"certificate.{key}={value}" for key, value in self._entered().items()]
            )
        except AnswersError as problem:
            self._refuse(*str(problem).removeprefix("--set certificate.").partition(": "))
            return
        if not self.desk.changing:
            run = RunSteps(self.HEADING, self._show_command(), None, answers, [CertificateObtain.id])
            self.app.push_screen(run, self._after)

    def _refuse(self, key: str, colon: str, why: str) -> None:
        """Say what is wrong, headed by its field, and go there."""
        label = next((field.label for field in FIELDS if field.id == key), "")
        words = f"✗ {label or key}{colon}{why}"
        self.say(words)
        if label and (field := self.query_one(f"#{key}")) is not self.focused:
            self._wrong = words
            field.focus()

    def _entered(self) -> dict[str, str]:
        agrees = self.query_one(f"#{AGREE.id}", Flag).value
        typed = {field.id: self.entered(field.id) for field in FIELDS}
        return typed | {"challenge": typed["challenge"] or STANDALONE, AGREE.id: str(agrees).lower()}

    def _after(self, run: Run | None) -> None:
        if run is not None and run.applied:
            self.dismiss()

    def _show_command(self) -> str:
        self.wizard.kept[self.HEADING] = {field.id: self.entered(field.id) for field in FIELDS}
        words = words_of(self._entered(), self.backend.answers, self.backend.saved)
        command = shlex.join(["msa-wizard", "certificate", "obtain", *words])
        self.same(command)
        return command
