# Copyright: msa-wizard contributors
# MIT License (https://opensource.org/licenses/MIT)
"""How this host is set up, as facts."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: msa_facts
short_description: Gather how a host is set up
version_added: 1.0.0
description:
  - Takes the state of each step, what waits for a word, and the certificate of the server. Changes nothing.
  - The facts are in C(ansible_facts.msa).
author:
  - msa-wizard contributors (@msa-wizard)
attributes:
  check_mode:
    description: Whether the module can say what it would do, and change nothing.
    support: full
  diff_mode:
    description: Whether the module shows what changes.
    support: none
extends_documentation_fragment:
  - msa_wizard.msa.program
  - msa_wizard.msa.program.answers
"""

EXAMPLES = r"""
- name: Gather how the host is set up
  msa_wizard.msa.msa_facts:

- name: Name the steps that have drifted
  ansible.builtin.debug:
    var: ansible_facts.msa.drifted
"""

RETURN = r"""
ansible_facts:
  description: The facts.
  returned: success
  type: dict
  contains:
    msa:
      description: How the host is set up.
      type: dict
      returned: success
      contains:
        release:
          description: The name of the release, as F(/etc/os-release) has it.
          type: str
          returned: success
        steps:
          description: Each step with its state, and why.
          type: list
          elements: dict
          returned: success
        drifted:
          description: The steps that were applied and would do something again.
          type: list
          elements: str
          returned: success
        blocked:
          description: The steps that cannot be done as the host is now.
          type: list
          elements: str
          returned: success
        pending:
          description: The steps that have something to do.
          type: list
          elements: str
          returned: success
        interrupted:
          description: What a killed run waits for. Empty where none does.
          type: str
          returned: success
        confirmation:
          description: Seconds that new rules of a firewall wait for M(msa_wizard.msa.confirm). Null where none do.
          type: float
          returned: success
        certificates:
          description: The certificate that mail clients get, C(ServerCertFile) of F(sendmail.cf). Empty where none is named.
          type: list
          elements: dict
          returned: success
        certificate_faults:
          description: Why mail clients refuse that certificate, or do not get it.
          type: list
          elements: str
          returned: success
document:
  description: What C(msa-wizard status --json) prints.
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

import platform

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.msa_wizard.msa.plugins.module_utils.program import ANSWERS, PROGRAM, Program


def main():
    """The module."""
    module = AnsibleModule(argument_spec={**PROGRAM, **ANSWERS}, supports_check_mode=True)
    program = Program(module)
    code, document = program.run("status", *program.settings(accept=False))
    held = program.run("certificate", "show", may_end=(0, 1), may_lack=True)[1]
    states = {row["step"]: row["state"] for row in document["steps"]}
    facts = {
        "release": platform.freedesktop_os_release().get("PRETTY_NAME", ""),
        "steps": document["steps"],
        "drifted": [step for step, state in states.items() if state == "drifted"],
        "blocked": [step for step, state in states.items() if state == "blocked"],
        "pending": [step for step, state in states.items() if state == "pending"],
        "interrupted": document["interrupted"] or "",
        "confirmation": document["confirmation"],
        "certificates": [each for each in held.get("certificates", ()) if each["option"] == "ServerCertFile"],
        "certificate_faults": [each["says"] for each in held.get("checks", ()) if each["sign"] == "failed"],
    }
    module.exit_json(changed=False, ansible_facts={"msa": facts}, document=document, exit_code=code)


if __name__ == "__main__":
    main()
