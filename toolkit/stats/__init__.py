"""Statistics: numbers in, NamedTuple out; no tables.

Sums and counts formed in the database go in; an `Estimate` comes out, whose absent parts are None with a reason.
Differences are always 1 minus 0, the second group minus the first.
"""

from toolkit.stats.adjustment import adjusted_difference
from toolkit.stats.boundaries import Boundary, boundary, classic_boundary, studentized
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
from toolkit.stats.caps import Cap, pooled_cap, winsorized
from toolkit.stats.comparisons import Effects, compare
from toolkit.stats.confidence_sequences import (
    TUNE_N,
    always_valid_p,
    always_valid_reach,
    confidence_sequence,
    log_mixture,
    mixture_width,
    uniform_boundary,
)
from toolkit.stats.crossings import Crossings, crossing_probability, drift_for_power, inflation, with_futility
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
from toolkit.stats.heterogeneity import Heterogeneity, against_the_rest, heterogeneity
from toolkit.stats.interactions import Independence, independence, interaction
from toolkit.stats.lifts import relative_lift
from toolkit.stats.losses import brier, log_loss
from toolkit.stats.margins import Equivalence, MarginTest, equivalent, not_inferior
from toolkit.stats.maturity import (
    MaturityCurve,
    MaturityStep,
    MaturityWeights,
    maturity_curve,
    maturity_weights,
    truncated_shares,
)
from toolkit.stats.means import Moments, mean, moments, welch
from toolkit.stats.multiplicity import ADJUSTMENTS, FalseAlarmBand, adjust_p, false_alarm_band, guarded_power
from toolkit.stats.paired import Agreement, McNemar, agreement, mcnemar
from toolkit.stats.posterior import Posterior, normal_posterior, posterior, share_posterior
from toolkit.stats.power import (
    HYPOTHESES,
    POWER_TESTS,
    Outcome,
    PowerDesign,
    Sizing,
    mean_outcome,
    outcome_from_error,
    power_of,
    share_outcome,
)
from toolkit.stats.proportions import difference_of_proportions, proportion
from toolkit.stats.quantile_differences import (
    QuantileSample,
    compare_quantiles,
    fewest_rows,
    share_error,
)
from toolkit.stats.quantiles import quantile, quantile_from_ends, reach_series, woodruff_shares
from toolkit.stats.ratios import difference_of_ratios, from_influence, ratio
from toolkit.stats.recalibration import CELL_WIDTH, POWERS, Recalibration, logit_powers, recalibration
from toolkit.stats.reliability import BRIER_METHOD, ECE_METHOD, BrierParts, brier_parts, debiased_calibration_error
from toolkit.stats.roots import root_of_ratio
from toolkit.stats.sample_ratios import SampleRatio, sample_ratio
from toolkit.stats.sample_sizes import detectable_effect, detectable_margin, units_needed
from toolkit.stats.score_intervals import compare_proportions
from toolkit.stats.sequential_ratios import SequentialSampleRatio, sequential_sample_ratio
from toolkit.stats.spending import RHO, SPENDING, Sides, spent_alpha
from toolkit.stats.trends import Trend, trend
from toolkit.stats.two_samples import TwoSamples, two_samples

__all__ = [
    "ADJUSTMENTS",
    "BRIER_METHOD",
    "CELL_WIDTH",
    "CONFIDENCE",
    "ECE_METHOD",
    "HYPOTHESES",
    "MEDIAN_METHOD",
    "NEAR",
    "POWERS",
    "POWER_TESTS",
    "RATE_METHOD",
    "RHO",
    "SPENDING",
    "TUNE_N",
    "Agreement",
    "BinSums",
    "BinnedAuc",
    "Boundary",
    "BrierDecomposition",
    "BrierParts",
    "Cap",
    "Crossings",
    "Effects",
    "Equivalence",
    "Estimate",
    "FalseAlarmBand",
    "Heterogeneity",
    "Independence",
    "MarginTest",
    "MaturityCurve",
    "MaturityStep",
    "MaturityWeights",
    "McNemar",
    "MixWithin",
    "Moments",
    "Outcome",
    "Posterior",
    "PowerDesign",
    "QuantileSample",
    "Recalibration",
    "SampleRatio",
    "SegmentShift",
    "SequentialSampleRatio",
    "Sides",
    "Sizing",
    "Trend",
    "TwoSamples",
    "adjust_p",
    "adjusted_difference",
    "against_the_rest",
    "agreement",
    "always_valid_p",
    "always_valid_reach",
    "auc",
    "auc_from_placements",
    "bin_sums",
    "binned_auc",
    "boundary",
    "brier",
    "brier_decomposition",
    "brier_parts",
    "calibration_gap",
    "calibration_in_the_large_z",
    "classic_boundary",
    "compare",
    "compare_proportions",
    "compare_quantiles",
    "confidence_sequence",
    "critical_value",
    "crossing_probability",
    "debiased_calibration_error",
    "detectable_effect",
    "detectable_margin",
    "difference",
    "difference_of_proportions",
    "difference_of_ratios",
    "drift_for_power",
    "equivalent",
    "event_rate",
    "expected_calibration_error",
    "false_alarm_band",
    "fewest_rows",
    "from_influence",
    "from_standard_error",
    "guarded_power",
    "heterogeneity",
    "independence",
    "inflation",
    "interaction",
    "lift_at_share",
    "log_loss",
    "log_mixture",
    "logit_powers",
    "maturity_curve",
    "maturity_weights",
    "maximum_calibration_error",
    "mcnemar",
    "mean",
    "mean_outcome",
    "median_duration",
    "mix_within",
    "mixture_width",
    "moments",
    "normal_posterior",
    "not_inferior",
    "outcome_from_error",
    "pooled_cap",
    "posterior",
    "power_of",
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
    "sequential_sample_ratio",
    "share_error",
    "share_outcome",
    "share_posterior",
    "spent_alpha",
    "studentized",
    "trend",
    "truncated_shares",
    "two_samples",
    "two_sided_p",
    "uniform_boundary",
    "units_needed",
    "welch",
    "winsorized",
    "with_futility",
    "woodruff_shares",
]
