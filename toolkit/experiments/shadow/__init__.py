"""Shadow deployments: every request scored by both versions, compared pair by pair."""

from toolkit.experiments.shadow.agreement import Agreement, decisions_agree
from toolkit.experiments.shadow.checks import check_shadow
from toolkit.experiments.shadow.outlook import BlindSpots, Outlook, list_blind_spots, predict_online
from toolkit.experiments.shadow.pairs import ShadowPairs, measure_shadow
from toolkit.experiments.shadow.verdict import judge_shadow
from toolkit.experiments.shadow.versions import Versions, compare_versions

__all__ = [
    "Agreement",
    "BlindSpots",
    "Outlook",
    "ShadowPairs",
    "Versions",
    "check_shadow",
    "compare_versions",
    "decisions_agree",
    "judge_shadow",
    "list_blind_spots",
    "measure_shadow",
    "predict_online",
]
