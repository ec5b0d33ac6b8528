"""The howto's own tools: saslauthd in debug mode, a manual login, AUTH without TLS for a while (sections 5.1 and 5.2)."""
