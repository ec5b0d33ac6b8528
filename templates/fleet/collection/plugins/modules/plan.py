# Copyright: msa-wizard contributors
# MIT License (https://opensource.org/licenses/MIT)
"""What a run would do on this host; changes nothing."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: plan
short_description: Show what a run would do
version_added: 1.0.0
description:
  - Looks at the host and plans every step. Changes nothing, in check mode or not.
  - Fails where a run would be refused. That is where a step is blocked, where something that works would end and is not accepted,
    or where a run that was killed is in the way.
author:
  - msa-wizard contributors (@msa-wizard)
options:
  steps:
    description: Only these steps.
    type: list
    elements: str
    default: []
  replace_mta:
    description: Let apt remove another MTA, such as Postfix or Exim.
    type: bool
    default: false
attributes:
  check_mode:
    description: Whether the module can say what it would do, and change nothing.
    support: full
  diff_mode:
    description: Whether the module shows what changes.
    support: full
extends_documentation_fragment:
  - msa_wizard.msa.program
  - msa_wizard.msa.program.answers
"""

EXAMPLES = r"""
- name: Ask what is to be done
  msa_wizard.msa.plan:
    answers:
      listen:
        implicit_tls: true
  register: planned
"""

RETURN = r"""
pending:
  description: The steps that have something to do.
  returned: success
  type: list
  elements: str
  sample: [submission-port, sendmailconfig, restart]
diff:
  description: What would be changed. Of a file its texts before and after, in which keys and passwords are masked.
  returned: when the program said anything
  type: list
  elements: dict
document:
  description: What C(msa-wizard plan --json) prints.
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
from ansible_collections.msa_wizard.msa.plugins.module_utils.program import ANSWERS, PROGRAM, Program


def main():
    """The module."""
    module = AnsibleModule(
        argument_spec={
            **PROGRAM,
            **ANSWERS,
            "steps": {"type": "list", "elements": "str", "default": []},
            "replace_mta": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    program = Program(module)
    options = ["--replace-mta"] if module.params["replace_mta"] else []
    planned = program.planned(*module.params["steps"], *program.settings(), *options)
    module.exit_json(**{**planned, "changed": False})


if __name__ == "__main__":
    main()
