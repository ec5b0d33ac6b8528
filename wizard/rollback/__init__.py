"""Rolling back steps, and recovering from a run that was killed."""
