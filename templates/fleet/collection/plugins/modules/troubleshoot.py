# Copyright: msa-wizard contributors
# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""Finds out why users cannot send mail, and fixes it."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: troubleshoot
short_description: Find out why users cannot send mail
version_added: 1.0.0
description:
  - Looks at every layer from the name to the queue. Fails where something is wrong.
  - With O(fix) it fixes first what it can. In check mode it fixes nothing.
author:
  - msa-wizard contributors (@msa-wizard)
options:
  fix:
    description: Fix the faults with these ids, or V(all) that fail.
    type: list
    elements: str
    default: []
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
  - msa_wizard.msa.program.login
"""

EXAMPLES = r"""
- name: Find out why users cannot send mail
  msa_wizard.msa.troubleshoot:
"""

RETURN = r"""
faults:
  description: How many things are wrong.
  returned: always
  type: int
document:
  description: What C(msa-wizard troubleshoot --json) prints.
  returned: when the program said anything
  type: dict
exit_code:
  description: The exit code of the program.
  returned: always
  type: int
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.msa_wizard.msa.plugins.module_utils.program import (
    ANSWERS,
    LOGIN,
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
            **LOGIN,
            "fix": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    program = Program(module)
    login, data = program.login()
    fix = module.params["fix"] if not module.check_mode else []
    words = [*program.settings(), *login, *(["--yes", "--fix", *fix] if fix else [])]
    code, document = program.run("troubleshoot", *words, data=data, may_end=(0, 1, 3, 4))
    steps = [plan for plan in (document.get("run") or {}).get("steps", ()) if plan["state"] == "applied"]
    result = {
        "changed": bool(steps),
        "faults": sum(fault["state"] == "failed" for fault in document["faults"]),
        "diff": diffs(change for plan in steps for change in plan["changes"]),
    }
    if code:
        program.fail(code, document, **result)
    module.exit_json(msg=document["summary"], document=lean(document), exit_code=code, **result)


if __name__ == "__main__":
    main()
