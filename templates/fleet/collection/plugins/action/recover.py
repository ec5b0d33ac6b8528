# Copyright: msa-wizard contributors
# MIT License (https://opensource.org/licenses/MIT)
"""Ends a run that was killed. One that is finished may open a firewall again, whose rules are then confirmed as in `apply`."""

from __future__ import annotations

from ansible_collections.msa_wizard.msa.plugins.plugin_utils.confirmed import Confirmed

_LONGEST = 3600
"""Seconds that a run can wait for a confirmation."""


class ActionModule(Confirmed):
    """The module `recover`."""

    def _within(self):
        return _LONGEST if self._task.args.get("how") == "finish" else 0
