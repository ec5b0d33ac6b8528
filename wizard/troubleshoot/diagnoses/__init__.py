"""The diagnoses, a file for each layer."""
