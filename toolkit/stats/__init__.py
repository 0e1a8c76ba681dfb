"""Statistics: numbers in, NamedTuple out; no tables.

Sums and counts formed in the database go in; an `Estimate` comes out, whose absent parts are None with a reason.
Differences are always 1 minus 0, the second group minus the first.
"""

from toolkit.stats.calibration import (
    BinSums,
    BrierDecomposition,
    bin_sums,
    brier_decomposition,
    calibration_gap,
    calibration_in_the_large_z,
    expected_calibration_error,
    maximum_calibration_error,
)
from toolkit.stats.decomposition import MixWithin, SegmentShift, mix_within
from toolkit.stats.discrimination import auc, auc_from_placements
from toolkit.stats.estimate import (
    CONFIDENCE,
    Estimate,
    critical_value,
    difference,
    from_standard_error,
    scaled,
    two_sided_p,
)
from toolkit.stats.lifts import clustered_relative_lift, relative_lift
from toolkit.stats.losses import brier, log_loss
from toolkit.stats.means import Moments, mean, moments, welch
from toolkit.stats.multiplicity import ADJUSTMENTS, adjust_p
from toolkit.stats.proportions import difference_of_proportions, proportion
from toolkit.stats.ratios import clustered_difference, difference_of_ratios, from_influence, ratio
from toolkit.stats.sample_ratios import SampleRatio, sample_ratio

__all__ = [
    "ADJUSTMENTS",
    "CONFIDENCE",
    "BinSums",
    "BrierDecomposition",
    "Estimate",
    "MixWithin",
    "Moments",
    "SampleRatio",
    "SegmentShift",
    "adjust_p",
    "auc",
    "auc_from_placements",
    "bin_sums",
    "brier",
    "brier_decomposition",
    "calibration_gap",
    "calibration_in_the_large_z",
    "clustered_difference",
    "clustered_relative_lift",
    "critical_value",
    "difference",
    "difference_of_proportions",
    "difference_of_ratios",
    "expected_calibration_error",
    "from_influence",
    "from_standard_error",
    "log_loss",
    "maximum_calibration_error",
    "mean",
    "mix_within",
    "moments",
    "proportion",
    "ratio",
    "relative_lift",
    "sample_ratio",
    "scaled",
    "two_sided_p",
    "welch",
]
