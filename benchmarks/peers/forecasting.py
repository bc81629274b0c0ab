"""AutoETS and AutoARIMA at some places of a series, in an environment with statsforecast.

Of a task with a "panel", a list of series and what came, AutoETS alone: a model for each series.

Reads a task as JSON from stdin (values, origins, steps, season, and how many of the last steps are
seen) and writes the scores of each method. Forecasts are normal distributions: their centers, and
deviations by the band of 90 %, whose CRPS has a formula.
"""

import json
import math
import sys
import warnings

import numpy as np
from statsforecast.models import AutoARIMA, AutoETS

#: The longest season that AutoARIMA is told.
LONGEST = 60
#: Half of the bands of 50 and 90 %, in standard deviations.
QUARTER, WIDE = 0.6744897501960817, 1.6448536269514722


def main():
    warnings.filterwarnings("ignore")
    task = json.load(sys.stdin)
    if "panel" in task:
        print(json.dumps([judge_one(*pair, task["season"]) for pair in task["panel"]]))
        return
    values, season = np.array(task["values"]), task["season"]
    # ETS has no seasons longer than 24, as in R; ARIMA takes hours for long ones.
    small = {"max_p": 3, "max_q": 2, "max_P": 1, "max_Q": 1, "approximation": True}
    methods = {
        "AutoETS": lambda: AutoETS(season_length=season if season <= 24 else 1),
        "AutoARIMA": lambda: AutoARIMA(
            season_length=season if season <= LONGEST else 1, **(small if season >= 20 else {})
        ),
    }
    print(json.dumps({name: judge(make, values, task) for name, make in methods.items()}))


def judge(make, values, task):
    scores, half, most = [], [], []
    for origin in task["origins"]:
        past = values[:origin][-task["last"] :]
        score, z = forecast(make(), past, values[origin : origin + task["steps"]])
        scores.append(score)
        half.append(np.abs(z) <= QUARTER)
        most.append(np.abs(z) <= WIDE)
    means = {"crps": scores, "coverage_50": half, "coverage_90": most}
    return {name: float(np.mean(part)) for name, part in means.items()}


def judge_one(past, actual, season):
    score, z = forecast(AutoETS(season_length=season), np.array(past), np.array(actual))
    return {"crps": float(score.mean()), "coverage_90": float(np.mean(np.abs(z) <= WIDE))}


def forecast(model, past, actual):
    """CRPS of each step, and distances from the centers in deviations."""
    found = model.forecast(y=past, h=len(actual), level=[90])
    center = (found["hi-90"] + found["lo-90"]) / 2
    deviation = np.maximum((found["hi-90"] - found["lo-90"]) / (2 * WIDE), 1e-12)
    z = (actual - center) / deviation
    below = np.array([0.5 * (1 + math.erf(v / math.sqrt(2))) for v in z])
    density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    return deviation * (z * (2 * below - 1) + 2 * density - 1 / math.sqrt(math.pi)), z


if __name__ == "__main__":
    main()
