"""apt and dpkg: run, watched, and asked what is whose."""
