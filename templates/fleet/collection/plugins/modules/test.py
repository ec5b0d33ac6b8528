# Copyright: msa-wizard contributors
# MIT License (https://opensource.org/licenses/MIT)
"""Logs in on a mail server as a mail client does."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: test
short_description: Log in as a mail client does
version_added: 1.0.0
description:
  - Connects to a mail server, and logs in where O(user) is given. Changes nothing.
  - Delegated to another host it proves that the firewall lets clients in.
  - The server itself remembers a login that was accepted from the server itself.
author:
  - msa-wizard contributors (@msa-wizard)
options:
  host:
    description: The mail server. Without it, the host itself.
    type: str
  port:
    description: The port. 465 uses TLS on connect.
    type: int
    default: 587
  mechanism:
    description: How the login is sent.
    type: str
    choices: [LOGIN, PLAIN]
    default: LOGIN
  accept_certificate:
    description: Accept the certificate of the server by its SHA-256 fingerprint, whoever issued it.
    type: str
  verify:
    description: Fail where this system does not trust the certificate.
    type: bool
    default: false
  login_only:
    description:
      - Log in at once, in one connection, without the checks before it.
      - Sendmail of Debian takes ten connections in ten minutes from one address.
    type: bool
    default: false
attributes:
  check_mode:
    description: Whether the module can say what it would do, and change nothing.
    support: full
  diff_mode:
    description: Whether the module shows what changes.
    support: none
extends_documentation_fragment:
  - msa_wizard.msa.program
  - msa_wizard.msa.program.login
"""

EXAMPLES = r"""
- name: Prove a login from another host
  msa_wizard.msa.test:
    host: "{{ inventory_hostname }}"
    user: alice
    password: "{{ vault_msa_test_password }}"
  delegate_to: client.example.com
"""

RETURN = r"""
document:
  description: What C(msa-wizard test --json) prints.
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
from ansible_collections.msa_wizard.msa.plugins.module_utils.program import LOGIN, PROGRAM, Program


def main():
    """The module."""
    module = AnsibleModule(
        argument_spec={
            **PROGRAM,
            **LOGIN,
            "host": {"type": "str"},
            "port": {"type": "int", "default": 587},
            "mechanism": {"type": "str", "choices": ["LOGIN", "PLAIN"], "default": "LOGIN"},
            "accept_certificate": {"type": "str"},
            "verify": {"type": "bool", "default": False},
            "login_only": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    program = Program(module)
    login, data = program.login()
    words = [f"--port={module.params['port']}", f"--mechanism={module.params['mechanism']}", *login]
    words += [f"--host={module.params['host']}"] if module.params["host"] else []
    words += ["--verify"] if module.params["verify"] else []
    words += ["--login-only"] if module.params["login_only"] else []
    fingerprint = module.params["accept_certificate"]
    words += [f"--accept-certificate={fingerprint}"] if fingerprint else []
    code, document = program.run("test", *words, data=data, may_end=(0, 1))
    if code:
        program.fail(code, document, changed=False)
    module.exit_json(changed=False, msg=document["verdict"], document=document, exit_code=code)


if __name__ == "__main__":
    main()
