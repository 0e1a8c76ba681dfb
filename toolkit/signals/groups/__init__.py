"""Signal groups: signals that are one problem, what they cost, what was there when they began, and how they show."""
