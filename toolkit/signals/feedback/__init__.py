"""User feedback: ratings, categories and words against the reference period."""
