# Copyright: msa-wizard contributors
# MIT License (https://opensource.org/licenses/MIT)
"""Finds out why users cannot send mail, and fixes it."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: troubleshoot
short_description: Find out why users cannot send mail
version_added: 1.0.0
description:
  - Looks at every layer from the name to the queue. Fails where something is wrong.
  - With O(fix) it fixes first what it can. In check mode it fixes nothing, and says what it would fix.
author:
  - msa-wizard contributors (@msa-wizard)
options:
  fix:
    description: Fix the faults with these ids, or V(all) that fail.
    type: list
    elements: str
    default: []
  confirm_within:
    description:
      - Revert new rules of a firewall that a fix opens unless they are confirmed within so many seconds.
      - The connection is given up and they are confirmed through a new one. With O(password), or C(async), nobody does so.
      - With 0 they stay at once.
    type: int
    default: 0
attributes:
  check_mode:
    description: Whether the module can say what it would do, and change nothing.
    support: full
  diff_mode:
    description: Whether the module shows what changes.
    support: partial
    details: In check mode it shows the steps of each fix, not yet what they change.
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
  description: How many things are wrong; in check mode, how many would still be.
  returned: when the program said anything
  type: int
diff:
  description: What was changed. Of a file its texts before and after, in which keys and passwords are masked.
  returned: when the program said anything
  type: list
  elements: dict
document:
  description: What C(msa-wizard troubleshoot --json) prints.
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
    INTERRUPTED,
    LOGIN,
    PROGRAM,
    Program,
    diffs,
    lean,
)


def would_fix(program, document):
    """End the module with what a run would fix, what would stop it, and what would be left."""
    if document["interrupted"]:
        program.fail(INTERRUPTED, {"error": {"message": document["interrupted"]}}, changed=False)
    wanted, faults = program.module.params["fix"], document["faults"]
    ids = {"all", *(each["id"] for each in program.run("troubleshoot", "--list")[1]["diagnoses"])}
    if unknown := sorted({*wanted} - ids):
        program.module.fail_json(msg=f"no such diagnosis: {', '.join(unknown)}")
    asked = [
        each for each in faults if each["id"] in wanted or ("all" in wanted and each["state"] == "failed")
    ]
    fixed = [each for each in asked if each["fix"]["can_be_applied"]]
    named = [each["fix"]["steps"] for each in asked if each["id"] in wanted]
    # Whoever names a fault that is fixed by making sendmail.cf again wants its wrong lines to go.
    may_end = {"cf-lines"} if any("sendmailconfig" in steps for steps in named) else set()
    ends = [
        {"id": name, "says": f"{each['id']}: something that works would end"}
        for each in fixed
        for name in each["fix"]["ends"]
        if name not in may_end
    ]
    blocked = any(each["fix"]["blocked"] for each in asked)
    left = [each for each in faults if each["state"] == "failed" and each not in fixed]
    result = {
        "changed": bool(fixed) and not ends,
        "faults": len(left),
        "diff": [{"prepared": f"{each['id']}: {', '.join(each['fix']['steps'])}\n"} for each in fixed],
    }
    if ends or left or blocked or not all(named):
        program.fail(4 if ends else 1, {**document, "ends": ends}, **result)
    program.module.exit_json(msg=document["summary"], document=lean(document), exit_code=0, **result)


def main():
    """The module."""
    module = AnsibleModule(
        argument_spec={
            **PROGRAM,
            **ANSWERS,
            **LOGIN,
            "fix": {"type": "list", "elements": "str", "default": []},
            "confirm_within": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    program = Program(module)
    login, data = program.login()
    fix = module.params["fix"]
    words = [*program.settings(), *login]
    if fix and not module.check_mode:
        words += ["--yes", f"--confirm-within={module.params['confirm_within']}", "--fix", *fix]
    code, document = program.run("troubleshoot", *words, data=data, may_end=(0, 1, 3, 4))
    if fix and module.check_mode:
        would_fix(program, document)
    run = document.get("run") or {}
    steps = [plan for plan in run.get("steps", ()) if plan["state"] == "applied"]
    result = {
        "changed": bool(steps) or any(failure["not_undone"] for failure in run.get("failures", ())),
        "faults": sum(fault["state"] == "failed" for fault in document["faults"]),
        "diff": diffs(change for plan in steps for change in plan["changes"]),
    }
    if code:
        program.fail(code, document, **result)
    module.exit_json(msg=document["summary"], document=lean(document), exit_code=code, **result)


if __name__ == "__main__":
    main()
