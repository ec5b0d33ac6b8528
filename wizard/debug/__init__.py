"""The howto's own tools: saslauthd that talks, a login by hand, AUTH without TLS for a while (sections 5.1 and 5.2)."""
