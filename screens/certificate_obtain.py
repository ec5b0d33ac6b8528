"""A certificate from an ACME authority: what it is asked for, as a form; then the plan of `certificate-obtain`."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Checkbox, Static

from screens.base import FORM, Field
from screens.settings_form import SAVE, Flag, SettingsForm
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
        "plug-ins for the DNS, such as dns-rfc2136. Once one is saved here, `apply` gets a certificate, too. Left empty, only F5 "
        f"here gets one, by {STANDALONE}.",
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
    typed = {
        **entered,
        "email": entered["email"] or "ADDRESS",
        "challenge": entered["challenge"] or STANDALONE,
    }
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


class ObtainCertificate(SettingsForm):
    """The form; Enter at its end looks at all of it and shows the plan."""

    HEADING = "Get a certificate"
    PLACE = "obtain"
    FIELDS = (*FIELDS, AGREE)
    AUTO_FOCUS = "#email"
    HELP_TEXT = """
No mail client warns of a certificate from an authority that it knows. Debian's certbot gets one from Let's Encrypt, or from
another ACME authority, and renews it by itself; a hook brings each renewal to Sendmail.

It needs a public name that leads to this host, and for most challenges port 80, which is opened in the firewall for that
while alone. All that can be seen from here is looked at first, and Let's Encrypt is asked for a trial that counts against
no limit. You see what will be done before anything is. If Sendmail does not present the certificate in the end, all of it is undone. It can be
rolled back in the history.

What you choose here is a part of the settings. It is saved once Sendmail has the certificate, or before that by F2.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "enter", "Next", show=False, priority=True, tooltip="Next field, then begin"),
        Binding("f5", "check", "Check and show"),
        SAVE,
        *FORM,
        Binding("escape", "back", "Back"),
    ]

    def body(self) -> ComposeResult:
        """The fields with what the settings have, and what the chosen one is for."""
        wanted = self.settings().certificate
        with Vertical(id="form"):
            for field in FIELDS:
                yield field.line(str(getattr(wanted, field.id)))
            yield Flag(AGREE.label, wanted.agree_tos, id=AGREE.id, tooltip=AGREE.about)
        yield Static("", id="about", markup=False)

    @staticmethod
    def key(field: Field) -> str:
        """The field's key in answers.toml."""
        return f"certificate.{field.id}"

    def own(self, answers: Answers) -> object:
        """What an authority is asked for."""
        return answers.certificate

    def alone(self, answers: Answers) -> Answers:
        """What is chosen here; what else is in use, and is not saved, stays so."""
        return replace(self.backend.saved, certificate=answers.certificate)

    def typed(self, without: Collection[str] = ()) -> Answers:
        """The settings with what was typed."""
        values = self._entered() | dict.fromkeys(without, "")
        return with_set(self.backend.answers, [f"certificate.{key}={value}" for key, value in values.items()])

    def on_saving(self, answers: Answers) -> str:
        """Whether a run of all steps asks an authority."""
        from wizard.model.step_facts import Acme
        from wizard.steps.certificate_obstacles import unchosen

        if not answers.certificate.challenge:
            return f"`apply` gets no certificate while Challenge is empty ({STANDALONE} will do). F5 gets one now."
        lacks = unchosen(answers.certificate, Acme())
        return (
            f"`apply` gets no certificate yet: {lacks[0]}." if lacks else "`apply` gets the certificate, too."
        )

    def show_command(self, answers: Answers) -> None:
        """The command that asks for the same."""
        self.same(self._command())

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

        if (answers := self.check()) is None:
            self.go_where_it_is_wrong()
        elif not self.desk.changing:
            answers = replace(answers, certificate=answers.certificate.by_hand)
            run = RunSteps(self.HEADING, self._command(), None, answers, [CertificateObtain.id])
            self.app.push_screen(run, self._after)

    def _entered(self) -> dict[str, str]:
        agrees = self.query_one(f"#{AGREE.id}", Flag).value
        return {field.id: self.entered(field.id) for field in FIELDS} | {AGREE.id: str(agrees).lower()}

    def _after(self, run: Run | None) -> None:
        """What was chosen is used: it is kept."""
        if run is not None and run.applied and (not self.changed or self.save()):
            self.dismiss()

    def _command(self) -> str:
        words = words_of(self._entered(), self.backend.answers, self.backend.saved)
        return shlex.join(["msa-wizard", "certificate", "obtain", *words])
