"""Courses: each metric day by day, with its steps, their dates, and what happened near them."""

from toolkit.signals.courses.course import MetricCourse, Outlier, Step
from toolkit.signals.courses.metric_courses import MetricCourses, metric_courses

__all__ = ["MetricCourse", "MetricCourses", "Outlier", "Step", "metric_courses"]
