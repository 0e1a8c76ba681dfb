"""Triage: from signals to candidates, and what of them fits a team's capacity."""

from toolkit.triage.candidates import Candidate, Candidates, candidates
from toolkit.triage.capacity import CapacityFit, fit_capacity
from toolkit.triage.ideas import IdeaDefinition, load_ideas
from toolkit.triage.ranges import Range
from toolkit.triage.teams import Effort, TeamDefinition, load_teams

__all__ = [
    "Candidate",
    "Candidates",
    "CapacityFit",
    "Effort",
    "IdeaDefinition",
    "Range",
    "TeamDefinition",
    "candidates",
    "fit_capacity",
    "load_ideas",
    "load_teams",
]
