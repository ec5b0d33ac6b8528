# Copyright: msa-wizard contributors
# MIT License (https://opensource.org/licenses/MIT)
"""Confirms new rules of a firewall through a fresh connection, while the module that opens them waits in the background. All of
it is one task: tasks of their own would open the rules of all hosts first, and confirm none before."""

from __future__ import annotations

import time

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

_MARGIN = 600
"""Seconds that a module may take beside the time for the confirmation."""
_OF_THE_JOB = ("ansible_job_id", "finished", "started", "results_file", "_ansible_parsed")


class Confirmed(ActionBase):
    """A module that waits for a confirmation, for as many seconds as `_within` says."""

    def run(self, tmp=None, task_vars=None):
        """What the module returns."""
        self._supports_check_mode = self._supports_async = True
        result = super().run(None, task_vars)
        within = 0 if self._task.async_val or self._task.check_mode else self._within()
        if within:
            return {**result, **self._confirmed(within, task_vars)}
        background = bool(self._task.async_val) and not self._connection.has_native_async
        return {**result, **self._execute_module(task_vars=task_vars, wrap_async=background)}

    def _within(self):
        """Seconds for the confirmation; 0 where none is waited for."""
        try:
            return int(self._task.args.get("confirm_within") or 0)
        except (TypeError, ValueError):
            return 0  # the module says what is wrong with it

    def _confirmed(self, within, task_vars):
        limit = within + _MARGIN
        self._task.async_val = limit
        try:
            begun = self._execute_module(task_vars=task_vars, wrap_async=True)
        finally:
            self._task.async_val = 0  # else Ansible would wait for it itself
        if "ansible_job_id" not in begun:
            return begun
        folder = self._remote_expand_user(self.get_shell_option("async_dir", default="~/.ansible_async"))
        job = {"jid": begun["ansible_job_id"], "_async_dir": folder}
        ended = self._end(job, time.monotonic() + limit, task_vars)
        self._module("ansible.builtin.async_status", {**job, "mode": "cleanup"}, task_vars)
        return {name: value for name, value in ended.items() if name not in _OF_THE_JOB}

    def _end(self, job, latest, task_vars):
        """The result of the job, after its rules were confirmed."""
        program = {name: value for name, value in self._task.args.items() if name in ("program", "answers")}
        confirmed = False
        while time.monotonic() < latest:
            ended = self._module("ansible.builtin.async_status", {**job, "mode": "status"}, task_vars)
            if ended.get("finished"):
                return ended
            if not confirmed and self._waits(program, task_vars):
                self._connection.reset()
                confirmed = self._confirm(program, task_vars)
            time.sleep(1)
        raise AnsibleActionFail(f"the run in the background has not ended; its job is {job['jid']}")

    def _waits(self, program, task_vars):
        """Whether new rules wait for a confirmation."""
        facts = self._module("msa_wizard.msa.msa_facts", program, task_vars).get("ansible_facts", {})
        return facts.get("msa", {}).get("confirmation") is not None

    def _confirm(self, program, task_vars):
        """Whether it was in time; where it was not, the job says what became of the rules."""
        words = {name: value for name, value in program.items() if name == "program"}
        return self._module("msa_wizard.msa.confirm", words, task_vars).get("changed", False)

    def _module(self, name, arguments, task_vars):
        return self._execute_module(module_name=name, module_args=arguments, task_vars=task_vars)
