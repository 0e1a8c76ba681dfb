"""Segments: all conjunctions of conditions searched for loss that is new, those listed confirmed on other days."""

from toolkit.signals.segment_search.found import SegmentSearch
from toolkit.signals.segment_search.search import find_segments

__all__ = ["SegmentSearch", "find_segments"]
