"""SMTP as a client speaks it: connection, TLS, login, delivery, and whom to trust."""
