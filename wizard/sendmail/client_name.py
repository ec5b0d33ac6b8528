"""The name by which mail clients know this host, which need not be its own."""

from __future__ import annotations

from wizard import certificates
from wizard.certificates.acme import HOOK, name_of
from wizard.model.answer_checks import certifiable
from wizard.model.answers import Certificate
from wizard.model.facts import Facts
from wizard.sendmail.cf_needs import certificate


def client_name(facts: Facts, wanted: Certificate, own: str) -> str:
    """The first name that the settings choose. Else `own`, unless sendmail has an authority's certificate that is not for that:
    then the name that `certificate obtain` or `install` was given, or the only one that it is for."""
    if wanted.names:
        return wanted.names[0]
    entry = facts.files.get(certificate(facts))
    seen = certificates.parsed(entry.content) if entry is not None else None
    if seen is None or seen.self_signed or (own and certificates.covers(seen.names, own)):
        return own
    hook = facts.files.get(HOOK)
    typed = name_of(hook.content.decode("utf-8", "replace")) if hook is not None else ""
    name = typed if certificates.covers(seen.names, typed) else seen.names[0] if len(seen.names) == 1 else ""
    return certifiable(name) or own
