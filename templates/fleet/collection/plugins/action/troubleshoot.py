# Copyright: msa-wizard contributors
# MIT License (https://opensource.org/licenses/MIT)
"""Troubleshoots; new rules of a firewall that a fix has opened are confirmed as in `apply`."""

from __future__ import annotations

from ansible_collections.msa_wizard.msa.plugins.plugin_utils.confirmed import Confirmed


class ActionModule(Confirmed):
    """The module `troubleshoot`. With a password it is run as it is: in the background that would lie on the host's disk."""

    def _within(self):
        arguments = self._task.args
        return super()._within() if arguments.get("fix") and not arguments.get("password") else 0
