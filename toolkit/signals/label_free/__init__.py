"""Performance before labels are there: estimated with what it assumes, or not at all."""

from toolkit.signals.label_free.assumptions import Assumption
from toolkit.signals.label_free.estimate import estimate_errors, estimate_performance
from toolkit.signals.label_free.result import EstimatedQuantity, LabelFree
from toolkit.signals.label_free.trials import Trial

__all__ = ["Assumption", "EstimatedQuantity", "LabelFree", "Trial", "estimate_errors", "estimate_performance"]
