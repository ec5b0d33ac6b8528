"""Facts are taken here, and nowhere else: what this host is and has."""
