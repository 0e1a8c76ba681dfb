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
from toolkit.stats.discrimination import BinnedAuc, auc, auc_from_placements, binned_auc
from toolkit.stats.estimate import (
    CONFIDENCE,
    Estimate,
    critical_value,
    difference,
    from_standard_error,
    scaled,
    two_sided_p,
)
from toolkit.stats.events import MEDIAN_METHOD, RATE_METHOD, event_rate, median_duration
from toolkit.stats.gains import NEAR, lift_at_share
from toolkit.stats.lifts import clustered_relative_lift, relative_lift
from toolkit.stats.losses import brier, log_loss
from toolkit.stats.maturity import (
    MaturityCurve,
    MaturityStep,
    MaturityWeights,
    maturity_curve,
    maturity_weights,
    truncated_shares,
)
from toolkit.stats.means import Moments, mean, moments, welch
from toolkit.stats.multiplicity import ADJUSTMENTS, adjust_p
from toolkit.stats.proportions import difference_of_proportions, proportion
from toolkit.stats.quantiles import quantile, quantile_from_ends, reach_series, woodruff_shares
from toolkit.stats.ratios import clustered_difference, difference_of_ratios, from_influence, ratio
from toolkit.stats.recalibration import CELL_WIDTH, POWERS, Recalibration, logit_powers, recalibration
from toolkit.stats.reliability import BRIER_METHOD, ECE_METHOD, BrierParts, brier_parts, debiased_calibration_error
from toolkit.stats.roots import root_of_ratio
from toolkit.stats.sample_ratios import SampleRatio, sample_ratio

__all__ = [
    "ADJUSTMENTS",
    "BRIER_METHOD",
    "CELL_WIDTH",
    "CONFIDENCE",
    "ECE_METHOD",
    "MEDIAN_METHOD",
    "NEAR",
    "POWERS",
    "RATE_METHOD",
    "BinSums",
    "BinnedAuc",
    "BrierDecomposition",
    "BrierParts",
    "Estimate",
    "MaturityCurve",
    "MaturityStep",
    "MaturityWeights",
    "MixWithin",
    "Moments",
    "Recalibration",
    "SampleRatio",
    "SegmentShift",
    "adjust_p",
    "auc",
    "auc_from_placements",
    "bin_sums",
    "binned_auc",
    "brier",
    "brier_decomposition",
    "brier_parts",
    "calibration_gap",
    "calibration_in_the_large_z",
    "clustered_difference",
    "clustered_relative_lift",
    "critical_value",
    "debiased_calibration_error",
    "difference",
    "difference_of_proportions",
    "difference_of_ratios",
    "event_rate",
    "expected_calibration_error",
    "from_influence",
    "from_standard_error",
    "lift_at_share",
    "log_loss",
    "logit_powers",
    "maturity_curve",
    "maturity_weights",
    "maximum_calibration_error",
    "mean",
    "median_duration",
    "mix_within",
    "moments",
    "proportion",
    "quantile",
    "quantile_from_ends",
    "ratio",
    "reach_series",
    "recalibration",
    "relative_lift",
    "root_of_ratio",
    "sample_ratio",
    "scaled",
    "truncated_shares",
    "two_sided_p",
    "welch",
    "woodruff_shares",
]
