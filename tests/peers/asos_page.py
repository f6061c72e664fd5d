"""Fills the tables of docs/statistics/asos.md from the two committed summaries; needs nothing but Python.

    python3 tests/peers/asos_page.py

Replaces the text between `<!-- begin NAME -->` and `<!-- end NAME -->`, and nothing else.
"""

import collections
import json
import math
import pathlib
import re
import statistics

ROOT = pathlib.Path(__file__).parents[2]
PAGE = ROOT / "docs" / "statistics" / "asos.md"
ALPHA = 0.05
ACTS = ("ship", "kill_harm", "kill_futility")
FOUND = ("ship", "kill_harm")
# Information needed by 100 looks for a power of 0.8, times the squared effect (STATS.md 2.10).
PLAN_CONSTANT = 13.12


def load():
    """One dictionary per comparison: ours, with the peers' fields beside."""
    ours, peers = (
        json.loads((ROOT / "tests" / "fixtures" / f"asos_{name}.json").read_text()) for name in ("summary", "peers")
    )
    rows = []
    for row, other in zip(ours["comparisons"], peers["comparisons"], strict=True):
        assert all(
            row[key] == other[key] for key in ("experiment", "variant", "metric")
        ), "the summaries are of different data"
        rows.append(row | other)
    return rows, ours["sensitivity"], peers["versions"]


def table(head, rows):
    lines = [head, ["---"] * len(head)] + rows
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def day(x):
    return "never" if x is None else "%g" % x


def yes(x):
    return "yes" if x else "no"


def percent(x):
    return "%.2f" % (100 * x)


def p_text(p):
    return "<1e-6" if p < 1e-6 else "%.2g" % p


def z_end(row):
    return row["end"]["effect"] / row["end"]["standard_error"]


def boundary(row, alpha):
    """What |z| must reach at the last check (STATS.md 2.1)."""
    r = (row["tau"] / row["end"]["standard_error"]) ** 2
    return math.sqrt((1 + 1 / r) * (math.log1p(r) + 2 * math.log(1 / alpha)))


def boundary_of_gbstats(row):
    l2 = 2 * math.log(1 / ALPHA)
    r = row["n_units_end"] * (l2 + math.log(1 + l2)) / 5000
    return math.sqrt((1 + 1 / r) * (math.log1p(r) + l2))


def is_found(row):
    return row["verdict"]["decision"] in FOUND


def excursion_at(row, when):
    return any(e["from"] <= when and (e["to"] is None or when <= e["to"]) for e in row["excursions"])


def experiments(rows):
    """The table of metric 1. A test looks for the first four columns."""
    head = [
        "experiment",
        "variant",
        "verdict",
        "day",
        "units then",
        "lift then, % (interval)",
        "last day",
        "units",
        "evidence: first day, end",
        "gbstats: first day, end, lost",
        "tuned to the end: first day, end, lost",
        "t-test: p at the end, first day, lost",
    ]
    lines = []
    for row in (r for r in rows if r["metric"] == 1):
        verdict, end = row["verdict"], row["end"]
        lift = "none"
        if verdict["lift"] is not None:
            ends = ["?" if x is None else percent(x) for x in (verdict["lift_ci"] or [None, None])]
            lift = f"{percent(verdict['lift'])} ({ends[0]} to {ends[1]})"
        peer = [
            f"{day(row[n]['first_day'])}, {yes(row[n]['is_significant_at_end'])}, {row[n]['n_times_lost']}"
            for n in ("gbstats", "gbstats_tuned")
        ]
        crossing = row["crossing"] and row["crossing"]["day"]
        t = row["t_test"]
        lines.append(
            [
                row["experiment"],
                row["variant"],
                verdict["decision"],
                day(verdict["day"]),
                units(verdict),
                lift,
                day(row["last_day"]),
                units(end),
                f"{day(crossing)}, {yes(end['is_significant'])}",
                *peer,
                f"{p_text(t['p_end'])}, {day(t['first_day'])}, {t['n_times_lost']}",
            ]
        )
    return table(head, lines)


def units(at):
    return f"{at['n_control'] + at['n_treatment']:,}"


METRICS = ["metric 1", "metric 2", "metric 3", "metric 4", "all"]


def by_metric(label, measure, rows):
    return [label] + [measure([r for r in rows if r["metric"] == m]) for m in (1, 2, 3, 4)] + [measure(rows)]


def count(test):
    return lambda rows: sum(bool(test(r)) for r in rows)


