"""The server's certificate as a mail client meets it: whether it leads to an authority that this host knows, its file alone
does not tell."""

from __future__ import annotations

from wizard.errors import HostError, PemError
from wizard.model.step_facts import PairTrial
from wizard.sendmail.cf_needs import MOST, MOST_AUTHORITIES, TlsFiles, sent_from, unsent
from wizard.system.host import Host


def pair_trial(host: Host, named: TlsFiles) -> PairTrial | None:
    """A TLS handshake in memory with the pair that sendmail.cf names; None where there is no certificate to be read. A self-signed
    one leads nowhere, so it is only looked at whether its key fits: a client's authorities take 20 ms to read."""
    if not (named.certificate.startswith("/") and named.key.startswith("/")):
        return None
    from wizard.certificates import parsed, private_key
    from wizard.certificates.handshake import fits, judged
    from wizard.console import clean

    try:
        chain = host.small_file(named.certificate, MOST)[0]
        known = host.small_file(named.authorities, MOST_AUTHORITIES)[0] if named.authorities else b""
    except HostError:
        return None
    own = parsed(chain)
    if own is None:
        return None
    folder = str(host.path(named.authorities_folder)) if named.authorities_folder.startswith("/") else ""
    # A name that Python takes for a host's: whether it is the right one is judged without a handshake.
    name = next((each for each in own.names if each and each[0] not in ".*"), "localhost")
    try:
        key = private_key(host.small_file(named.key, MOST)[0])
        if own.self_signed:
            return PairTrial(unfit=fits(chain, key) or "")
        seen = judged(chain, key, name, clean, authorities=known, folder=folder)
        ways = sent_from(named)[1] if not seen.trusted and unsent(named, chain, known) else ""
    except (PemError, HostError) as error:
        return PairTrial(unfit=str(error))
    return PairTrial(seen.trusted, seen.refusal, seen.refusal_says, seen.chain, unsent=ways)
