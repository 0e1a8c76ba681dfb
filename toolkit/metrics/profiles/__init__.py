"""Profiles: mergeable counts of columns, on edges that a reference laid down."""

from toolkit.metrics.profiles.coded import CodedDays, write_codes
from toolkit.metrics.profiles.collection import collect_profiles
from toolkit.metrics.profiles.edges import ColumnEdges
from toolkit.metrics.profiles.profile import ColumnCounts, Profile
from toolkit.metrics.profiles.profile_days import ProfileKey, Profiles
from toolkit.metrics.profiles.reference import reference_edges

__all__ = [
    "CodedDays",
    "ColumnCounts",
    "ColumnEdges",
    "Profile",
    "ProfileKey",
    "Profiles",
    "collect_profiles",
    "reference_edges",
    "write_codes",
]
