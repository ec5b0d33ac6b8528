# Copyright: msa-wizard contributors
# MIT License (https://opensource.org/licenses/MIT)
"""Keeps new firewall rules that wait for a word."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: confirm
short_description: Keep the new rules of a firewall
version_added: 1.0.0
description:
  - Says that the host can still be reached, while M(msa_wizard.msa.apply) waits for that in the background, by C(async).
  - Run it through a connection that was made after the rules were.
author:
  - msa-wizard contributors (@msa-wizard)
attributes:
  check_mode:
    description: Whether the module can say what it would do, and change nothing.
    support: none
  diff_mode:
    description: Whether the module shows what changes.
    support: none
extends_documentation_fragment:
  - msa_wizard.msa.program
"""

EXAMPLES = r"""
- name: Connect again
  ansible.builtin.meta: reset_connection

- name: Keep the new rules of the firewall
  msa_wizard.msa.confirm:
"""

RETURN = r"""
document:
  description: What C(msa-wizard confirm --json) prints.
  returned: when the program said anything
  type: dict
exit_code:
  description: The exit code of the program.
  returned: when the program was run
  type: int
interrupted:
  description: Whether a run that was killed is in the way. M(msa_wizard.msa.recover) ends it.
  returned: on failure of the program
  type: bool
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.msa_wizard.msa.plugins.module_utils.program import PROGRAM, Program


def main():
    """The module."""
    module = AnsibleModule(argument_spec=PROGRAM, supports_check_mode=False)
    program = Program(module)
    code, document = program.run("confirm", may_end=(0, 1))
    if code:
        program.fail(code, {"verdict": "too late: the firewall change was already reverted", **document})
    module.exit_json(changed=document["outcome"] == "confirmed", document=document, exit_code=code)


if __name__ == "__main__":
    main()
