"""The host as the screens hold it: its settings, its history, how it was seen last, and what was done on it meanwhile.

The engine is imported when it is first asked: the first frame does not wait for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING, Self

from wizard.errors import CannotHere, WizardError
from wizard.model.answers import Answers
from wizard.model.answers_file import SAVED, saved
from wizard.model.session import Session
from wizard.model.set_option import as_options, as_words, of_apply, with_those_that_go
from wizard.system import accepted_login
from wizard.system.host import Host

if TYPE_CHECKING:
    from snapshots.store import Store
    from wizard.engine.journal import Journal, Unfinished
    from wizard.engine.overview import Overview
    from wizard.engine.summary import Summary
    from wizard.model.facts import Facts
    from wizard.model.plan import Step
    from wizard.model.step_facts import AptPlan
    from wizard.system.signals import Interrupt

AtWork = AbstractContextManager["tuple[Store, Journal, Interrupt]"]


def _to_save(answers: Answers) -> Answers:
    """Without what counts only until the screens end."""
    return replace(answers, replace_mta=False, watch_restart=0)


@dataclass
class HeldHost:
    """The host we run on, and what the admin chose for it. Every method may take long: call them in a worker."""

    host: Host = field(default_factory=Host)
    answers: Answers = field(default_factory=Answers)
    saved: Answers = field(default_factory=Answers)
    """The settings of this host as every command reads them."""
    stored: object = field(default=False, repr=False, compare=False)
    """The file that they were read from, as it was then: another one where somebody else has saved some since."""
    tell: Callable[[str], None] = field(default=lambda _: None, repr=False, compare=False)
    """Told before anything is done that the store was damaged and healed, or wiped; and of settings that are used no more."""

    session: Session = field(default_factory=Session, repr=False, compare=False)
    """What was done since the screens were started."""

    _seen: tuple[object, Overview] | None = field(default=None, init=False, repr=False, compare=False)
    """The host as it was seen last, and by which settings and after how many changes."""
    _changes: int = field(default=0, init=False, repr=False, compare=False)
    _looking: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)
    _apt_said: tuple[object, AptPlan] | None = field(default=None, init=False, repr=False, compare=False)
    """Apt's last answer, and to what."""
    _asking_apt: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)

    @classmethod
    def of_this_host(cls) -> Self:
        """With its settings. Raises AnswersError."""
        here = cls()
        here.read_settings()
        return here

    def _stored_now(self) -> object:
        path = self.host.path(SAVED)
        try:
            file = path.stat()
        except OSError:
            return os.path.lexists(path)  # a link to nowhere is no settings, and not none
        return file.st_mtime_ns, file.st_ino, file.st_size

    def read_settings(self) -> None:
        """Go by the settings that somebody else has saved since, and by ours in what we have not saved. Raises AnswersError."""
        if (now := self._stored_now()) == self.stored:
            return
        others, ours = saved(self.host.path(SAVED)), self.answers
        both, left = with_those_that_go(others, as_options(_to_save(ours), self.saved)[1::2])
        self.answers = replace(both, replace_mta=ours.replace_mta, watch_restart=ours.watch_restart)
        self.saved, self.stored = others, now
        if left:
            what = f"Used no more, and not saved: {', '.join(left)}."
            self.tell(f"{what} This does not go with the settings that somebody else has saved.")

    def alone(self, what: str) -> AbstractContextManager[None]:
        """While inside, this host is ours alone to change. Raises WizardError."""
        from wizard.engine import state_dir

        return state_dir.alone(what)

    def choose(self, answers: Answers, facts: Facts | None = None, alone: Answers | None = None) -> str:
        """Use these from now on, and save them, or `alone` in their place, for every command; a sentence on that. Raises
        WizardError where they are used, but not saved."""
        from wizard.engine.settings import save_settings
        from wizard.render.files import as_toml

        self.answers = answers
        settings = _to_save(alone or answers)
        whole = as_toml(settings, facts) if alone is None else ""
        with self.alone("save the settings"):
            words = save_settings(self.host, SAVED, settings, whole, self.store_to_add_to)
            self.saved, self.stored = settings, self._stored_now()
        self.session.saved.append(f"the settings, in {SAVED}")
        return words

    @property
    def settings_options(self) -> str:
        """What a command needs to do the same as we: the settings that are not saved."""
        return as_words(as_options(self.answers, self.saved))

    @property
    def apply_options(self) -> str:
        """The same for `apply`, which has more."""
        return as_words(of_apply(self.answers, self.saved))

    @property
    def steps(self) -> Sequence[Step]:
        """The steps of the howto, in their order."""
        from wizard.steps.order import STEPS

        return STEPS

    def lost(self) -> str:
        """A sentence where the history was wiped. Raises CannotHere."""
        from wizard.engine import state_dir

        return state_dir.lost_history() if os.geteuid() == 0 else ""

    def at_work(self, interrupt: Interrupt, work: str = "", *, recovering: bool = False) -> AtWork:
        """The host is ours while inside, for this `work`. Raises CannotHere, Locked, InterruptedRun."""
        from wizard.engine import state_dir

        return state_dir.at_work(recovering=recovering, signals=interrupt, say=self.tell, work=work)

    def store(self) -> Store | None:
        """The history, read-only; None where there is none or where it is not ours to read."""
        from wizard.engine import state_dir

        return state_dir.existing_store() if os.geteuid() == 0 else None

    def store_to_add_to(self) -> Store | None:
        """The history for a commit beside all runs, once the host is ours; see state_dir. Raises CannotHere."""
        from wizard.engine import state_dir

        return state_dir.store_to_add_to()

    def history_mark(self) -> object:
        """The same as long as nobody has added to the history."""
        from wizard.engine import state_dir

        return state_dir.history_mark()

    def killed(self) -> Unfinished | None:
        """A run that was killed, as far as we may know."""
        from wizard.engine import state_dir

        return state_dir.killed_run() if os.geteuid() == 0 else None

    def waits(self) -> Unfinished | None:
        """A killed run that waits for its recovery, as far as we may know: none is at work now."""
        from wizard.engine import state_dir

        return state_dir.waiting_run() if os.geteuid() == 0 else None

    def others(self) -> str:
        """A sentence where another session is at work, as far as we may know."""
        from wizard.engine import state_dir

        return state_dir.others_at_work() if os.geteuid() == 0 else ""

    def overview(self) -> Overview:
        """A new look at the host, without apt's answer."""
        from wizard.engine import overview

        others, store = self.others(), self.store()
        history = store.history() if store and store.head() else ()
        return overview.overview(
            self.host, self._guarded(self.answers), history, self.waits(), store, self._skipped, others
        )

    @property
    def held(self) -> Overview | None:
        """The host as it was seen last; None where the settings or the host may be others now, as after others were at work."""
        if self._seen is None or self._seen[0] != self._moment() or self._seen[1].others:
            return None
        return self._seen[1]

    def _moment(self) -> object:
        settings, login = (self.answers, self._stored_now()), self.host.mtime(accepted_login.PATH)
        return self._changes, self.session.events, settings, self._skipped, self.history_mark(), login

    @property
    def _skipped(self) -> frozenset[str]:
        return frozenset(self.session.skipped)

    def changed(self) -> None:
        """The host may be another one from now on: the next screen looks at it again."""
        self._changes += 1

    def seen(self, again: bool = False) -> Overview:
        """The host as it is held; looked at where it is not, or `again`. Two screens do not look twice."""
        with self._looking:
            self.read_settings()
            moment, held = self._moment(), self.held
            if held is None or again:
                held = self.overview()
                self._seen = moment, held
            return held

    def seen_with_apt(self) -> Overview:
        """The same, once apt has said what comes with the packages that are missing. It is asked once for all screens,
        and again when its lists or the packages are others."""
        from wizard.engine import overview

        held = self.seen()
        if not held.facts.asking_apt:
            return held
        moment, apt = self._moment(), self._apt_says()
        with self._looking:
            whole = overview.with_apt(
                held, apt, self.host, self._guarded(self.answers), self.store(), self._skipped
            )
            if self.held is held:
                self._seen = moment, whole
        return whole

    def _apt_says(self) -> AptPlan | None:
        from wizard.engine.overview import asked_apt
        from wizard.gather.host import apt_state

        with self._asking_apt:
            question = self.answers.install, apt_state(self.host)
            if self._apt_said is not None and self._apt_said[0] == question:
                return self._apt_said[1]
            if (plan := asked_apt(self.host, self.answers)) is not None:
                self._apt_said = question, plan
            return plan

    @property
    def user(self) -> str:
        """Whose login is tried: of the last one, or of the settings."""
        return self.session.tested or self.answers.test.user

    def summary(self) -> Summary:
        """What was done since the screens were started, and what is still missing."""
        return self._summary_of(self.seen())

    def _summary_of(self, seen: Overview | None) -> Summary:
        from wizard.engine.summary import summary
        from wizard.rollback.rollback import needing

        self._tested_elsewhere()
        return summary(seen, self.session, needing, self._known_to_wait())

    def _tested_elsewhere(self) -> None:
        """A login test that has passed in a shell counts as one of ours does."""
        if not self.session.failed:
            return
        from wizard.steps.restart import AuthTest

        if login := accepted_login.accepted_login(self.host, 0.0):
            self.session.passed(AuthTest.id, login.passed)

    def _known_to_wait(self) -> Unfinished | None:
        with suppress(CannotHere):
            return self.waits()
        return None

    def parting_words(self, look: bool = False) -> str:
        """What stays on the terminal when the screens end: the summary. To `look` at a host that may be another one since
        takes its time; Ctrl-C ends it, and so does a host that cannot be looked at."""
        self._tested_elsewhere()
        if self.session.nothing:
            from wizard.engine.state_dir import WAYS

            waits = self._known_to_wait()
            return "msa-wizard: nothing was changed." + (f" {waits.words()}: {WAYS}." if waits else "")
        from snapshots.errors import StoreError
        from wizard.render.text import summary_text

        seen = self.held
        if look and seen is None:
            with suppress(WizardError, StoreError, OSError, KeyboardInterrupt):
                seen = self.seen()
        return summary_text(self._summary_of(seen))

    def facts(self) -> Facts:
        """The host as it is now."""
        from wizard.gather.host import look

        return look(self.host)

    @staticmethod
    def _guarded(answers: Answers) -> Answers:
        """The answers; a change of the firewall must be confirmed where it could cut our own connection."""
        from wizard.changes.confirm_or_revert import DEFAULT
        from wizard.gather.firewall import ssh_connection

        return replace(answers, confirm_within=DEFAULT if ssh_connection() else 0)
