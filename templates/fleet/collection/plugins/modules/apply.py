# Copyright: msa-wizard contributors
# MIT License (https://opensource.org/licenses/MIT)
"""Sets this host up, step by step."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: apply
short_description: Set up the host, step by step
version_added: 1.0.0
description:
  - Carries the plan out. Each step is a commit in the history of the host, and can be rolled back.
  - A step that fails is undone at once, and the module fails.
  - In check mode it plans only. It fails where a run would be refused.
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
  confirm_within:
    description:
      - Revert new rules of a firewall unless they are confirmed within so many seconds.
      - The connection is given up and they are confirmed through a new one. With C(async) nobody does so, and
        M(msa_wizard.msa.confirm) is to be run.
      - With 0 they stay at once.
    type: int
    default: 0
  watch_restart:
    description: Watch the listeners of sendmail for so many seconds after the restart, and revert if one disappears.
    type: int
    default: 0
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
- name: Set up the host
  msa_wizard.msa.apply:
    answers:
      listen:
        implicit_tls: true
    accept:
      - cf-lines
"""

RETURN = r"""
pending:
  description: In check mode, the steps that have something to do.
  returned: in check mode
  type: list
  elements: str
  sample: [submission-port, sendmailconfig, restart]
applied:
  description: The steps that were applied.
  returned: except in check mode
  type: list
  elements: str
  sample: [submission-port, sendmailconfig, restart]
diff:
  description: What was changed; in check mode, what would be. Of a file its texts before and after, in which keys and passwords are masked.
  returned: when the program said anything
  type: list
  elements: dict
document:
  description: What C(msa-wizard apply --json) prints.
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
from ansible_collections.msa_wizard.msa.plugins.module_utils.program import (
    ANSWERS,
    PROGRAM,
    Program,
    diffs,
    lean,
)


def main():
    """The module."""
    module = AnsibleModule(
        argument_spec={
            **PROGRAM,
            **ANSWERS,
            "steps": {"type": "list", "elements": "str", "default": []},
            "replace_mta": {"type": "bool", "default": False},
            "confirm_within": {"type": "int", "default": 0},
            "watch_restart": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    program = Program(module)
    options = [*module.params["steps"], *program.settings()]
    options += ["--replace-mta"] if module.params["replace_mta"] else []
    if module.check_mode:
        module.exit_json(**program.planned(*options))
    guards = [
        f"--confirm-within={module.params['confirm_within']}",
        f"--watch-restart={module.params['watch_restart']}",
    ]
    code, document = program.run("apply", "--yes", *options, *guards, may_end=(0, 1, 3, 4))
    applied = [plan for plan in document["steps"] if plan["state"] == "applied"]
    result = {
        "changed": bool(applied) or any(failure["not_undone"] for failure in document["failures"]),
        "applied": [plan["step"] for plan in applied],
        "diff": diffs(change for plan in applied for change in plan["changes"]),
    }
    if code:
        program.fail(code, document, **result)
    module.exit_json(document=lean(document), exit_code=code, **result)


if __name__ == "__main__":
    main()
