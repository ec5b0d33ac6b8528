# Copyright: msa-wizard contributors
# MIT License (https://opensource.org/licenses/MIT)
"""What the documentation of the modules has in common."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragments, by name."""

    DOCUMENTATION = r"""
options:
  program:
    description:
      - The program on the host. The role C(msa_wizard.msa.msa) brings it.
    type: path
    default: "/usr/local/sbin/msa-wizard"
requirements:
  - Debian 12 or newer on the host
  - root on the host
notes:
  - The program says itself what is wrong. What it says is the message of a failure, and RV(ignore:document) is what it
    prints with C(--json), but for the texts of files that the diff has.
"""

    ANSWERS = r"""
options:
  answers:
    description:
      - Settings, as in C(answers.toml), nested or with their whole names. What is left out, or null, is as on the host.
      - The program checks them.
    type: dict
    default: {}
  accept:
    description:
      - Names of what works on the host and may end. RV(ignore:document) of M(msa_wizard.msa.plan) has them in C(ends).
    type: list
    elements: str
    default: []
"""

    LOGIN = r"""
options:
  user:
    description:
      - Log in as this user.
    type: str
  password:
    description:
      - The password of O(user). The program gets it on its standard input.
    type: str
"""
