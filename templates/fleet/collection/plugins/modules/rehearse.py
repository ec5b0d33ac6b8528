# Copyright: msa-wizard contributors
# MIT License (https://opensource.org/licenses/MIT)
"""Does everything on a throwaway clone of this host."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rehearse
short_description: Rehearse on a throwaway clone of the host
version_added: 1.0.0
description:
  - Carries the plan out for real on a clone of the host, logs in there, and rolls everything back.
  - The host itself stays as it is. Packages are fetched for the clone, which takes some minutes.
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
    support: none
  diff_mode:
    description: Whether the module shows what changes.
    support: none
extends_documentation_fragment:
  - msa_wizard.msa.program
  - msa_wizard.msa.program.answers
"""

EXAMPLES = r"""
- name: Rehearse
  msa_wizard.msa.rehearse:
"""

RETURN = r"""
document:
  description: What C(msa-wizard rehearse --json) prints.
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
from ansible_collections.msa_wizard.msa.plugins.module_utils.program import ANSWERS, PROGRAM, Program, lean


def main():
    """The module."""
    module = AnsibleModule(
        argument_spec={
            **PROGRAM,
            **ANSWERS,
            "steps": {"type": "list", "elements": "str", "default": []},
            "replace_mta": {"type": "bool", "default": False},
        },
        supports_check_mode=False,
    )
    program = Program(module)
    options = [*module.params["steps"], *program.settings()]
    options += ["--replace-mta"] if module.params["replace_mta"] else []
    code, document = program.run("rehearse", *options, may_end=(0, 1))
    if code:
        program.fail(code, document, changed=False)
    module.exit_json(changed=False, msg=document["verdict"], document=lean(document), exit_code=code)


if __name__ == "__main__":
    main()
