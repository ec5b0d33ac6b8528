# Copyright: msa-wizard contributors
# MIT License (https://opensource.org/licenses/MIT)
"""Ends a run that was killed: undone, finished, or accepted."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: recover
short_description: End a run that was killed
version_added: 1.0.0
description:
  - Undoes or finishes what a killed run has begun. Does nothing where no run was killed.
  - In check mode it only says what that run had done.
  - Where it is finished, and that opens a firewall whose rules wait for a confirmation, the connection is given up and they are
    confirmed through a new one.
author:
  - msa-wizard contributors (@msa-wizard)
options:
  how:
    description: Undo it, finish it, or keep the host as it is now.
    type: str
    choices: [undo, finish, accept]
    default: undo
attributes:
  check_mode:
    description: Whether the module can say what it would do, and change nothing.
    support: full
  diff_mode:
    description: Whether the module shows what changes.
    support: none
extends_documentation_fragment:
  - msa_wizard.msa.program
"""

EXAMPLES = r"""
- name: Finish what the killed run has begun
  msa_wizard.msa.recover:
    how: finish
"""

RETURN = r"""
document:
  description: What C(msa-wizard recover --json) prints.
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
from ansible_collections.msa_wizard.msa.plugins.module_utils.program import PROGRAM, Program, lean


def main():
    """The module."""
    module = AnsibleModule(
        argument_spec={
            **PROGRAM,
            "how": {"type": "str", "choices": ["undo", "finish", "accept"], "default": "undo"},
        },
        supports_check_mode=True,
    )
    program = Program(module)
    how = "show" if module.check_mode else module.params["how"]
    code, document = program.run("recover", f"--{how}", may_end=(0, 1, 3, 4))
    changed = document["outcome"] != "nothing"
    if code:
        program.fail(code, document, changed=changed)
    module.exit_json(changed=changed, document=lean(document), exit_code=code)


if __name__ == "__main__":
    main()
