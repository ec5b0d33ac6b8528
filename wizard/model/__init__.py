"""The nouns: facts, answers, plans, events, claims. No I/O."""
