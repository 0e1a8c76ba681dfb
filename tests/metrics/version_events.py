"""Requests of the small workspace that a second version scored beside the first."""

from __future__ import annotations

import numpy as np
import pandas as pd

from conftest import MODEL, make_events
from toolkit.windows import Window

APRIL = Window.of("2013-04-01", "2013-05-01")
TWO = MODEL + MODEL[MODEL.index('  "1":') :].replace('"1"', '"2"')


def beside(*, better: float = 0.0, share: float = 0.5, seed: int = 4) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Events in which version 2 scored a share of the requests beside; `better`: how far toward the label."""
    predictions, outcomes = make_events()
    rng = np.random.default_rng(seed)
    rows = predictions[rng.random(len(predictions)) < share]
    label = rows.merge(outcomes, on="request_id", how="left")["label"].to_numpy()
    noisy = (rows["score"].to_numpy() + rng.normal(0, 0.05, len(rows))).clip(0.01, 0.99)
    score = np.where(np.isnan(label), noisy, (1 - better) * noisy + better * np.nan_to_num(label))
    shadow = rows.assign(version="2", served=False, score=score)
    return pd.concat([predictions, shadow], ignore_index=True), outcomes
