"""The screens, driven by keys on a machine of their own: a real engine and store below a temporary root."""