def totals(rows):
    def lost(name):
        return lambda r: r[name]["first_day"] is not None and not r[name]["is_significant_at_end"]

    def line(label, test):
        return by_metric(label, count(test), rows)

    lines = [by_metric("comparisons", len, rows)]
    for decision in ("ship", "kill_harm", "kill_futility", "iterate_inconclusive", "hold_srm", "hold_data_quality"):
        lines.append(line(f"ours: `{decision}`", lambda r, d=decision: r["verdict"]["decision"] == d))
    lines += [
        line("our evidence ever crosses", lambda r: r["crossing"]),
        line("our interval excludes 0 at the end", lambda r: r["end"]["is_significant"]),
    ]
    for label, name in (("gbstats", "gbstats"), ("gbstats tuned to the end", "gbstats_tuned"), ("t-test", "t_test")):
        lines += [
            line(f"{label}: significant at any check", lambda r, n=name: r[n]["first_day"] is not None),
            line(f"{label}: significant at the end", lambda r, n=name: r[n]["is_significant_at_end"]),
            line(f"{label}: significant at a check, not at the end", lost(name)),
            line(f"{label}: significant at a check, not at the next", lambda r, n=name: r[n]["n_times_lost"] > 0),
        ]
    return table(["", *METRICS], lines)


def timing(rows):
    def share(rows):
        acted = [r for r in rows if r["verdict"]["decision"] in ACTS]
        used = [(r["verdict"]["n_control"] + r["verdict"]["n_treatment"]) / r["n_units_end"] for r in acted]
        return "%.0f %%" % (100 * statistics.median(used))

    def saved(rows):
        days = [r["last_day"] - r["verdict"]["day"] for r in rows if r["verdict"]["decision"] in ACTS]
        return "%g" % statistics.median(days)

    def contradicted(r):
        return is_found(r) and r["decision_one_check_later"] not in (None, r["verdict"]["decision"])

    acted = [
        by_metric(
            "an act before the last check",
            count(lambda r: r["verdict"]["decision"] in ACTS and r["verdict"]["day"] < r["last_day"]),
            rows,
        ),
        by_metric(
            "an act at the last check",
            count(lambda r: r["verdict"]["decision"] in ACTS and r["verdict"]["day"] == r["last_day"]),
            rows,
        ),
        by_metric("no act (inconclusive or held)", count(lambda r: r["verdict"]["decision"] not in ACTS), rows),
        by_metric("median days before the last check, when acted", saved, rows),
        by_metric("median share of the final units, when acted", share, rows),
        by_metric("`ship` or `kill_harm` that the next check does not repeat", count(contradicted), rows),
        by_metric(
            "evidence crosses on an earlier check than gbstats, or only ours", count(lambda r: order(r) < 0), rows
        ),
        by_metric("on the same check", count(lambda r: r["crossing"] and order(r) == 0), rows),
        by_metric("on a later check, or only gbstats", count(lambda r: order(r) > 0), rows),
    ]
    return table(["", *METRICS], acted)


def order(row):
    ours = row["crossing"]["day"] if row["crossing"] else math.inf
    peer = row["gbstats"]["first_day"] if row["gbstats"]["first_day"] is not None else math.inf
    return (ours > peer) - (ours < peer)


def causes(row):
    """Why our verdict is not what a peer says at the end: names of the list in the page, with figures."""
    verdict, z = row["verdict"], abs(z_end(row))
    own, full = boundary(row, ALPHA / row["n_treatments"]), boundary(row, ALPHA)
    found = []
    if is_found(row):
        if excursion_at(row, verdict["day"]):
            return [("faulty reading", f"z jumps on day {day(verdict['day'])} and comes back")]
        then = abs(verdict["effect"] / verdict["standard_error"])
        return [("early act", f"z {then:.2f} on day {day(verdict['day'])}, {z:.2f} at the end")]
    if excursion_at(row, row["last_day"]):
        found.append(("faulty reading", "z jumps just before the data end"))
    if verdict["decision"] == "hold_srm":
        found.append(("mismatch", f"held from day {day(row['srm_block_day'])}"))
    if verdict["decision"] == "kill_futility":
        found.append(("stop rule", f"futile on day {day(verdict['day'])}" + crossing_after(row)))
    if z < own:
        if z >= full:
            found.append(("alpha/J", f"z {z:.2f} is above {full:.2f}, below {own:.2f}"))
        elif row["gbstats"]["is_significant_at_end"]:
            found.append(("tuning", f"z {z:.2f}: ours asks for {own:.2f}, gbstats for {boundary_of_gbstats(row):.2f}"))
        else:
            found.append(("price of looking", f"z {z:.2f}, asked for {own:.2f}; {(own / z) ** 2:.1f} times the units"))
    elif row["t_test"]["is_significant_at_end"] and not row["gbstats"]["is_significant_at_end"]:
        found.append(("tuning", f"z {z:.2f}: ours asks for {own:.2f}, gbstats for {boundary_of_gbstats(row):.2f}"))
    return found


