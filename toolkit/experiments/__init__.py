"""Experiments: the plan, its measurement, its health, its effects, and the verdict of its rule.

Each name is imported when it is first used: a command that runs any report asks what it says of an experiment, and
wants none of what makes a readout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.facade import facade

if TYPE_CHECKING:
    from toolkit.experiments.course import Course, effects_over_time
    from toolkit.experiments.design import ExperimentDesign, design_experiment
    from toolkit.experiments.effects import Effect
    from toolkit.experiments.health import Check, Checks, check
    from toolkit.experiments.holdout import Holdout, LongRun, long_run
    from toolkit.experiments.looks import Look, Looks
    from toolkit.experiments.measuring import measure
    from toolkit.experiments.plans import ExperimentPlan, load
    from toolkit.experiments.provenance import Trace, trace
    from toolkit.experiments.readout import Readout, analyze
    from toolkit.experiments.register import STATES, Register, Registered, find_registered, list_experiments
    from toolkit.experiments.rules import DECISIONS
    from toolkit.experiments.segments import SegmentEffects, segment_effects
    from toolkit.experiments.shadow import (
        Agreement,
        BlindSpots,
        Outlook,
        ShadowPairs,
        Versions,
        check_shadow,
        compare_versions,
        decisions_agree,
        judge_shadow,
        list_blind_spots,
        measure_shadow,
        predict_online,
    )
    from toolkit.experiments.shift import Shift, distribution_shift
    from toolkit.experiments.splits import SplitCheck, split_check
    from toolkit.experiments.taken_looks import first_look, load_looks
    from toolkit.experiments.units import Arrivals, Units
    from toolkit.experiments.verdict import Judgement, Verdict, judge
    from toolkit.experiments.watch import Stops, Watch, list_stops, list_watched

_NAMES = {
    "course": ("Course", "effects_over_time"),
    "design": ("ExperimentDesign", "design_experiment"),
    "effects": ("Effect",),
    "health": ("Check", "Checks", "check"),
    "holdout": ("Holdout", "LongRun", "long_run"),
    "looks": ("Look", "Looks"),
    "measuring": ("measure",),
    "plans": ("ExperimentPlan", "load"),
    "provenance": ("Trace", "trace"),
    "readout": ("Readout", "analyze"),
    "register": ("STATES", "Register", "Registered", "find_registered", "list_experiments"),
    "rules": ("DECISIONS",),
    "segments": ("SegmentEffects", "segment_effects"),
    "shadow": (
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
    ),
    "shift": ("Shift", "distribution_shift"),
    "splits": ("SplitCheck", "split_check"),
    "taken_looks": ("first_look", "load_looks"),
    "units": ("Arrivals", "Units"),
    "verdict": ("Judgement", "Verdict", "judge"),
    "watch": ("Stops", "Watch", "list_stops", "list_watched"),
}
_MODULES = {name: f"toolkit.experiments.{module}" for module, names in _NAMES.items() for name in names}

__all__ = [
    "DECISIONS",
    "STATES",
    "Agreement",
    "Arrivals",
    "BlindSpots",
    "Check",
    "Checks",
    "Course",
    "Effect",
    "ExperimentDesign",
    "ExperimentPlan",
    "Holdout",
    "Judgement",
    "LongRun",
    "Look",
    "Looks",
    "Outlook",
    "Readout",
    "Register",
    "Registered",
    "SegmentEffects",
    "ShadowPairs",
    "Shift",
    "SplitCheck",
    "Stops",
    "Trace",
    "Units",
    "Verdict",
    "Versions",
    "Watch",
    "analyze",
    "check",
    "check_shadow",
    "compare_versions",
    "decisions_agree",
    "design_experiment",
    "distribution_shift",
    "effects_over_time",
    "find_registered",
    "first_look",
    "judge",
    "judge_shadow",
    "list_blind_spots",
    "list_experiments",
    "list_stops",
    "list_watched",
    "load",
    "load_looks",
    "long_run",
    "measure",
    "measure_shadow",
    "predict_online",
    "segment_effects",
    "split_check",
    "trace",
]

__getattr__, __dir__ = facade(__name__, _MODULES)
