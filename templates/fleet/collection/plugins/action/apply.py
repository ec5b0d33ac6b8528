# Copyright: msa-wizard contributors
# MIT License (https://opensource.org/licenses/MIT)
"""Applies, and confirms the new rules of a firewall through a fresh connection where that is asked for."""

from __future__ import annotations

from ansible_collections.msa_wizard.msa.plugins.plugin_utils.confirmed import Confirmed


class ActionModule(Confirmed):
    """The module `apply`; by `async` it is run as it is, and whoever runs it so confirms."""
