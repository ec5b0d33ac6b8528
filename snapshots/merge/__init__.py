"""Three-way merges of files, of text, of accounts; and rolling commits back with them."""