def crossing_after(row):
    crossing = row["crossing"]
    if crossing and crossing["day"] > row["verdict"]["day"]:
        return f", the evidence crosses on day {day(crossing['day'])}"
    return ""


def disagreeing(rows):
    return [
        r
        for r in rows
        if {is_found(r)} != {r["gbstats"]["is_significant_at_end"], r["t_test"]["is_significant_at_end"]}
    ]


def disagreements(rows):
    head = ["metric", "experiment", "variant", "ours", "gbstats at the end", "t-test at the end", "why"]
    lines = []
    for row in sorted(disagreeing(rows), key=lambda r: (r["metric"], r["experiment"], r["variant"])):
        why = causes(row)
        assert why, f"unexplained: {row['experiment']} {row['variant']} metric {row['metric']}"
        lines.append(
            [
                row["metric"],
                row["experiment"],
                row["variant"],
                row["verdict"]["decision"],
                yes(row["gbstats"]["is_significant_at_end"]),
                p_text(row["t_test"]["p_end"]),
                "; ".join(f"**{name}**: {text}" for name, text in why),
            ]
        )
    return table(head, lines)


def cause_totals(rows):
    names = collections.Counter((name, r["metric"]) for r in disagreeing(rows) for name, _ in causes(r))
    kinds = sorted({name for name, _ in names})
    per_metric = {name: [names[name, m] for m in (1, 2, 3, 4)] for name in kinds}
    lines = [[f"**{name}**", *per_metric[name], sum(per_metric[name])] for name in kinds]
    all_rows = by_metric("comparisons that disagree", len, disagreeing(rows))
    return table(["cause (a comparison may have several)", *METRICS], lines + [all_rows])


def traffic(rows):
    head = ["metric", "smallest", "first quarter", "median", "third quarter", "largest", "chosen"]
    lines = []
    for metric in (1, 2, 3, 4):
        of_metric = [r for r in rows if r["metric"] == metric]
        effects = sorted(math.sqrt(PLAN_CONSTANT) * r["end"]["standard_error"] / r["end"]["control"] for r in of_metric)
        quarters = statistics.quantiles(effects, n=4, method="inclusive")
        chosen = of_metric[0]["mde_relative"]
        lines.append([metric] + [percent(x) for x in (effects[0], *quarters, effects[-1], chosen)])
    return table(head, lines)


def sensitivity(totals):
    names = ("ship", "kill_harm", "kill_futility", "iterate_inconclusive", "hold_srm", "hold_data_quality")
    head = ["MDE, %"] + [f"`{name}`" for name in names] + ["evidence ever crosses", "excludes 0 at the end"]
    lines = [
        ["%g" % (100 * t["mde_relative"])]
        + [t["decisions"].get(name, 0) for name in names]
        + [t["n_crossed"], t["n_significant_at_end"]]
        for t in totals
    ]
    return table(head, lines)


def mismatch(rows):
    head = [
        "experiment",
        "variant",
        "warned from day",
        "blocked from day",
        "split at the end, %",
        "ln E at the end",
        "verdict",
        "had the final split been declared",
    ]
    lines = []
    for row in rows:
        if row["metric"] == 1 and row["srm_warn_day"] is not None:
            end, other = row["end"], row["verdict_at_observed_split"]
            split = 100 * end["n_control"] / (end["n_control"] + end["n_treatment"])
            instead = f"{other['decision']}, day {day(other['day'])}" if other else "was not blocked"
            lines.append(
                [
                    row["experiment"],
                    row["variant"],
                    day(row["srm_warn_day"]),
                    day(row["srm_block_day"]),
                    f"{split:.3f} / {100 - split:.3f}",
                    "%.1f" % end["srm_ln_e"],
                    f"{row['verdict']['decision']}, day {day(row['verdict']['day'])}",
                    instead,
                ]
            )
    return table(head, lines)


