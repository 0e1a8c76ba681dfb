"""Recurring errors: failed requests by what they said, and since when."""
