"""How fast gbstats is: prints one line of JSON with comparisons per second on one core.

    python3 tests/peers/speed.py --n 1000

Two ways in: the whole pipeline, from a data frame of sums to a data frame of results (sequential, one metric, two
arms), and the bare sequential test object, from sums to p and interval. Each comparison has its own sums; building the
frames and sums is not timed. The best of three rounds counts, so that a busy machine does not make a peer look slow.
"""

import argparse
import importlib.metadata
import json
import platform
import time

import pandas
from gbstats.frequentist.tests import SequentialConfig, SequentialTwoSidedTTest
from gbstats.gbstats import get_var_id_map, process_analysis
from gbstats.models.settings import AnalysisSettingsForStatsEngine, MetricSettingsForStatsEngine
from gbstats.models.statistics import ProportionStatistic

METRIC = MetricSettingsForStatsEngine(id="m", name="m", statistic_type="mean", main_metric_type="binomial")
ANALYSIS = AnalysisSettingsForStatsEngine(
    var_names=["control", "treatment"],
    var_ids=["0", "1"],
    weights=[0.5, 0.5],
    stats_engine="frequentist",
    sequential_testing_enabled=True,
)
ROUNDS = 3


def arms(i):
    """Units and conversions of control and treatment: around 20,000 units and 5 %, different for each i."""
    return (20_000 + i % 997, 1000 + i % 61), (20_000 + i % 991, 1000 + i % 103)


def frame(i):
    rows = [
        {
            "dimension": "All",
            "variation": str(arm),
            "users": n,
            "count": n,
            "main_sum": conversions,
            "main_sum_squares": conversions,
        }
        for arm, (n, conversions) in enumerate(arms(i))
    ]
    return pandas.DataFrame(rows)


def pipeline(frames):
    ids = get_var_id_map(ANALYSIS.var_ids)
    for rows in frames:
        result = process_analysis(rows, ids, METRIC, ANALYSIS)
        assert 0 <= result.at[0, "v1_p_value"] <= 1


def bare(sums):
    config = SequentialConfig()
    for (n_a, x_a), (n_b, x_b) in sums:
        test = SequentialTwoSidedTTest(ProportionStatistic(n=n_a, sum=x_a), ProportionStatistic(n=n_b, sum=x_b), config)
        assert 0 <= test.compute_result().p_value <= 1


def rate(work, items):
    work(items[:20])
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work(items)
        seconds.append(time.perf_counter() - start)
    return round(len(items) / min(seconds), 1)


def main():
    parser = argparse.ArgumentParser(description="Comparisons per second of gbstats on one core.")
    parser.add_argument("--n", type=int, default=1000, help="comparisons per round (default 1000)")
    n = parser.parse_args().n
    if n < 1:
        parser.error("--n must be at least 1")
    result = {
        "peer": "gbstats",
        "version": importlib.metadata.version("gbstats"),
        "python": platform.python_version(),
        "n": n,
        "pipeline_per_second": rate(pipeline, [frame(i) for i in range(n)]),
        "test_object_per_second": rate(bare, [arms(i) for i in range(n)]),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
