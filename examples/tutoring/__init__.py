"""A team that wants to know which skills are hard, and trains from the platform's data sets."""
