"""What other tools say about the experiments that tests/e2e/asos.rs replays, check by check.

    python3 tests/peers/asos.py ../shared/data/asos_half.csv.gz

Writes tests/fixtures/asos_peers.json, then docs/statistics/asos.md from it and from tests/fixtures/asos_summary.json.
Needs the packages of requirements.txt beside this file.
"""

import collections
import csv
import gzip
import importlib.metadata
import json
import math
import pathlib
import sys

from gbstats.frequentist.tests import SequentialConfig, SequentialTwoSidedTTest
from gbstats.models.statistics import ProportionStatistic, SampleMeanStatistic
from scipy.stats import ttest_ind_from_stats

import asos_page

ALPHA = 0.05
# In standard errors.
JUMP = 2.5
OUTPUT = pathlib.Path(__file__).parents[1] / "fixtures" / "asos_peers.json"


def load(path):
    """Checks in time order by experiment, variant and metric, without those that lack variances."""
    found = collections.defaultdict(list)
    with gzip.open(path, "rt") as file:
        for row in csv.DictReader(file):
            if row["variance_c"] and row["variance_t"]:
                key = row["experiment_id"], row["variant_id"], int(row["metric_id"])
                names = ("count_c", "mean_c", "variance_c", "count_t", "mean_t", "variance_t")
                found[key].append([round(float(row["time_since_start"]), 6)] + [float(row[name]) for name in names])
    return {key: sorted(checks) for key, checks in sorted(found.items())}


def statistic(metric, n, mean, variance):
    """Sums as gbstats wants them. The file's variance has the divisor n for metric 1 and n - 1 for the others."""
    if metric == 1:
        return ProportionStatistic(n=int(n), sum=round(n * mean))
    return SampleMeanStatistic(n=int(n), sum=n * mean, sum_squares=max(n - 1, 0) * variance + n * mean * mean)


def sequential_p(a, b, tuning, difference="relative"):
    config = SequentialConfig(alpha=ALPHA, sequential_tuning_parameter=tuning, difference_type=difference)
    return float(SequentialTwoSidedTTest(a, b, config).compute_result().p_value)


def t_test_p(metric, check):
    """Welch's test on the absolute difference; 1 where there is nothing to test."""
    _, n_a, mean_a, var_a, n_b, mean_b, var_b = check
    if min(n_a, n_b) < 2 or min(var_a, var_b) <= 0:
        return 1.0
    sample = (lambda n, v: v * n / (n - 1)) if metric == 1 else (lambda n, v: v)
    sd_a, sd_b = math.sqrt(sample(n_a, var_a)), math.sqrt(sample(n_b, var_b))
    return float(ttest_ind_from_stats(mean_a, sd_a, n_a, mean_b, sd_b, n_b, equal_var=False).pvalue)


def path(days, p_values, alpha=ALPHA):
    """What a team sees that looks at every check, and one that looks only at the last."""
    significant = [p <= alpha for p in p_values]
    return {
        "p_end": float("%.9g" % p_values[-1]),
        "is_significant_at_end": significant[-1],
        "first_day": next((day for day, s in zip(days, significant) if s), None),
        "n_times_lost": sum(s and not t for s, t in zip(significant, significant[1:])),
    }


def z_score(check):
    _, n_a, mean_a, var_a, n_b, mean_b, var_b = check
    return (mean_b - mean_a) / math.sqrt(var_a / n_a + var_b / n_b)


def excess(before, after):
    """Sum that treatment gained between two checks beyond what control gained per unit."""
    gained = [after[i] * after[i + 1] - before[i] * before[i + 1] for i in (1, 4)]
    return gained[1] - gained[0] * after[4] / after[1]


def excursions(checks):
    """Checks where z jumps and jumps back within four checks, or jumps too near the end to tell.

    A cumulative sum does not do that: between two checks the z of these experiments moves by a few tenths. Each with
    its first and last day, the excess that made it, and the excess of the check that took it back.
    """
    checks = [c for c in checks if min(c[1], c[4]) >= 100 and min(c[3], c[6]) > 0]
    z = [z_score(c) for c in checks]
    found, i = [], 1
    while i < len(checks):
        jump = z[i] - z[i - 1]
        if abs(jump) > JUMP:
            back = [
                k
                for k in range(i + 1, min(i + 5, len(z)))
                if abs(z[k] - z[k - 1]) > JUMP and (z[k] - z[k - 1]) * jump < 0
            ]
            if back:
                k = back[0]
                sums = [round(excess(checks[i - 1], checks[i])), round(excess(checks[k - 1], checks[k]))]
                found.append({"from": checks[i][0], "to": checks[k - 1][0], "excess": sums[0], "taken_back": sums[1]})
                i = k
            elif i + 4 >= len(z):
                found.append(
                    {
                        "from": checks[i][0],
                        "to": None,
                        "excess": round(excess(checks[i - 1], checks[i])),
                        "taken_back": None,
                    }
                )
        i += 1
    return found


def compare(metric, checks):
    days = [check[0] for check in checks]
    arms = [(statistic(metric, *check[1:4]), statistic(metric, *check[4:7])) for check in checks]
    n_end = checks[-1][1] + checks[-1][4]
    default = [sequential_p(a, b, 5000) for a, b in arms]
    absolute = [sequential_p(a, b, 5000, "absolute") for a, b in arms]
    return {
        "n_units_end": int(n_end),
        "gbstats": path(days, default),
        "gbstats_tuned": path(days, [sequential_p(a, b, n_end) for a, b in arms]),
        "n_absolute_differs": sum((p <= ALPHA) != (q <= ALPHA) for p, q in zip(default, absolute)),
        "t_test": path(days, [t_test_p(metric, check) for check in checks]),
        "excursions": excursions(checks),
    }


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: asos.py asos_half.csv.gz")
    rows = []
    for (experiment, variant, metric), checks in load(sys.argv[1]).items():
        rows.append({"experiment": experiment, "variant": variant, "metric": metric} | compare(metric, checks))
    versions = {name: importlib.metadata.version(name) for name in ("gbstats", "scipy")}
    lines = ",\n".join(json.dumps(row) for row in rows)
    OUTPUT.write_text('{"versions": %s, "comparisons": [\n%s\n]}\n' % (json.dumps(versions), lines))
    asos_page.write()


if __name__ == "__main__":
    main()