def data(rows):
    def blocked(code):
        return count(lambda r: code in r["blocked_from_day"])

    lines = [
        by_metric("checks", lambda rows: sum(r["n_checks"] for r in rows), rows),
        by_metric(
            "checks without variances (not evaluated)", lambda rows: sum(r["n_without_variance"] for r in rows), rows
        ),
        by_metric("checks below the gate", lambda rows: sum(r["n_below_gate"] for r in rows), rows),
        by_metric("comparisons whose units shrank (new epoch)", blocked("restated"), rows),
        by_metric("comparisons with an effect-drift alarm", blocked("effect_drift"), rows),
        by_metric(
            "excursions of z that were taken back",
            lambda rows: sum(e["to"] is not None for r in rows for e in r["excursions"]),
            rows,
        ),
        by_metric(
            "jumps of z in the last four checks, not taken back",
            lambda rows: sum(e["to"] is None for r in rows for e in r["excursions"]),
            rows,
        ),
        by_metric(
            "checks where gbstats' relative and absolute test differ",
            lambda rows: sum(r["n_absolute_differs"] for r in rows),
            rows,
        ),
    ]
    return table(["", *METRICS], lines)


def faulty(rows):
    head = [
        "metric",
        "experiment",
        "variant",
        "days",
        "excess of treatment at the jump",
        "at the check that takes it back",
    ]
    lines = [
        [
            r["metric"],
            r["experiment"],
            r["variant"],
            (
                day(e["from"])
                if e["from"] == e["to"]
                else f"{day(e['from'])} to {'the end' if e['to'] is None else day(e['to'])}"
            ),
            f"{e['excess']:,}",
            "none yet" if e["taken_back"] is None else f"{e['taken_back']:,}",
        ]
        for r in sorted(rows, key=lambda r: (r["metric"], r["experiment"], r["variant"]))
        for e in r["excursions"]
    ]
    return table(head, lines)


def growth(rows):
    """How far the level of control moved after tau was frozen."""
    ratios = sorted(r["end"]["control"] / (r["tau"] / r["mde_relative"]) for r in rows if r["metric"] == 1)
    return (
        f"On metric 1 the final level of control is {statistics.median(ratios):.1f} times the frozen one in the median"
        f" ({ratios[0]:.1f} to {ratios[-1]:.1f})."
    )


def headline(rows):
    """The first lines of the page, about metric 1."""
    first = [r for r in rows if r["metric"] == 1]
    n = collections.Counter(r["verdict"]["decision"] for r in first)
    acted = [r for r in first if r["verdict"]["decision"] in ACTS]
    saved = statistics.median(r["last_day"] - r["verdict"]["day"] for r in acted)
    peeked = [r for r in first if r["t_test"]["first_day"] is not None]
    lost = sum(not r["t_test"]["is_significant_at_end"] for r in peeked)
    both = sum(is_found(r) and r["gbstats"]["is_significant_at_end"] for r in first)
    either = sum(is_found(r) or r["gbstats"]["is_significant_at_end"] for r in first)
    at_end = [r for r in first if r["t_test"]["is_significant_at_end"]]
    one_check = [r for r in rows if r["verdict"]["decision"] == "kill_harm" and excursion_at(r, r["verdict"]["day"])]
    return "\n".join(
        [
            f"- Ours acts in {len(acted)} of {len(first)} comparisons: {n['ship']} `ship`, "
            f"{n['kill_harm']} `kill_harm`, {n['kill_futility']} `kill_futility`; "
            f"in the median {saved:g} days before the last check. "
            f"{n['iterate_inconclusive']} end without an answer, {n['hold_srm']} are held for their split.",
            f"- gbstats at the end and our verdicts find the same effects: {both} of {either}.",
            f"- A t-test looked at on every check is significant at some check in {len(peeked)} comparisons; "
            f"{lost} of these are not at the end. That is why an engine that is polled needs always-valid statistics.",
            f"- The t-test at the end finds {len(at_end)} effects, {sum(is_found(r) for r in at_end)} of them with us. "
            "The others are explained below, one by one.",
            f"- On metric 2 readings are faulty: {len(one_check)} of our `kill_harm` there rest on a single check "
            "that the next one takes back. No statistic prevents that.",
        ]
    )


def write():
    rows, sensitive, versions = load()
    text = PAGE.read_text()
    blocks = {
        "versions": f"gbstats {versions['gbstats']} and scipy {versions['scipy']}.",
        "totals": totals(rows),
        "timing": timing(rows),
        "experiments": experiments(rows),
        "causes": cause_totals(rows),
        "disagreements": disagreements(rows),
        "traffic": traffic(rows),
        "sensitivity": sensitivity(sensitive),
        "mismatch": mismatch(rows),
        "data": data(rows),
        "faulty": faulty(rows),
        "growth": growth(rows),
        "headline": headline(rows),
    }
    for name, block in blocks.items():
        text, n = re.subn(
            rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)",
            lambda m: m[1] + block + "\n" + m[2],
            text,
            flags=re.S,
        )
        assert n == 1, f"the page has no place for {name}"
    PAGE.write_text(text)


if __name__ == "__main__":
    write()
