"""How a commit holds files: names, metadata, messages; and what is shown of them."""
