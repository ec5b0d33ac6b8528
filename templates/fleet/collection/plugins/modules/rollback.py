# Copyright: msa-wizard contributors
# MIT License (https://opensource.org/licenses/MIT)
"""Rolls back a step, a commit or everything."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rollback
short_description: Roll back a step, a commit or everything
version_added: 1.0.0
description:
  - Rolls back whatever was done since. Edits of the admin stay.
  - In check mode it only works out what would be done, and fails where something would be left. What others have changed in C(/etc)
    is recorded in the history first, then too.
author:
  - msa-wizard contributors (@msa-wizard)
options:
  ref:
    description: A step, or the beginning of the id of a commit.
    type: str
  everything:
    description: Leave the host as it was found.
    type: bool
    default: false
  on_conflict:
    description:
      - What becomes of lines that both the admin and the step have changed. V(abort) changes nothing and fails.
      - V(keep) keeps those of the admin, V(restore) brings the earlier ones back.
    type: str
    choices: [abort, keep, restore]
    default: abort
attributes:
  check_mode:
    description: Whether the module can say what it would do, and change nothing.
    support: full
  diff_mode:
    description: Whether the module shows what changes.
    support: full
extends_documentation_fragment:
  - msa_wizard.msa.program
"""

EXAMPLES = r"""
- name: Roll back what opened the submission port
  msa_wizard.msa.rollback:
    ref: submission-port
"""

RETURN = r"""
diff:
  description: What was changed; in check mode, what would be. Of a file its texts before and after, in which keys and passwords are masked.
  returned: when the program said anything
  type: list
  elements: dict
document:
  description: What C(msa-wizard rollback --json) prints.
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
from ansible_collections.msa_wizard.msa.plugins.module_utils.program import PROGRAM, Program, diffs, lean


def main():
    """The module."""
    module = AnsibleModule(
        argument_spec={
            **PROGRAM,
            "ref": {"type": "str"},
            "everything": {"type": "bool", "default": False},
            "on_conflict": {"type": "str", "choices": ["abort", "keep", "restore"], "default": "abort"},
        },
        supports_check_mode=True,
        required_one_of=[("ref", "everything")],
    )
    program = Program(module)
    if bool(module.params["ref"]) == module.params["everything"]:
        module.fail_json(msg="name a step or a commit, or say everything: one of them")
    what = ["--all"] if module.params["everything"] else [module.params["ref"]]
    how = "--dry-run" if module.check_mode else "--yes"
    words = ["rollback", *what, how, f"--on-conflict={module.params['on_conflict']}"]
    code, document = program.run(*words, may_end=(0, 1, 4))
    nothing = document["outcome"] == "nothing"
    result = {
        "changed": not nothing
        and (module.check_mode or bool(document["commit"] or document.get("not_undone"))),
        "diff": diffs(document.get("changes", ())),
    }
    if code or (module.check_mode and document.get("left")):  # as a run ends where it leaves something
        program.fail(code, document, **result)
    module.exit_json(document=lean(document), exit_code=code, **result)


if __name__ == "__main__":
    main()
