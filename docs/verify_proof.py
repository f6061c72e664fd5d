#!/usr/bin/env python3
"""Recomputes the result of an experiment from its proof pack, without using any code of Outcome Runtime.

    outcome-runtime stats proof my-experiment -o proof.json
    python3 verify_proof.py proof.json [--log log.jsonl]

The pack contains aggregates: units and sums of every poll, by signal, allocation phase and arm. From them this program derives,
poll by poll, the start gate, the evidence ln E, the confidence sequence, the relative lift with Fieller's interval, the
running p, the sample-ratio check, the guardrails, the futility bound and the decision, and compares each with the pack:
numbers within a relative tolerance of 1e-9 (plus the rounding of double precision if a formula cancels), critical values of a
known end within 0.0001 (they are integrals, and this program integrates in its own way), everything else exactly. It checks the hash of the plan, the digest of every poll's readings, the steps of the engine, and the seal of the pack.

A pack that is completely invented is consistent with itself. `--log` compares it with the exported audit log
(`outcome-runtime audit export`, which `verify_audit_export.py` verifies): then every reading must be the logged one, and none
may be missing. The sentences that give reasons are not recomputed, because their wording may change between versions;
`--log` compares those of the steps.

Only Python's standard library is used. Exit code: 0 agrees, also with the log, 1 differs, 2 cannot be read, 10 agrees with itself and was
not compared with the log (as `audit verify` ends where something was not checked).
"""

import argparse
import hashlib
import json
import math
import re
import sys
from datetime import datetime, timezone
from decimal import Decimal, getcontext
from fractions import Fraction
from statistics import NormalDist

getcontext().prec = 60
EPS = sys.float_info.epsilon
LN_2 = math.log(2)


# ---------------------------------------------------------------------------------------------------------------------------
# Canonical JSON (RFC 8785) and time
# ---------------------------------------------------------------------------------------------------------------------------


def number(value):
    """A number as ECMAScript writes it."""
    if isinstance(value, int) and abs(value) <= 2**53:
        return str(value)
    value = float(value)
    if not math.isfinite(value):
        raise ValueError("not a finite number")
    if value == 0:
        return "0"
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    text = "".join(map(str, digits)).rstrip("0")
    exponent += len(digits) - len(text)
    point = len(text) + exponent  # the value is 0.text * 10^point
    if 0 < point <= 21:
        out = text + "0" * exponent if exponent >= 0 else text[:point] + "." + text[point:]
    elif -6 < point <= 0:
        out = "0." + "0" * -point + text
    else:
        power = point - 1
        out = text[0] + ("." + text[1:] if len(text) > 1 else "") + f"e{'+' if power >= 0 else '-'}{abs(power)}"
    return ("-" if sign else "") + out


def canonical(value):
    if value is None or isinstance(value, (bool, str)):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (int, float)):
        return number(value)
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    keys = sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
    return "{" + ",".join(json.dumps(key, ensure_ascii=False) + ":" + canonical(value[key]) for key in keys) + "}"


def sha256(value):
    return hashlib.sha256(canonical(value).encode("utf-8")).hexdigest()


def unique(pairs):
    """An object; a duplicate key is refused, because programs disagree on what it means."""
    out = dict(pairs)
    if len(out) != len(pairs):
        raise ValueError("a key occurs twice")
    return out


def seconds(text):
    """An instant such as 2026-10-01T08:00:00.25Z, in exact seconds since 1970."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z", text)
    if not found:
        raise ValueError(f"not an instant: {text}")
    whole = datetime.strptime(found[1], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    return int(whole.timestamp()) + Fraction(found[2] or 0)


# ---------------------------------------------------------------------------------------------------------------------------
# The normal mixture (STATS.md "The one formula" and 2.1)
# ---------------------------------------------------------------------------------------------------------------------------


def exponent_one_sided(y):
    """y^2/2 + ln Phi(y); far in the left tail by the asymptotic series of Mills' ratio."""
    if y > -30:
        return y * y / 2 + math.log(math.erfc(-y / math.sqrt(2)) / 2)
    u = 1 / (y * y)
    return math.log1p(-u + 3 * u**2 - 15 * u**3 + 105 * u**4) - math.log(-y * math.sqrt(2 * math.pi))


def ln_e_two_sided(z, r):
    return (z * z * (r / (1 + r)) - math.log1p(r)) / 2


def ln_e_greater(z, r):
    return LN_2 - math.log1p(r) / 2 + exponent_one_sided(z * math.sqrt(r / (1 + r)))


def width_two_sided(r, alpha):
    """Half-width of the confidence sequence in standard errors."""
    return math.sqrt((1 + 1 / r) * (math.log1p(r) - 2 * math.log(alpha)))


def width_one_sided(r, alpha):
    level = math.log1p(r) / 2 - math.log(alpha)
    low, high = 0.0, math.sqrt(max(0.0, 2 * level))
    for _ in range(200):
        y = (low + high) / 2
        if exponent_one_sided(y) < level - LN_2:
            low = y
        else:
            high = y
    return (low + high) / 2 * math.sqrt(1 + 1 / r)


def bound_cut_normal(improvement, variance, alpha, mean, sd):
    """Lower bound from the one-sided mixture N(mean, sd^2) cut at the null (METRICS.md 4.1)."""
    r = sd * sd / variance
    level = -math.log(alpha) + exponent_one_sided(mean / sd) + math.log1p(r) / 2
    low, high = 0.0, math.sqrt(2 * level) + 2
    for _ in range(200):
        y = (low + high) / 2
        if exponent_one_sided(y) < level:
            low = y
        else:
            high = y
    return improvement - ((low + high) / 2 * math.sqrt(1 + r) - mean / sd) / sd * variance


class Score:
    """Scores of runs without an effect that were below every critical value so far; the plan's whole information is 1. Values and
    weights of a midpoint sum."""

    REACH, PER_SD = 8.5, 32

    def __init__(self, at=0.0, values=(0.0,), weights=(1.0,)):
        self.at, self.values, self.weights = at, values, weights

    def beyond(self, bound, at):
        sd = math.sqrt(at - self.at)
        return sum(w * math.erfc((bound - x) / sd / math.sqrt(2)) / 2 for x, w in zip(self.values, self.weights))

    def critical_value(self, at, error):
        """In standard errors: above it with this probability, and at no look before."""
        spread = math.sqrt(at)
        low, high = -spread, 12 * spread
        for _ in range(60):
            bound = (low + high) / 2
            if self.beyond(bound, at) > error:
                low = bound
            else:
                high = bound
        return (low + high) / 2 / spread

    def kept(self, at, z, next_at):
        """Below `z` standard errors at this look; fine enough for an increment to the next one."""
        sd, spread = math.sqrt(at - self.at), math.sqrt(at)
        start, end = -self.REACH * spread, z * spread
        n = math.ceil((end - start) / math.sqrt(min(at - self.at, next_at - at)) * self.PER_SD)
        width, values, weights = (end - start) / n, [], []
        pairs = list(zip(self.values, self.weights))
        step = self.values[1] - self.values[0] if len(self.values) > 1 else None
        for i in range(n):
            x = start + width * (i + 0.5)
            near = pairs
            if step:
                first = math.floor((x - self.REACH * sd - self.values[0]) / step)
                near = pairs[max(0, first) : max(0, math.ceil((x + self.REACH * sd - self.values[0]) / step) + 1)]
            density = sum(w * math.exp(-(((x - v) / sd) ** 2) / 2) for v, w in near) / sd / math.sqrt(2 * math.pi)
            values.append(x)
            weights.append(density * width)
        return Score(at, values, weights)


def budget_share(alpha, part, planned, corrections=0):
    """What one experiment may spend of its outcome's alpha: the planned ones share nine tenths equally, each later one takes
    half of what is left."""
    planned = max(1, planned)
    return alpha * (0.9 / planned if part < planned else 0.1 * 0.5 ** (part - planned + 1)) * 0.5**corrections


def rejects(ln_e, alpha):
    return ln_e >= -math.log(alpha)


def narrowest(alpha):
    """r* = ln(1 + r*) + 2L, where the two-sided boundary is narrowest."""
    low, high = 1e-300, 1e6
    for _ in range(2000):
        r = (low + high) / 2
        if r - math.log1p(r) < -2 * math.log(alpha):
            low = r
        else:
            high = r
    return (low + high) / 2


# ---------------------------------------------------------------------------------------------------------------------------
# One phase of one metric: data contract, moments, gate (STATS.md 2.0, 2.1, 2.3). Sums are exact fractions.
# ---------------------------------------------------------------------------------------------------------------------------


class NoNumbers(Exception):
    """Why a metric has no numbers at this poll: the `status` of the result."""

    def __init__(self, code, **more):
        super().__init__(code)
        self.status = {"code": code, **more}


def invalid(reason):
    return NoNumbers("invalid", reason=reason)


class Moments:
    def __init__(self, n, total, squares):
        if not (math.isfinite(total) and math.isfinite(squares)):
            raise invalid("not_finite")
        if n < 0:
            raise invalid("not_a_count")
        if squares < 0:
            raise invalid("sum_squares_too_small")
        if n == 0 and (total != 0 or squares != 0):
            raise invalid("sum_without_units")
        self.n, self.sum, self.squares = n, Fraction(total), Fraction(squares)
        self.centred = self.squares - self.sum**2 / n if n else Fraction(0)
        if self.centred < Fraction(-1e-9) * self.squares:
            raise invalid("sum_squares_too_small")
        self.centred = max(self.centred, Fraction(0))
        is_whole = self.sum.denominator == 1 and self.squares.denominator == 1 and self.squares < 2**53
        if not is_whole and Fraction(1e-12) * self.squares < self.centred <= Fraction(1e-11) * self.squares:
            raise invalid("digits_lost")

    def mean(self):
        return self.sum / self.n if self.n else Fraction(0)


def variance_of_mean(n, centred, scale):
    """s^2 / n with n - 1 in the denominator; 0 for what is constant but for rounding."""
    if n < 2 or centred <= Fraction(1e-12) * scale:
        return Fraction(0)
    return centred / (n - 1) / n


def outcome_moments(sums):
    if sums["kind"] == "proportion":
        if sums["successes"] > sums["n"]:
            raise invalid("successes_exceed_units")
        return Moments(sums["n"], sums["successes"], sums["successes"])
    if sums["kind"] in ("mean", "cuped"):
        return Moments(sums["n"], sums["sum"], sums["sum_squares"])
    return Moments(sums["n"], sums["num"], sums["num_squares"])


def centred_cross(num, den, cross):
    if not math.isfinite(cross):
        raise invalid("not_finite")
    if num.n == 0:
        if cross != 0:
            raise invalid("sum_without_units")
        return Fraction(0)
    centred = Fraction(cross) - num.sum * den.sum / num.n
    limit = math.sqrt(num.centred) * math.sqrt(den.centred)
    slack = 1e-6 * limit + 1e-9 * math.sqrt(num.squares) * math.sqrt(den.squares)
    if abs(centred) > limit + slack:
        raise invalid("cross_product_too_large")
    return centred


class Contrast:
    """Levels P (treatment) and Q (control) with their sampling variances and covariance."""

    def __init__(self, p, q, var_p, var_q, covariance=Fraction(0)):
        self.p, self.q, self.var_p, self.var_q, self.covariance = p, q, var_p, var_q, covariance

    def effect(self):
        return self.p - self.q

    def variance(self):
        return self.var_p + self.var_q - 2 * self.covariance


def adjusted(arms, covariates, crosses):
    """The contrast with the covariate's part taken from the treatment (CUPED, STATS.md 2.4): the slope is that within the arms."""
    (a, b), (xa, xb), (ca, cb) = arms, covariates, crosses
    spread = xa.centred + xb.centred
    slope = (ca + cb) / spread if spread > Fraction(1e-12) * (xa.squares + xb.squares) else Fraction(0)

    def rest(y, x, cross):
        centred = y.centred - 2 * slope * cross + slope**2 * x.centred
        return variance_of_mean(y.n, centred, y.squares + slope**2 * x.squares)

    if rest(a, xa, ca) + rest(b, xb, cb) <= 0:
        raise NoNumbers("zero_variance")
    return Contrast(
        b.mean() - slope * (xb.mean() - xa.mean()),
        a.mean(),
        rest(b, xb, cb) + slope**2 * variance_of_mean(xa.n, xa.centred, xa.squares),
        variance_of_mean(a.n, a.centred, a.squares),
        slope * ca / (a.n - 1) / a.n,
    )


def levels(control, treatment):
    """The contrast of one phase, before the gate."""
    if control["kind"] != treatment["kind"]:
        raise invalid("arms_differ")
    arms = [outcome_moments(control), outcome_moments(treatment)]
    seconds_ = []
    names = {"ratio": ("den", "den_squares", "num_den"), "cuped": ("cov_sum", "cov_sum_squares", "cross_sum")}.get(control["kind"])
    if names:
        seconds_ = [Moments(arm["n"], arm[names[0]], arm[names[1]]) for arm in (control, treatment)]
    crosses = [
        centred_cross(num, den, sums[names[2]]) for num, den, sums in zip(arms, seconds_, (control, treatment))
    ]
    smaller = min(arm.n for arm in arms)
    if smaller < 2:
        raise NoNumbers("insufficient_sample", gate="units_per_arm", have=smaller, need=100)
    if control["kind"] == "cuped":
        return arms, adjusted(arms, seconds_, crosses)
    if not seconds_:
        q, p = (arm.mean() for arm in arms)
        var_q, var_p = (variance_of_mean(arm.n, arm.centred, arm.squares) for arm in arms)
    else:
        found = []
        for num, den, cross in zip(arms, seconds_, crosses):
            if den.sum == 0:
                raise NoNumbers("zero_denominator")
            ratio = num.sum / den.sum
            centred = num.centred - 2 * ratio * cross + ratio**2 * den.centred
            scale = num.squares + ratio**2 * den.squares
            found.append((ratio, variance_of_mean(num.n, centred, scale) / den.mean() ** 2))
        (q, var_q), (p, var_p) = found
    if var_p + var_q <= 0:
        raise NoNumbers("zero_variance")
    return arms, Contrast(p, q, var_p, var_q)


def gated(control, treatment, signed):
    """The contrast of a phase that passed the start gate: judged on what the smaller arm can expect when pooled. The sums of values that can
    be negative say nothing about that, so that there only units are counted."""
    (a, b), contrast = levels(control, treatment)
    smaller, total = min(a.n, b.n), a.n + b.n

    def need(gate, have, least):
        if have < least:
            raise NoNumbers("insufficient_sample", gate=gate, have=float(have), need=least)

    need("units_per_arm", smaller, 1000 if signed else 100)
    if signed and smaller >= 0.4 * total:
        return contrast
    squares = a.squares + b.squares
    need("effective_units", (a.sum + b.sum) ** 2 / squares * smaller / total if squares else Fraction(0), 25)
    if control["kind"] == "proportion":
        need("failures", (a.n - a.sum + b.n - b.sum) * smaller / total, 25)
    return contrast


def is_signed(plan, signal):
    """Whether the plan tests the values of a signal as ones that can be negative; plans of before did not."""
    return plan.get("knows_signs", False) and (signal.get("contract") or {}).get("is_signed", False)


def combined(phases, signed=False):
    """All phases that passed, weighted by their information 1/V: never by pooling sums. Returns (contrast, units)."""
    status = {"code": "insufficient_sample", "gate": "units_per_arm", "have": 0, "need": 100}
    found, units = [], 0
    for phase in phases:
        try:
            found.append(gated(phase["control"], phase["treatment"], signed))
            units += phase["control"]["n"] + phase["treatment"]["n"]
        except NoNumbers as error:
            if error.status["code"] == "invalid":
                raise
            status = error.status
    if not found:
        code = status.pop("code")
        raise NoNumbers(code, **status)
    total = sum(1 / one.variance() for one in found)
    weights = [1 / one.variance() / total for one in found]
    contrast = Contrast(
        sum(w * one.p for w, one in zip(weights, found)),
        sum(w * one.q for w, one in zip(weights, found)),
        sum(w * w * one.var_p for w, one in zip(weights, found)),
        sum(w * w * one.var_q for w, one in zip(weights, found)),
        sum(w * w * one.covariance for w, one in zip(weights, found)),
    )
    return contrast, units


def exact(fraction):
    return Decimal(fraction.numerator) / Decimal(fraction.denominator)


def fieller(contrast, width):
    """Fieller's interval of the lift, relative to |Q|; and how many of its digits double precision can lose."""
    if contrast.var_p <= 0 or contrast.var_q <= 0:
        return None, 0.0
    p, q, vp, vq, cpq = (exact(x) for x in (contrast.p, contrast.q, contrast.var_p, contrast.var_q, contrast.covariance))
    b2 = Decimal(width) ** 2
    a, b, c = q * q - b2 * vq, p * q - b2 * cpq, p * p - b2 * vp
    if a <= 0:
        return None, 0.0
    root = max(b * b - a * c, Decimal(0)).sqrt()
    ends = [(b - root) / a - 1, (b + root) / a - 1]
    if q < 0:
        ends = [-ends[1], -ends[0]]
    lost = 16 * EPS * float(1 + abs(b / a)) * (1 + float(abs(b) / root) if root else 1.0)
    return {"lower": float(ends[0]), "upper": float(ends[1])}, lost


# ---------------------------------------------------------------------------------------------------------------------------
# Sample-ratio mismatch and rates (STATS.md 2.5, 2.9)
# ---------------------------------------------------------------------------------------------------------------------------


def ln_beta(a, b):
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def srm_of_phase(counts, weights):
    """ln E against the declared weights, mean over two Dirichlet mixtures; and the rounding of ln Gamma."""
    total = sum(weights)
    if any(w < 0 for w in weights) or total <= 0:
        raise ValueError("weights")
    if any(w == 0 and n > 0 for n, w in zip(counts, weights)):
        return None, 0.0
    logs, rounding = [], 0.0
    for k in (100.0, 10_000.0):
        ln_e = math.lgamma(k) - math.lgamma(k + sum(counts))
        for n, w in zip(counts, weights):
            if w > 0:
                theta = w / total
                ln_e += math.lgamma(k * theta + n) - math.lgamma(k * theta) - n * math.log(theta)
        logs.append(ln_e)
        rounding = max(rounding, 32 * EPS * abs(math.lgamma(k + sum(counts))))
    high = max(logs)
    return high + math.log(sum(math.exp(x - high) for x in logs) / 2), rounding


def softplus(t):
    """ln(1 + e^t) without overflow."""
    return max(t, 0.0) + math.log1p(math.exp(-abs(t)))


def border(outside, inside, rejected):
    """Where `rejected` begins to hold on the way from `inside` to `outside`; None when it does not even hold there."""
    if not rejected(outside):
        return None
    for _ in range(300):
        middle = (outside + inside) / 2
        outside, inside = (middle, inside) if rejected(middle) else (outside, middle)
    return (outside + inside) / 2


def rate_sequence(x, n, target, alpha):
    """Jeffreys' beta-binomial mixture of one rate: ln E against the target, and the confidence sequence."""
    failures = n - x
    marginal = ln_beta(x + 0.5, failures + 0.5) - ln_beta(0.5, 0.5)
    ln_e = 0.0 if n == 0 else marginal - x * math.log(target) - failures * math.log1p(-target)

    def rejected(t):
        return rejects(marginal + x * softplus(-t) + failures * softplus(t), alpha)

    def end(outside):
        t = border(outside, math.log((x + 0.5) / (failures + 0.5)), rejected)
        return None if t is None else 1 / (1 + math.exp(-t))

    low, high = end(-700.0), end(700.0)
    return ln_e, (0.0 if low is None else low), (1.0 if high is None else high)


# ---------------------------------------------------------------------------------------------------------------------------
# Guardrails (STATS.md 2.7)
# ---------------------------------------------------------------------------------------------------------------------------


def guardrails_of(plan, poll, scope):
    """What each constraint of the plan asks at this poll: comparisons with control, rates and bare values. Harm is looked for in
    the phases of the safety process, the proof of safety in those that claims rest on."""
    safety_from, claims_from, _, step = scope
    asked = []
    for entry in plan["guardrails"]:
        name, bound = entry["signal"]["name"], entry["bound"]
        phases, level = poll.phases(name), poll.level(name)
        if poll.is_past and not phases and level is None:
            continue
        if "not_worse" in bound:
            rule = bound["not_worse"]
            tested = testable(phases)
            claims = claimable(tested)
            contract = entry["signal"].get("contract")
            judged = claims if claims is not None and contract and not is_safe_so_far(contract) else tested
            asked.append({"name": name, "kind": "compare", "phases": since(judged, safety_from),
                          "step_phases": None if step is None else since(judged, step[0]),
                          "proof_phases": since(tested if claims is None else claims, claims_from),
                          "is_apart": claims is not None, "counts_rare": plan.get("counts_rare", False), "margin": rule["margin"],
                          "signed": is_signed(plan, entry["signal"]),
                          "sign": 1 if rule["direction"] == "decrease" else -1, "must_prove": rule["must_prove"]})
            continue
        contract = entry["signal"].get("contract")
        for side in ("min", "max"):
            limit = bound["limits"][side]
            if limit is None:
                continue
            # A value that can still grow is not below a limit yet.
            waits = side == "min" or not (contract and is_safe_so_far(contract))

            def treated(first):
                arms = [phase["treatment"] for phase in since(phases, first) if phase["treatment"] is not None]
                return [arm["cohort"]["claimed"] if waits and "cohort" in arm else arm for arm in arms]

            arms, of_step = treated(safety_from), [] if step is None else treated(step[0])
            rule = {"name": f"{name} ({side})", "limit": limit, "side": side, "must_prove": False}
            if arms and all(arm["kind"] == "proportion" for arm in arms) and 0 < limit < 1:
                counts = [(sum(arm["successes"] for arm in some), sum(arm["n"] for arm in some)) for some in (arms, of_step)]
                asked.append({**rule, "kind": "rate", "counts": counts[0], "step_counts": counts[1] if of_step else None})
            else:
                bare = arms[-1] if arms else level
                asked.append({**rule, "kind": "value", "value": value_of(bare), "n": bare.get("n") if bare else None,
                              "consecutive": max(1, entry["consecutive"]), **value_rule(plan, entry, phases, poll)})
    return asked


def is_safe_so_far(contract):
    """Whether values can only grow, so that units whose window is not over may be judged for harm (METRICS.md 3.1)."""
    kind = contract["quantity"]["kind"]
    only_grows = kind in ("conversion", "funnel") or (kind != "time_to" and not contract["is_signed"])
    return only_grows and contract["window"]["from"] == 0


def rare_events(rule, phases, breach):
    """Counts of both arms, compared exactly before there are enough of them for the mixture (STATS.md 2.5b); None where they are not rare.
    They accuse and never acquit."""
    arms = [(p["control"], p["treatment"], 100 - p["pct"], p["pct"]) for p in phases]
    if not arms or any(arm["kind"] != "proportion" for p in arms for arm in p[:2]):
        return None
    n = [sum(p[i]["n"] for p in arms) for i in (0, 1)]
    events = [sum(p[i]["successes"] for p in arms) for i in (0, 1)]
    total = sum(events)
    if 0 in n or total > 0.1 * sum(n) or any(w <= 0 for p in arms for w in p[2:]):
        return None
    parts = [(c["successes"], t["successes"], wc / wt) for c, t, wc, wt in arms]

    def mixed(control, treatment, allocation):
        theta = 1 / (1 + allocation)
        logs = [ln_beta(k * (1 - theta) + control, k * theta + treatment) - ln_beta(k * (1 - theta), k * theta) for k in (2.0, 100.0)]
        return max(logs) + math.log(sum(math.exp(x - max(logs)) for x in logs) / 2)

    marginal = sum(mixed(*part) for part in parts)

    def ln_e_at(u):
        return marginal + sum(c * softplus(u - math.log(a)) + t * softplus(math.log(a) - u) for c, t, a in parts)

    def likeliest():
        if len(parts) == 1:
            control, treatment, allocation = parts[0]
            return math.log((treatment + 0.5) / (control + 0.5)) + math.log(allocation)
        wanted, low, high = min(max(events[1], 0.5), max(total - 0.5, 0.5)), -700.0, 700.0
        for _ in range(200):
            middle = (low + high) / 2
            expected = sum((c + t) / (1 + math.exp(min(math.log(a) - middle, 700.0))) for c, t, a in parts)
            low, high = (middle, high) if expected < wanted else (low, middle)
        return (low + high) / 2

    def end(outside, alpha):
        return border(outside, likeliest(), lambda u: rejects(ln_e_at(u), alpha))

    # Where the ratio alone does not decide, half is for it and half for how many events there are to expect.
    margin, half = rule["margin"], breach / 2
    of_ratio, expected = (half / 2, fewest_expected(total, half / 2)) if margin > 0 else (half, total)
    is_more = rule["sign"] > 0
    u = end(-700.0, of_ratio) if is_more else end(700.0, of_ratio)
    # A ratio of 0 is the lowest there is; there is no highest.
    ratio = math.exp(u) if u is not None else 0.0 if is_more else None
    lower = None if ratio is None else rule["sign"] * (ratio - 1) * expected / (n[0] + ratio * n[1])
    breached = lower is not None and lower > margin
    return {"value": rule["sign"] * (events[1] / n[1] - events[0] / n[0]), "lower": lower, "upper": None, "bound": margin,
            "ln_e_breached": ln_e_at(0.0) if breached else 0.0, "deteriorated": lower is not None and lower > 0, "breached": breached,
            "non_inferior": False, "is_exact": True}


def fewest_expected(total, alpha):
    """The fewest events that can be expected where there were so many: a Poisson count mixed over Gamma(1, 1) multiples of its mean."""
    def ln_e(mu):
        return math.lgamma(1 + total) + mu - (1 + total) * math.log1p(mu)
    fewest = border(0.0, float(total), lambda mu: rejects(ln_e(mu), alpha))
    return 0.0 if fewest is None else fewest


def is_counted(rule, status):
    """Whether there are too few events for the mixture, so that they are counted."""
    return rule["counts_rare"] and status["code"] in ("insufficient_sample", "zero_variance")


def few(rule, phases):
    """The phases with too few events for the mixture."""
    found = []
    for phase in phases:
        try:
            combined([phase], rule["signed"])
        except NoNumbers as error:
            if is_counted(rule, error.status):
                found.append(phase)
    return found


def compared(rule, phases, memory, breach, safe):
    """Harm and the proof of safety from the same phases, by the mixture or, where there are too few events, by counting them."""
    try:
        contrast, units = combined(phases, rule["signed"])
    except NoNumbers as error:
        counted = rare_events(rule, phases, breach) if is_counted(rule, error.status) else None
        if counted is None:
            raise
        return counted
    harm, variance = float(rule["sign"] * contrast.effect()), float(contrast.variance())
    se, margin = math.sqrt(variance), rule["margin"]
    # The margin where there is one; else narrowest at 10 000 units, from the variance of the first poll.
    fallback = math.sqrt(narrowest(min(2 * breach, 0.999999) if breach < 0.5 else breach) * variance * units / 10_000)
    tau = memory.get("tau", margin if margin > 0 else fallback)
    # What a phase with many units says does not hide the events of one with few.
    counted = rare_events(rule, few(rule, phases), breach)
    if counted is not None and counted["breached"]:
        return {**counted, "tau": tau}
    r = tau**2 / variance
    ln_worse, ln_breached, ln_safe = (ln_e_greater(x / se, r) for x in (harm, harm - margin, margin - harm))
    return {"value": harm, "lower": harm - se * width_one_sided(r, breach), "upper": harm + se * width_one_sided(r, safe), "bound": margin,
            "ln_e_breached": ln_breached, "deteriorated": rejects(ln_worse, breach), "breached": rejects(ln_breached, breach),
            "non_inferior": rejects(ln_safe, safe), "tau": tau}


def value_rule(plan, entry, phases, poll):
    """What a bare value beyond its limit means: `of` is `None` for a plan of before, in which any row of readings raises the alert."""
    also_pauses = entry.get("also_pause_on_level")
    if also_pauses is None:
        return {"of": None, "counts": True}
    query = entry["signal"].get("query") or {}
    if query.get("by_variant") or query.get("level"):
        is_of_everybody = not query.get("by_variant")
    else:
        is_of_everybody = not phases and poll.level(entry["signal"]["name"]) is not None
    if not is_of_everybody:
        return {"of": "treatment", "counts": not poll.is_off()}
    pauses = also_pauses or plan["design"] != "randomised"
    return {"of": "everybody", "counts": not poll.is_off() and poll.has_full_day(), "pauses": pauses}


def since(phases, first):
    return [phase for phase in phases if phase["phase"] >= first]


def value_of(sums):
    if sums is None:
        return None
    if sums["kind"] == "value":
        return float(sums["value"])
    top, bottom = {"proportion": ("successes", "n"), "mean": ("sum", "n"), "cuped": ("sum", "n"), "ratio": ("num", "den")}[sums["kind"]]
    return sums[top] / sums[bottom] if sums[bottom] else None


def guardrail_result(rule, **fields):
    empty = {"name": rule["name"], "status": {"code": "ok"}, "value": None, "lower": None, "upper": None, "bound": None,
             "ln_e_breached": None, "deteriorated": False, "breached": False, "non_inferior": False,
             "must_prove": rule["must_prove"], "is_alerting": False, "n_consecutive": 0}
    return {**empty, **fields}


def evaluate_guardrail(rule, memory, breach, of_step, safe, new_poll, is_two_ladders):
    """One guardrail at one poll, and a rollout step by itself with `of_step`; `memory` keeps its frozen mixture width and the row of polls
    beyond a limit."""
    result = evaluate_over_phases(rule, memory, breach, safe, new_poll, is_two_ladders)
    if of_step is None or result["status"]["code"] != "ok" or result["breached"]:
        return result
    if rule["kind"] == "compare" and rule["step_phases"] is not None:
        try:
            own = compared(rule, rule["step_phases"], memory, of_step, safe)
        except NoNumbers:
            return result
        own.pop("tau", None)
        if own["breached"]:
            of_all = {key: value for key, value in result.items() if key != "is_exact"}
            return {**of_all, **own, **{key: result[key] for key in ("upper", "non_inferior", "bound")}}
    if rule["kind"] == "rate" and rule["step_counts"] is not None:
        own = rate_result(rule, *rule["step_counts"], of_step, safe)
        if own["breached"]:
            return {**own, "non_inferior": result["non_inferior"]}
    return result


def rate_result(rule, x, n, breach, safe):
    """A rate against its limit."""
    limit = rule["limit"]
    ln_e, *outer = rate_sequence(x, n, limit, breach)
    _, *inner = rate_sequence(x, n, limit, safe)
    if rule["side"] == "max":
        ends = (outer[0], inner[1])
        breached, proven = outer[0] > limit, inner[1] < limit
    else:
        ends = (inner[0], outer[1])
        breached, proven = outer[1] < limit, inner[0] > limit
    return guardrail_result(rule, value=x / n if n else None, lower=ends[0], upper=ends[1], bound=limit,
                            ln_e_breached=ln_e, breached=breached, non_inferior=proven)


def evaluate_over_phases(rule, memory, breach, safe, new_poll, is_two_ladders):
    """The same, over the phases of the safety process."""
    if rule["kind"] == "compare":
        found, status = {}, None
        for what in ("phases", "proof_phases"):
            try:
                found[what] = compared(rule, rule[what], memory, breach, safe)
            except NoNumbers as error:
                status = status or error.status
                if what == "phases" and error.status["code"] == "invalid":
                    return guardrail_result(rule, status=status)
        if not found:
            return guardrail_result(rule, status=status)
        # Both rest on the same units: then one of them is as good as the other.
        is_one = not rule["is_apart"] and rule["phases"] == rule["proof_phases"]
        harm, proof = found.get("phases"), found.get("proof_phases")
        kept = next((x["tau"] for x in (harm, proof) if x is not None and "tau" in x), None)
        if kept is not None:
            memory["tau"] = kept
        if is_one:
            fields = dict(harm)
        elif harm is None:
            # Too little on the step to find harm is no reason to doubt the proof.
            fields = {**proof, "lower": None, "ln_e_breached": 0.0, "deteriorated": False, "breached": False}
        elif proof is None:
            fields = {**harm, "upper": None, "non_inferior": False}
        else:
            fields = {**harm, "upper": proof["upper"], "non_inferior": proof["non_inferior"], "bound": proof["bound"]}
        fields.pop("tau", None)
        return guardrail_result(rule, **fields)
    if rule["kind"] == "rate":
        return rate_result(rule, *rule["counts"], breach, safe)
    row = memory.setdefault("row", 0)
    is_judged = rule["n"] is None or rule["n"] >= 100
    value, shown = rule["value"], {"bound": rule["limit"]}
    if value is None:
        if rule["of"] is None:
            return guardrail_result(rule, status={"code": "invalid", "reason": "not_finite"}, n_consecutive=row)
        new_poll, shown = None, {"status": {"code": "invalid", "reason": "not_finite"}}
    if rule["of"] is not None and not (is_judged and rule["counts"]):
        # Too few units, a part of a day, and a day without the treatment neither accuse nor acquit.
        new_poll = None
    beyond = is_judged and value is not None and (value < rule["limit"] if rule["side"] == "min" else value > rule["limit"])
    if new_poll is not None and not beyond:
        row, memory["counted_at"] = 0, None
    elif new_poll is not None:
        # The windows of readings that count do not overlap, so that no event counts twice.
        last, apart = memory.get("counted_at"), 86_400 if is_two_ladders else 0
        if last is None or new_poll - last >= apart:
            row, memory["counted_at"] = row + 1, new_poll
    memory["row"] = row
    is_long = row >= rule["consecutive"]
    if rule["of"] == "everybody" and not rule["pauses"]:
        # An incident, not evidence about the treatment.
        return guardrail_result(rule, value=value, n_consecutive=row, **shown, **({"is_incident": True} if is_long else {}))
    return guardrail_result(rule, value=value, n_consecutive=row, **shown, is_alerting=is_long)


# ---------------------------------------------------------------------------------------------------------------------------
# From readings to polls
# ---------------------------------------------------------------------------------------------------------------------------


class Poll:
    """What was known at one poll: the readings of a source that is asked carry the instant of the poll; of a source that
    pushes, the newest that had come by then."""

    def __init__(self, at, readings, allocation, has_flag_drift, is_past=False):
        self.at, self.readings, self.allocation, self.has_flag_drift = at, readings, allocation, has_flag_drift
        self.is_past, self.past = is_past, []

    def last_phase(self):
        begun = [p for p in self.allocation.values() if seconds(p["started_at"]) < self.at]
        return max(begun, key=lambda p: p["phase"], default=None)

    def is_off(self):
        """Whether nobody gets the treatment any more."""
        last = self.last_phase()
        return last is not None and last["ended_at"] is not None and seconds(last["ended_at"]) < self.at

    def has_full_day(self):
        """Whether the split in use has been in use for a day."""
        last = self.last_phase()
        if last is None:
            return False
        until = min(seconds(last["ended_at"]), self.at) if last["ended_at"] else self.at
        return until - seconds(last["started_at"]) >= 86_400

    def phases(self, signal):
        out = {}
        for (name, phase, variant), reading in sorted(self.readings.items(), key=lambda item: str(item[0])):
            if name == signal and variant is not None:
                arms = out.setdefault(phase, {"phase": phase, "control": None, "treatment": None})
                arms[variant] = reading["sums"]
        for phase, arms in out.items():
            arms["pct"] = self.allocation[phase]["treatment_pct"]
        return [out[phase] for phase in sorted(out)]

    def level(self, signal):
        found = [r["sums"] for (name, _, variant), r in self.readings.items() if name == signal and variant is None]
        return found[0] if found else None

    def as_of(self, primary):
        """The end of the newest window of the primary signal: it identifies the poll."""
        mine = {key: r for key, r in self.readings.items() if key[0] == primary and key[2] is not None}
        if any(not r["is_pushed"] for r in mine.values()):
            read = {phase: seconds(r["window"]["to"]) for (_, phase, _), r in mine.items()}
            return max(read.get(phase, end) for phase, end in asked_until(self.allocation.values(), self.at).items())
        ends = {}
        for (_, phase, variant), r in mine.items():
            if variant == "treatment" or phase not in ends:
                ends[phase] = seconds(r["window"]["to"])
        return max(ends.values())


def asked_until(allocation, at):
    """Until when a source is asked about each phase at an instant: not about one that had not begun, or that ended as it began."""
    ends = {p["phase"]: min(seconds(p["ended_at"]), at) if p["ended_at"] else at for p in allocation}
    return {p["phase"]: ends[p["phase"]] for p in allocation if seconds(p["started_at"]) < ends[p["phase"]]}


def corrections_of(pack):
    """What humans corrected: when, and what."""
    made = [s for s in pack["steps"] if s["kind"] == "experiment.corrected"]
    return [(seconds(s["at"]), s["payload"]["correction"]) for s in made]


def leaves_out(made, at, reading):
    """Whether a correction leaves out a reading that was stored at this instant."""
    corrected_at, correction = made
    if correction["signal"] != reading["signal"]:
        return False
    if correction["kind"] == "query":
        return at <= corrected_at
    wrong = seconds(correction["measured_at"])
    again = reading["reread_of"] is not None and seconds(reading["reread_of"]) == wrong
    return at == wrong or (again and at <= corrected_at)


def polls_of(pack):
    """The polls of the pack in their order, each with what the sources said at that time about the polls before."""
    allocation = {phase["phase"]: phase for phase in pack["allocation"]}
    rows = [(seconds(s["measured_at"]), r) for s in pack["snapshots"] for r in s["readings"]]
    rows = [(at, r) for at, r in rows if not any(leaves_out(c, at, r) for c in corrections_of(pack))]
    primary = pack["plan"]["signal"]["name"]
    drifts = [seconds(s["at"]) for s in pack["steps"] if s["payload"].get("cause") == "flag_drift"]
    asked = [(at, r) for at, r in rows if not r["is_pushed"] and r["reread_of"] is None]
    pushed = [(at, r) for at, r in rows if r["is_pushed"]]
    times = sorted({at for at, _ in asked})
    if not times:
        latest = (pack["recorded"]["latest"] or {}).get("polled_at")
        times = sorted({at for at, r in pushed if r["signal"] == primary and latest and at <= seconds(latest)})

    def is_taken(r, at):
        """Whether a poll takes what was pushed: of an arm, only where a source would be asked about the phase."""
        phase = r["phase"] or 0
        if r["variant"] is not None:
            return phase in asked_until(allocation.values(), at)
        return phase in allocation and seconds(allocation[phase]["started_at"]) < at

    def known(readings):
        return {(r["signal"], r["phase"] or 0, r["variant"]): r for r in readings}

    def has_drifted(at, instants):
        until = min((t for t in instants if t > at), default=math.inf)
        return any(at <= drift < until for drift in drifts)

    def past(at):
        """The earlier polls: asked again at this instant, or the newest revision of each window that was pushed."""
        again = {}
        for when, r in rows:
            if r["reread_of"] is not None and when == at:
                again.setdefault(seconds(r["reread_of"]), []).append(r)
        ends = sorted((seconds(r["window"]["to"]), when, i) for i, (when, r) in enumerate(pushed) if when <= at)
        instants = times
        if not again and not asked:
            instants = sorted({end for end, _, i in ends if pushed[i][1]["signal"] == primary})
            again = {end: [] for end in instants}
        for of in sorted(again):
            by_then = [pushed[i][1] for end, _, i in ends if end <= of and is_taken(pushed[i][1], of)]
            yield Poll(of, known(by_then + again[of]), allocation, has_drifted(of, instants), is_past=True)

    polls = []
    for at in times:
        by_then = [r for when, r in pushed if when <= at and is_taken(r, at)]
        here = [r for when, r in asked if when == at]
        poll = Poll(at, known(by_then + here), allocation, has_drifted(at, times))
        if testable(poll.phases(primary)):
            poll.past = [earlier for earlier in past(at) if testable(earlier.phases(primary))]
            polls.append(poll)
    return polls


def shrank(earlier, later, is_two_ladders):
    """Whether units of a known phase shrank by more than deletions explain, or the phase is gone."""
    def explained(known, now):
        return are_deletions(known, now) if is_two_ladders else now[0] >= known[0] and now[1] >= known[1]
    return any(phase not in later or not explained(known, later[phase]) for phase, known in earlier.items())


def are_deletions(known, now):
    """At most half a percent of the units, and equally over the arms (METRICS.md 3.3)."""
    lost = [max(0, k - n) for k, n in zip(known, now)]
    n, total = sum(lost), sum(known)
    return n == 0 or (n <= 0.005 * total and equal_p(lost[1], n, known[1] / total) >= 0.001)


def equal_p(x, n, q):
    """Two-sided p of x of n where each comes with probability q: twice the smaller tail."""
    if q <= 0 or q >= 1:
        return 1.0
    if n > 1000:
        sd = math.sqrt(n * q * (1 - q))
        return math.erfc(max(0.0, abs(x - n * q) - 0.5) / (sd * math.sqrt(2)))
    def at(k):
        return math.exp(min(0.0, math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
                            + k * math.log(q) + (n - k) * math.log1p(-q)))
    return min(1.0, 2 * min(sum(map(at, range(x + 1))), sum(map(at, range(x, n + 1)))))


def nobody(like):
    """The same kind of sums over no units."""
    return {key: 0 if key != "kind" else value for key, value in like.items() if key not in ("cohort", "units")}


def claimable(phases):
    """The same phases with the units that are mature and whole (METRICS.md 2.3); None where the query is the user's own, and nobody
    knows which these are."""
    if not any("cohort" in p[arm] for p in phases for arm in ("control", "treatment")):
        return None
    def of(arm):
        return arm["cohort"]["claimed"] if "cohort" in arm else nobody(arm)
    return [{**p, "control": of(p["control"]), "treatment": of(p["treatment"])} for p in phases]


def share_of(phases, key, of_arms):
    """Largest share of the units of a phase for which a cohort counts `key`."""
    def share(p):
        arms = (p["control"], p["treatment"])
        n = sum(arm["n"] for arm in arms)
        return of_arms(arm.get("cohort", {key: 0})[key] for arm in arms) / n if n > 0 else 0.0
    return max((share(p) for p in phases), default=0.0)


def counted(phases):
    """Of each arm, what was counted and how many different units the user's own query says these are (or None)."""
    arms = [arm for p in phases for arm in (p["control"], p["treatment"]) if arm is not None and "n" in arm]
    return [(arm["n"], arm.get("units", {}).get("n_units")) for arm in arms]


def unit_findings(plan, poll):
    """What the user's own queries say about their units, and whether another experiment has the same numbers. Plans of earlier versions
    do not ask. Gives the findings and the share of units that saw both arms."""
    if not plan.get("asks_for_units"):
        return [], 0.0
    phases, health, both = poll.phases(plan["signal"]["name"]), [], 0.0
    guards = [counted(poll.phases(guard["signal"]["name"])) for guard in plan["guardrails"]]
    primary = counted(phases)
    if any(n_units is None for _, n_units in primary):
        health.append(("units_unchecked", "warn"))
    elif phases and any(n_units not in (None, n) for arms in [primary, *guards] for n, n_units in arms):
        health.append(("rows_counted_as_units", "block"))
    for p in phases:
        arms = [arm for arm in (p["control"], p["treatment"]) if arm is not None and "n" in arm]
        n, n_both = sum(arm["n"] for arm in arms), max((arm.get("units", {}).get("n_both") or 0 for arm in arms), default=0)
        both = max(both, n_both / n if n > 0 else 0.0)
        if any(arm.get("units", {}).get("same_as") for arm in arms) and ("numbers_of_another", "block") not in health:
            health.append(("numbers_of_another", "block"))
    return health, both


def capped_of(phases, effect):
    """What the cap of the metric did: the share of units that it cut by arm, and the effect without it and without a covariate
    (METRICS.md 2.2). Phases are weighted by their units."""
    arms = [[p[arm] for p in phases if "cohort" in p[arm]] for arm in ("control", "treatment")]
    if not any("uncapped" in arm["cohort"] for arm in arms[0] + arms[1]):
        return None
    def share(arms):
        n = sum(arm["n"] for arm in arms)
        return sum(arm["cohort"]["n_capped"] for arm in arms) / n if n > 0 else 0.0
    def level(arm):
        cohort = arm.get("cohort", {})
        without = cohort.get("uncapped")
        bottom = without.get("den", cohort["claimed"]["n"]) if without else 0
        return (cohort["claimed"]["n"], without["sum"] / bottom) if bottom else None
    total, weight = 0.0, 0.0
    for p in phases:
        q, t = level(p["control"]), level(p["treatment"])
        if q and t:
            units = q[0] * t[0] / (q[0] + t[0])
            total, weight = total + units * (t[1] - q[1]), weight + units
    without = total / weight if weight > 0 else None
    is_turned = effect is not None and without is not None and effect * without < 0
    return {"control_share": share(arms[0]), "treatment_share": share(arms[1]), "effect": without, "is_turned": is_turned}


def testable(phases):
    """Phases with units in both arms' kinds of sums; an arm without exposures has zero of everything."""
    out = []
    for phase in phases:
        control, treatment = phase["control"], phase["treatment"]
        control, treatment = control or nobody(treatment), treatment or nobody(control)
        if "value" not in (control["kind"], treatment["kind"]):
            out.append({**phase, "control": control, "treatment": treatment})
    return out


# ---------------------------------------------------------------------------------------------------------------------------
# The evaluation of a poll (STATS.md 2.1 to 2.8)
# ---------------------------------------------------------------------------------------------------------------------------


def counts_of(phases):
    return {p["phase"]: (p["control"]["n"], p["treatment"]["n"]) for p in phases}


# Part of a safety budget that is kept for rollout steps: half of it for the first one, half of the rest for the next.
OF_STEPS = 0.2


class Path:
    """Walks the polls from the first to the last and remembers what the statistics remember."""

    def __init__(self, pack, version):
        self.plan, self.method, self.is_two_ladders = pack["plan"], pack["method"], version >= 2
        self.is_by_first_rules = version < 2
        self.allocation = pack["allocation"]
        self.safety_from, self.claims_from, self.step_from, self.epoch_reason = 0, 0, None, None
        self.forget_harm()
        self.worse_harm = None
        self.launched = seconds(pack["experiment"]["launched_at"])
        self.as_of, self.epoch, self.epoch_began, self.counts, self.guards = None, 1, None, {}, {}
        self.rounding = {}
        self.start()

    def start(self):
        """A new epoch: the evidence starts from p = 1."""
        self.max_ln_e, self.low, self.high, self.has_crossed, self.srm_max = 0.0, None, None, False, 0.0
        self.looks, self.score = [], Score()

    def forget_harm(self):
        """The latest looks of the safety test, at the values so far and at those of mature units: of the process that goes on over the
        phases, and of a rollout step by itself."""
        self.harm, self.harm_of_step = [None, None], [None, None]

    def scope(self, poll):
        """The first phase of the safety process, the first that claims rest on, how often a human resumed after a statistical finding, and
        the rollout step that is watched by itself: its first phase and its number. In plans of before a step began the process anew."""
        if not self.is_two_ladders:
            return 0, 0, 0, None
        begun = [p for p in self.allocation if seconds(p["started_at"]) < poll.at]
        shares = self.plan.get("shares_with_steps", False)
        anew = [p["phase"] for p in begun if p["begins"] != "resumed" and not (shares and p["begins"] == "step")]
        steps = [p["phase"] for p in begun if shares and p["begins"] == "step" and p["phase"] > max(anew, default=0)]
        after_mismatch = [p["phase"] for p in begun if p["begins"] == "resumed_after_mismatch"]
        n_restarts = sum(p["begins"] in ("resumed_after_finding", "resumed_after_mismatch") for p in begun)
        step = (max(steps), len(steps)) if steps else None
        return max(anew, default=0), max(after_mismatch, default=0), n_restarts, step

    def replay(self, poll, as_of, counts, is_sampled):
        """The source corrected its past: the evidence becomes that of the earlier polls as it reports them now. Those that
        contradict this poll, or a later one of them, are left out. False when none is left."""
        primary, kept = self.plan["signal"]["name"], []
        for earlier in reversed(poll.past):
            its_as_of, its_counts = math.floor(earlier.as_of(primary)), counts_of(testable(earlier.phases(primary)))
            if its_as_of < as_of and not shrank(its_counts, counts, self.is_two_ladders):
                kept.insert(0, earlier)
                as_of, counts = its_as_of, its_counts
        if kept:
            self.as_of, self.counts = None, {}
            self.forget_harm()
            for rule in (rule for earlier in kept for rule in guardrails_of(self.plan, earlier, self.scope(earlier))):
                # A row of polls beyond a limit is counted again; the mixture's width stays.
                for forgotten in ("row", "counted_at"):
                    self.guards.get(rule["name"], {}).pop(forgotten, None)
            for earlier in kept:
                self.evaluate(earlier, is_sampled, earlier.has_flag_drift)
        return bool(kept)

    def evaluate(self, poll, is_sampled, has_flag_drift):
        plan, method = self.plan, self.method
        rules, sign = plan["hypothesis"]["measurement"], 1 if plan["direction"] == "increase" else -1
        exact_as_of = poll.as_of(plan["signal"]["name"])
        as_of = math.floor(exact_as_of)
        phases = testable(poll.phases(plan["signal"]["name"]))
        is_new, is_late = self.as_of is None or as_of > self.as_of, self.as_of is not None and as_of < self.as_of
        before = dict(self.__dict__, guards={name: dict(memory) for name, memory in self.guards.items()})
        counts = counts_of(phases)
        scope = safety_from, claims_from, n_restarts, step = self.scope(poll)
        if not is_late and shrank(self.counts, counts, self.is_two_ladders):
            self.epoch, self.epoch_began, self.epoch_reason = self.epoch + 1, as_of, "restated"
            looks, score = self.looks, self.score
            self.start()
            if self.replay(poll, as_of, counts, is_sampled):
                is_new = True
            else:
                self.forget_bounds(looks, score)
                self.counts = {}
                self.forget_harm()
        elif not is_late and self.as_of is not None and self.claims_from != claims_from:
            self.epoch, self.epoch_began, self.epoch_reason = self.epoch + 1, as_of, "phases_left_out"
            looks, score = self.looks, self.score
            self.start()
            self.forget_bounds(looks, score)
        if not is_late:
            self.claims_from = claims_from
            if self.step_from != (step and step[0]):
                self.step_from, self.harm_of_step = step and step[0], [None, None]
            if self.safety_from != safety_from:
                self.safety_from = safety_from
                self.forget_harm()
                for memory in self.guards.values():
                    memory["row"], memory["counted_at"] = 0, None
        claims = claimable(phases)
        claimed = since(phases if claims is None else claims, claims_from)

        out = {"status": {"code": "ok"}}
        out.update(dict.fromkeys(("effect", "effect_shrunken", "standard_error", "ci", "lift", "lift_ci", "control_level",
                                  "treatment_level", "ln_e", "futility_upper")))
        contrast = None
        try:
            contrast, _ = combined(claimed, is_signed(plan, plan["signal"]))
        except NoNumbers as error:
            out["status"] = error.status
        if contrast is not None:
            effect, variance = float(contrast.effect()), float(contrast.variance())
            se, r = math.sqrt(variance), method["tau"] ** 2 / variance
            width = width_two_sided(r, method["alpha"])
            out["effect"], out["effect_shrunken"], out["standard_error"] = effect, effect * r / (1 + r), se
            out["control_level"], out["treatment_level"] = float(contrast.q), float(contrast.p)
            out["ln_e"] = ln_e_two_sided(effect / se, r)
            out["ci"] = {"lower": effect - se * width, "upper": effect + se * width}
            if contrast.q != 0:
                out["lift"] = float((contrast.p / contrast.q - 1) * (1 if contrast.q > 0 else -1))
            out["lift_ci"], self.rounding["lift_ci"] = fieller(contrast, width)
            out["futility_upper"] = sign * effect + se * width_one_sided(r, method["futility_alpha"])
        self.rounding["level"] = 16 * EPS * max((abs(out[k] or 0) for k in ("control_level", "treatment_level")))

        self.capped = capped_of(since(phases, claims_from), out["effect"])
        claimed_counts = counts_of(claimed)
        n_control, n_treatment = (sum(n[i] for n in claimed_counts.values()) for i in (0, 1))
        n_units = n_control + n_treatment
        if self.is_two_ladders:
            self.worse_harm = self.look_at_all(phases, claims, scope, as_of, sign, self.is_off(poll))
            out["harm"] = self.worse_harm
        health = []
        if out["status"]["code"] == "invalid":
            health.append(("invalid", "block"))
        if has_flag_drift:
            health.append(("flag_drift", "block"))
        if is_sampled:
            health.append(("sampled", "block"))
        if self.is_two_ladders:
            is_arm_empty = any(has_empty_arm(p) for p in since(phases, safety_from))
        else:
            is_arm_empty = min(n_control, n_treatment) == 0 and max(n_control, n_treatment) >= 100
        if is_arm_empty:
            health.append(("arm_without_exposure", "block"))
        squares = {"proportion": "successes", "mean": "sum_squares", "cuped": "sum_squares", "ratio": "num_squares"}
        arms = [arm for p in phases for arm in (p["control"], p["treatment"])]
        if all(arm[squares[arm["kind"]]] == 0 for arm in arms) and sum(map(sum, counts.values())) >= 200:
            health.append(("zero_events", "warn"))
        of_units, both = unit_findings(plan, poll)
        health += of_units
        if claims is not None:
            both = max(both, share_of(phases, "n_both", sum))
            other = share_of(phases, "n_other", max)
            if other > 0.05:
                health.append(("unknown_variants_often", "block"))
            elif other > 0.005:
                health.append(("unknown_variants", "block"))
        if both > 0.05:
            health.append(("both_arms_often", "block"))
        elif both > 0.01:
            health.append(("both_arms", "warn"))
        if self.epoch_began == as_of:
            health.append((self.epoch_reason, "warn" if self.is_two_ladders else "block"))
        if is_late:
            health.append(("out_of_order", "block"))
        most_counted = {phase: tuple(map(max, now, self.counts.get(phase, now))) for phase, now in counts.items()}
        if self.is_two_ladders and not is_late and most_counted != counts:
            health.append(("units_deleted", "note"))

        srm, rounding = 0.0, 0.0
        for p in since(phases, claims_from):
            one, lost = srm_of_phase(counts[p["phase"]], (100 - p["pct"], p["pct"]))
            rounding += lost
            srm = None if one is None or srm is None else srm + one
        self.rounding["srm"] = rounding
        if self.is_two_ladders:
            self.srm_max = max(self.srm_max, srm or 0.0)
        if not any(severity == "block" for _, severity in health):
            if out["ln_e"] is not None:
                self.max_ln_e = max(self.max_ln_e, out["ln_e"])
                low, high = out["ci"]["lower"], out["ci"]["upper"]
                self.low = low if self.low is None else max(self.low, low)
                self.high = high if self.high is None else min(self.high, high)
                self.has_crossed |= rejects(out["ln_e"], method["alpha"])
            self.srm_max = max(self.srm_max, srm or 0.0)
        if self.low is not None and self.low > self.high:
            health.append(("effect_drift", "block"))
        is_data_ok = not any(severity == "block" for _, severity in health)
        if srm is None:
            out["srm"] = {"status": "traffic_on_zero_weight_arm", "ln_e": None, "ln_p": None, "p": 0.0, "level": "block"}
        else:
            most = max(self.srm_max, srm)
            level = "block" if most >= math.log(1000) else "warn" if most >= math.log(100) else "clean"
            ln_p = -max(0.0, most)
            out["srm"] = {"status": "ok", "ln_e": srm, "ln_p": ln_p, "p": math.exp(ln_p), "level": level}
        if out["srm"]["level"] == "warn":
            health.append(("srm_suspected", "warn"))
        if self.is_two_ladders:
            if out["srm"]["level"] == "block":
                health.append(("srm_proven", "block"))
            health.sort(key=lambda finding: FINDINGS.index(finding[0]))
        else:
            health.sort(key=lambda finding: finding[1] != "block")
        out["health"] = [{"code": code, "severity": severity} for code, severity in health]

        asked = guardrails_of(plan, poll, scope)
        n_claims = sum(rule["kind"] in ("compare", "rate") for rule in asked)
        safe = method["guardrail_alpha"]
        breach = safe / max(1, n_claims) / 2**n_restarts
        of_step = None if step is None else breach * OF_STEPS / 2 ** step[1]
        if plan.get("shares_with_steps", False):
            breach *= 1 - OF_STEPS
        new_poll = as_of if is_new else None
        out["guardrails"] = [
            evaluate_guardrail(rule, self.guards.setdefault(rule["name"], {}), breach, of_step, safe, new_poll, self.is_two_ladders)
            for rule in asked
        ]

        if any(g.get("is_incident") for g in out["guardrails"]):
            is_data_ok = False
            health.append(("incident", "block"))
            health.sort(key=lambda finding: FINDINGS.index(finding[0]))
            out["health"] = [{"code": code, "severity": severity} for code, severity in health]

        ln_p = -max(0.0, self.max_ln_e)
        out["ln_p_running"], out["p_running"], out["epoch"] = ln_p, math.exp(ln_p), self.epoch
        # Ends that have crossed are no interval.
        is_interval = self.low is not None and self.low <= self.high
        out["ci_running"] = {"lower": self.low, "upper": self.high} if is_interval else None
        low, high = (-math.inf, math.inf) if out["ci"] is None else (out["ci"]["lower"], out["ci"]["upper"])
        out["is_significant"] = self.has_crossed and (low > 0 or high < 0)
        good_low, good_high = (low, high) if sign > 0 else (-high, -low)
        days = float(exact_as_of - self.launched) / 86_400
        out["is_min_sample_reached"] = n_units >= rules["min_sample_size"]
        out["min_runtime_days"] = -(-method["min_runtime_days"] // 7) * 7
        out["is_min_runtime_met"] = days >= out["min_runtime_days"]
        is_ripe = out["is_min_runtime_met"] and out["is_min_sample_reached"]
        if out["ci"] is not None:
            is_trusted = is_data_ok and out["srm"]["level"] != "block"
            improvement = sign * out["effect"]
            ship = self.ship(improvement, out["standard_error"] ** 2, good_low, as_of, days, is_trusted and is_ripe, n_units)
            good_low, out["ship"] = ship["lower"], ship
            self.rounding["ship"] = self.rounding["decision_ci"] = integral_error(self.looks) if ship["basis"] == "look" else 0.0
        if "ship" in plan:
            record = {"test": plan["ship"], "mde": abs(rules["minimum_detectable_effect"])}
            out["ship_test"] = {**record, **({"looks": self.looks} if self.looks else {})}
        # A bound stands from one claim look to the next, but not against what the units say today.
        is_success = good_low > rules["success_threshold"]
        if is_success and not self.is_by_first_rules:
            is_success = sign * out["effect"] > rules["success_threshold"]
        out["is_success_threshold_met"] = is_success
        if self.is_two_ladders:
            harm = self.worse_harm
            is_harm = harm is not None and harm["bound"] < rules["kill_threshold"]
            out["decision_ci"] = None
            if out["ci"] is not None and harm is not None and claimed and claimed[0]["phase"] == harm["from_phase"]:
                ends = (good_low, harm["bound"]) if sign > 0 else (-harm["bound"], -good_low)
                out["decision_ci"] = {"lower": ends[0], "upper": ends[1]} if ends[0] <= ends[1] else None
        else:
            is_harm = good_high < rules["kill_threshold"]
        out["is_kill_threshold_exceeded"] = is_harm
        out["n_control"], out["n_treatment"] = n_control, n_treatment
        out["tuning"] = {"tau": method["tau"], "source": "explicit"}

        # The rules of STATS.md 2.8 in their order. An operational alert stops a ship and never delays a kill.
        is_safe = all(g["non_inferior"] or not g["must_prove"] for g in out["guardrails"])
        is_over = days >= rules["duration_days"] or (bool(self.looks) and self.looks[-1]["is_last"] and not is_success)
        mde = abs(rules["minimum_detectable_effect"])
        is_futile = out["futility_upper"] is not None and mde > 0 and out["futility_upper"] < mde
        is_breached = any(g["breached"] for g in out["guardrails"])
        is_alerting = any(g["is_alerting"] for g in out["guardrails"])
        is_mismatched = out["srm"]["level"] == "block"
        claim = "continue"
        if (is_data_ok or not self.is_two_ladders) and is_success and is_safe and is_ripe:
            claim = "ship"
        elif (is_data_ok or not self.is_two_ladders) and is_futile and not is_success and is_ripe:
            claim = "kill_futility"
        elif is_over and is_success and not is_safe and (is_data_ok or not self.is_two_ladders):
            claim = "iterate_guardrail_unproven"
        elif is_over:
            claim = "iterate_inconclusive"
        elif not is_data_ok:
            claim = "hold_data_quality"
        danger = [(is_breached, "kill_guardrail"), (is_harm, "kill_harm"), (is_alerting, "hold_alert")]
        if self.is_two_ladders:
            # Danger first, on whatever data there are.
            danger.insert(2, (is_mismatched, "hold_srm"))
        else:
            danger[:0] = [(not is_data_ok, "hold_data_quality"), (is_mismatched, "hold_srm")]
        decision = next((name for is_found, name in danger if is_found), claim)
        out["verdict"] = {"decision": decision}
        if is_late:
            rounding = self.rounding
            self.__dict__.update(before)
            self.rounding = rounding
        else:
            self.as_of, self.counts = as_of, most_counted if self.is_two_ladders else counts
        return exact_as_of, out

    def ship(self, improvement, variance, two_sided, as_of, days, may_claim, n_units):
        """The lower bound of the improvement that decides on success (STATS.md 2.8, METRICS.md 5)."""
        alpha, test = self.method["alpha"], self.plan.get("ship", {"rule": "two_sided"})
        mde = abs(self.plan["hypothesis"]["measurement"]["minimum_detectable_effect"])
        found = {"alpha": alpha, "as_of": as_of, "n_units": n_units}
        if test["rule"] == "two_sided":
            return {**found, "lower": two_sided, "basis": "two_sided"}
        if test["rule"] == "cut_normal":
            return {**found, "lower": bound_cut_normal(improvement, variance, alpha, mde, 0.35 * mde), "basis": "cut_normal"}
        of_looks = 0.9 * alpha
        self.look(improvement, variance, as_of, days, may_claim, of_looks, test, n_units)
        reserve = bound_cut_normal(improvement, variance, alpha - of_looks, mde, 0.35 * mde)
        last = self.looks[-1] if self.looks else {"bound": None}
        if last["bound"] is not None and last["bound"] >= reserve:
            return {**found, "lower": last["bound"], "basis": "look", "as_of": last["as_of"], "n_units": last["n_units"]}
        return {**found, "lower": reserve, "basis": "reserve"}

    def look(self, improvement, variance, as_of, days, may_claim, alpha, test, n_units):
        """Adds the claim look of this day, if the poll is it: `alpha t^2` is spent at a share t of the information, all of it at the
        end. A day since the last look, or since the first week, on which nobody looked counts as a look that found nothing."""
        last, day = self.looks[-1] if self.looks else None, math.floor(days + 1e-9)
        if not (may_claim and (last is None or (not last["is_last"] and day > last["day"] and as_of > last["as_of"]))):
            return
        fraction = 1 / (variance * test["max_information"])
        is_last = fraction >= 1 or days >= test["days"]
        from_day, before = (last["day"], last["fraction"]) if last else (0, 0.0)
        if fraction - before < 1e-3:
            if is_last and last and last["bound"] is not None:
                self.spend_the_rest(last, alpha)
            return
        looks, score = self.looks, self.score
        about = {"as_of": as_of, "n_units": n_units, "improvement": improvement, "is_last": False, "bound": None}
        first = from_day + 1 if last else -(-self.method["min_runtime_days"] // 7) * 7
        slope, step = (fraction - before) / max(1, day - from_day), max(1, max(0, day - first) // 60)
        for missed in range(first, day, step):
            share = before + slope * (missed - from_day)
            if share < 1:
                self.add({**about, "day": missed}, share, alpha * share**2)
        is_made = self.add({**about, "day": day, "is_last": is_last}, fraction, alpha if is_last else alpha * fraction**2)
        if not is_made:
            self.looks, self.score = looks, score
            return
        made = self.looks[-1]
        self.looks = self.looks[:-1] + [{**made, "bound": improvement - made["boundary"] * math.sqrt(variance)}]

    def add(self, look, fraction, spent):
        """A look after those that were made; False where it adds nothing."""
        last = self.looks[-1] if self.looks else {"fraction": 0.0, "spent": 0.0}
        if fraction - last["fraction"] < 1e-3 or spent - last["spent"] < 1e-12:
            return False
        if self.looks:
            self.score = self.score.kept(last["fraction"], last["boundary"], fraction)
        z = self.score.critical_value(fraction, spent - last["spent"])
        self.looks = self.looks + [{**look, "fraction": fraction, "spent": spent, "boundary": z}]
        return True

    def spend_the_rest(self, last, alpha):
        """The end came and nothing was added since the last look: its score is judged again with all of the error."""
        spent = self.looks[-2]["spent"] if len(self.looks) > 1 else 0.0
        error = (last["improvement"] - last["bound"]) / last["boundary"]
        z = self.score.critical_value(last["fraction"], alpha - spent)
        again = {"boundary": z, "bound": last["improvement"] - z * error, "spent": alpha, "is_last": True}
        self.looks = self.looks[:-1] + [{**last, **again}]

    def forget_bounds(self, looks, score):
        """What was spent stays spent: only a replay begins anew. The bounds rested on other data."""
        self.looks, self.score = [{**look, "bound": None} for look in looks], score

    def is_off(self, poll):
        """Whether nobody got the treatment any more at a poll."""
        begun = [p for p in self.allocation if seconds(p["started_at"]) < poll.at]
        return bool(begun) and begun[-1]["ended_at"] is not None and seconds(begun[-1]["ended_at"]) < poll.at

    def look_at_all(self, phases, claims, scope, as_of, sign, is_off):
        """The worst of the tests of harm: in the process over the phases, and in a rollout step by itself (METRICS.md 3.3)."""
        safety_from, _, n_restarts, step = scope
        budget, shares = self.method["harm_alpha"], self.plan.get("shares_with_steps", False)
        when = (n_restarts, as_of, sign, is_off)
        whole = budget * (1 - OF_STEPS) if shares else budget
        self.harm = self.look_twice(self.harm, phases, claims, safety_from, whole, when)
        if step is not None:
            of_step = budget * OF_STEPS / 2 ** step[1]
            self.harm_of_step = self.look_twice(self.harm_of_step, phases, claims, step[0], of_step, when)
        return min((h for h in self.harm + self.harm_of_step if h is not None), key=lambda h: h["bound"], default=None)

    def look_twice(self, last, phases, claims, first, whole, when):
        """On the values so far, if they can only grow, with .8 of the budget, and on mature units (METRICS.md 3.1). Where nobody knows
        which units are mature there is one look, with all of it."""
        if claims is None:
            return [self.look_for_harm(last[0], since(phases, first), whole, *when), None]
        is_judged_so_far = is_safe_so_far(self.plan["signal"]["contract"])
        so_far, mature = (whole * 0.8, whole * (1 - 0.8)) if is_judged_so_far else (None, whole)
        early = None if so_far is None else self.look_for_harm(last[0], since(phases, first), so_far, *when)
        return [early, self.look_for_harm(last[1], since(claims, first), mature, *when)]

    def look_for_harm(self, last, tested, alpha, n_restarts, as_of, sign, is_off):
        """The one-sided test of harm in some phases; at most one look an hour while the treatment is on."""
        if not is_off and last is not None and 0 < as_of - last["as_of"] < 3600:
            return last
        try:
            contrast, _ = combined(tested, is_signed(self.plan, self.plan["signal"]))
        except NoNumbers:
            return None
        effect, variance = float(contrast.effect()), float(contrast.variance())
        se, r = math.sqrt(variance), self.method["tau"] ** 2 / variance
        alpha = alpha / 2**n_restarts
        threshold = self.plan["hypothesis"]["measurement"]["kill_threshold"]
        counts = counts_of(tested)
        return {
            "as_of": as_of, "from_phase": tested[0]["phase"], "alpha": alpha,
            "n_control": sum(c[0] for c in counts.values()), "n_treatment": sum(c[1] for c in counts.values()),
            "effect": effect, "bound": sign * effect + se * width_one_sided(r, alpha),
            "ln_e": ln_e_greater((threshold - sign * effect) / se, r),
        }


# Findings about the data in the order in which they are listed.
FINDINGS = ["invalid", "stale", "flag_drift", "sampled", "srm_proven", "arm_without_exposure", "out_of_order", "weights_invalid",
            "effect_drift", "incident", "rows_counted_as_units", "numbers_of_another", "both_arms_often", "unknown_variants_often", "unknown_variants",
            "restated", "zero_events", "both_arms", "units_unchecked", "plan_changed", "srm_suspected", "phases_left_out",
            "units_deleted"]


def has_empty_arm(phase):
    """Whether nobody is in an arm in which the other arm and the split let expect twenty units."""
    n_control, n_treatment, pct = phase["control"]["n"], phase["treatment"]["n"], phase["pct"]
    def is_missing(n, weight, other, other_weight):
        return n == 0 and weight > 0 and other * weight >= 20 * other_weight
    return is_missing(n_control, 100 - pct, n_treatment, pct) or is_missing(n_treatment, pct, n_control, 100 - pct)


# ---------------------------------------------------------------------------------------------------------------------------
# Comparing
# ---------------------------------------------------------------------------------------------------------------------------

# Text for people. Its wording may change between versions; the facts behind it are recomputed.
SENTENCES = {"reason", "message", "next"}


def integral_error(looks):
    """How far the bound of the latest look may be from another integration: 0.0001 of its standard error."""
    last = looks[-1]
    return 1e-4 * (last["improvement"] - last["bound"]) / last["boundary"] if last["bound"] is not None else 0.0


class Report:
    def __init__(self):
        self.differences, self.n_numbers = [], 0

    def add(self, text):
        self.differences.append(text)

    def same(self, what, want, got):
        if want != got:
            self.add(f"{what}: {got!r} is recorded, {want!r} is right")

    def compare(self, what, want, got, rounding):
        """`want` was recomputed, `got` is in the pack."""
        if isinstance(want, dict) and isinstance(got, dict):
            for key in sorted(set(want) | set(got) - SENTENCES):
                place = rounding
                if key in ("control_level", "treatment_level") and want.get(key) is None and got.get(key) is None:
                    # Absent or null.
                    continue
                if key == "ci_running" and want[key] is None and isinstance(got.get(key), dict) and got[key]["lower"] > got[key]["upper"]:
                    # Packs of earlier versions hold both ends of an empty intersection.
                    continue
                if key == "ship" and key not in got and want[key]["basis"] == "two_sided":
                    # Packs of earlier versions do not repeat the lower end of `ci`.
                    continue
                if key not in want or key not in got:
                    self.add(f"{what}.{key}: {'is not known' if key not in want else 'is missing'}")
                    continue
                if key == "boundary":
                    place = {"level": 1e-4}
                elif key == "bound" and "boundary" in want:
                    place = {"level": integral_error([want])}
                elif key in rounding:
                    place = {"level": rounding[key]}
                self.compare(f"{what}.{key}", want[key], got[key], place)
        elif isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
            for i, (w, g) in enumerate(zip(want, got)):
                self.compare(f"{what}[{i}]", w, g, rounding)
        elif all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in (want, got)):
            self.n_numbers += 1
            if not abs(got - want) <= 1e-9 * abs(want) + max(1e-13, rounding.get("level", 0.0)):
                self.add(f"{what}: {got!r} is recorded, {want!r} is right")
        elif type(want) is not type(got) or want != got:
            self.add(f"{what}: {got!r} is recorded, {want!r} is right")


def digested(r):
    """A reading as its digest holds it."""
    names = ("signal", "phase", "variant", "window", "sums", "query_hash", "raw_hash")
    return [r[name] for name in names] + ([] if r["reread_of"] is None else [r["reread_of"]])


# What stands in a pack. Anything else would be read by a person and checked by nobody.
KEYS = {
    "": "format version made_at experiment plan plan_hash method allocation snapshots path steps recorded verdict limits hash",
    "experiment": "id slug outcome status launched_at concluded_at",
    "snapshots": "measured_at logged readings",
    "readings": "signal phase variant window sums source query_hash raw_hash is_pushed reread_of",
    "allocation": "phase treatment_pct started_at ended_at begins",
    "path": "polled_at as_of is_sampled has_flag_drift result",
    "steps": "seq at kind hash payload",
}


def check_keys(pack, report):
    """Nothing stands in the pack that is not known here."""
    parts = [("", [pack]), ("experiment", [pack["experiment"]]), *((name, pack[name]) for name in ("snapshots", "allocation", "path", "steps"))]
    parts.append(("readings", [r for snapshot in pack["snapshots"] for r in snapshot["readings"]]))
    for name, found in parts:
        unknown = {key for part in found for key in part} - set(KEYS[name].split())
        for key in sorted(unknown):
            report.add(f"{name or 'the pack'}: `{key}` is not known")


def check_readings(pack, report):
    """The digests of the readings, and windows that fit the allocation."""
    allocation = {phase["phase"]: phase for phase in pack["allocation"]}
    n_unlogged = 0
    times = [seconds(snapshot["measured_at"]) for snapshot in pack["snapshots"]]
    if any(a >= b for a, b in zip(times, times[1:])):
        report.add("the snapshots are not in the order of time")
    for snapshot in pack["snapshots"]:
        at, readings = snapshot["measured_at"], snapshot["readings"]
        if snapshot["logged"] is None:
            n_unlogged += 1
        elif sha256([digested(r) for r in readings]) != snapshot["logged"]["digest"]:
            report.add(f"the readings of {at} are not those whose digest was logged in line {snapshot['logged']['seq']}")
        shown = {}
        for r in readings:
            if r["phase"] is not None and r["reread_of"] is None:
                shown[r["signal"]] = max(shown.get(r["signal"], 0), seconds(r["window"]["to"]))
        for r in readings:
            if r["reread_of"] is not None and (r["is_pushed"] or seconds(r["reread_of"]) >= seconds(at)):
                report.add(f"a reading of `{r['signal']}` of {at} cannot be asked again about {r['reread_of']}")
            if r["phase"] is not None and r["phase"] not in allocation:
                report.add(f"the readings of {at} name phase {r['phase']}, which never was")
            elif r["phase"] is not None and not r["is_pushed"]:
                phase, asked = allocation[r["phase"]], seconds(r["reread_of"] or at)
                end = min(seconds(phase["ended_at"]), asked) if phase["ended_at"] else asked
                start, until = seconds(r["window"]["from"]), seconds(r["window"]["to"])
                # A source is read up to its own clock, which may be behind, but shows one time in all phases.
                is_late = r["reread_of"] is None and until == shown[r["signal"]] and asked - 86_400 <= until < end
                if start != seconds(phase["started_at"]) or (until != end and not is_late):
                    report.add(f"a reading of `{r['signal']}` of {at} is of another window than its phase")
    if n_unlogged:
        report.add(f"{n_unlogged} snapshots have no line in the audit log")


def unstored(pack):
    """Names of guardrails on values of the whole population that were read and not stored: the pack lists them as limits."""
    stored = {r["signal"] for s in pack["snapshots"] for r in s["readings"]}
    names = [g["signal"]["name"] for g in pack["plan"]["guardrails"] if "limits" in g["bound"]]
    return {f"{name} ({side})" for name in names if name not in stored for side in ("min", "max")}


# What is seen without a reading of the primary signal: silence, a flag that was moved, and constraints that speak alone.
WITHOUT_READING = ("stale_signal", "flag_drift", "query_failing", "nobody_exposed", "data_health", "constraint",
                   "iterate_inconclusive")


def check_steps(pack, earlier_results, report):
    """The steps of the engine must follow from the path at that time, by today's rules or by those of version 1: the log does not
    say when a newer program came."""
    corrected_at = max((at for at, _ in corrections_of(pack)), default=-math.inf)
    for step in pack["steps"]:
        if seconds(step["at"]) <= corrected_at:
            # It followed from readings that do not count any more, or is the correction.
            continue
        n_polls = sum(seconds(poll["polled_at"]) <= seconds(step["at"]) for poll in pack["path"])
        what, payload = f"line {step['seq']} ({step['kind']})", step["payload"]
        if n_polls == 0:
            # A signal that stays silent and a flag that was moved are seen without a reading.
            if payload.get("cause") not in WITHOUT_READING:
                report.add(f"{what} came before the first poll")
            continue
        poll = pack["path"][n_polls - 1]
        if pack["version"] >= 2 and seconds(poll["polled_at"]) != seconds(step["at"]):
            # The constraints spoke alone, or nothing could be read: what that led to is not part of the path.
            if payload.get("cause") in ("constraint", "iterate_inconclusive") or step["kind"] == "experiment.killed_by_rule":
                continue
        ways = [poll["result"], earlier_results[n_polls - 1][0]]
        if not any(follows(pack, step, poll, result) for result in ways):
            report.add(f"{what} does not follow from the verdict {poll['result']['verdict']['decision']}")


def follows(pack, step, poll, result):
    """Whether a step of the engine follows from a result of its poll."""
    payload, decision = step["payload"], result["verdict"]["decision"]
    cause, said = payload.get("verdict", payload.get("cause")), payload.get("reason", payload.get("detail"))
    if step["kind"] in ("experiment.analysis_due", "experiment.concluded"):
        if cause == "step_too_small":
            threshold = pack["plan"]["hypothesis"]["measurement"]["success_threshold"]
            return "harm" in result and result["harm"]["bound"] < threshold
        return cause == decision or (cause, decision) == ("end_of_plan", "kill_futility")
    if step["kind"] == "experiment.killed_by_rule" or cause == "constraint":
        is_hidden = any(name in said for name in unstored(pack))
        return is_hidden or decision in ("kill_guardrail", "hold_alert")
    if cause == "arm_without_exposure":
        return any(finding["code"] == "arm_without_exposure" for finding in result["health"])
    if cause == "flag_drift":
        return poll["has_flag_drift"]
    return {"kill_threshold": "kill_harm", "sample_ratio": "hold_srm"}.get(cause, decision) == decision


def grade_of(design, health, version):
    """How strong the evidence is: one ladder, by the design and by the worst finding about the data."""
    if design != "randomised":
        return {"before_after": "C", "none": "D"}[design]
    severities = {finding["severity"] for finding in health}
    if version < 2:
        return "B" if severities else "A"
    return "D" if "block" in severities else "B" if "warn" in severities else "A"


def check_about(what, pack, stored, version, report):
    """The fields next to the engine's own must follow from the plan and from them."""
    plan = pack["plan"]
    report.same(f"{what}.alpha", plan["alpha"], stored.get("alpha"))
    report.same(f"{what}.error_budget", plan.get("error_budget"), stored.get("error_budget"))
    # Units by a map without dates are those of today.
    mapping = (plan["signal"].get("contract") or {}).get("exposures", {}).get("map")
    best = "B" if mapping and not mapping.get("since") else "A"
    report.same(f"{what}.grade", max(best, grade_of(plan["design"], stored["health"], version)), stored.get("grade"))
    ln_e, e_value = stored["ln_e"], stored.get("e_value")
    if (e_value is None) != (ln_e is None or ln_e > 709) or (e_value and abs(math.log(e_value) - ln_e) > 1e-9 * max(1, abs(ln_e))):
        report.add(f"{what}.e_value: {e_value!r} is not the exponential of {ln_e!r}")


def by_first_rules(pack, polls):
    """What version 1 of the rules made of the polls: results that were stored before version 2 came follow from them."""
    path, results = Path(pack, 1), []
    for poll, recorded in zip(polls, pack["path"]):
        _, result = path.evaluate(poll, recorded["is_sampled"], recorded["has_flag_drift"])
        results.append((result, {**path.rounding, "capped": path.capped}))
    return results


def check_recorded(pack, results, earlier_results, report):
    """What is stored with the experiment must be the result of the path at that time, by the rules of that time."""
    at_end = (pack["recorded"]["at_end"] or {}).get("result")
    for name, stored in (("latest", pack["recorded"]["latest"]), ("at_end", at_end)):
        if stored is None:
            continue
        until = [i for i, poll in enumerate(pack["path"]) if seconds(poll["polled_at"]) <= seconds(stored["polled_at"])]
        if not until:
            report.add(f"recorded.{name}: there is no poll of {stored['polled_at']}")
            continue
        is_by_first_rules = "harm" not in stored
        about = {"polled_at", "n_readings", "alpha", "error_budget", "e_value", "grade", "capped"}
        check_about(f"recorded.{name}", pack, stored, 1 if is_by_first_rules else pack["version"], report)
        capped = stored.get("capped")
        stored = {key: value for key, value in stored.items() if key not in about}
        want, rounding = (earlier_results if is_by_first_rules else results)[until[-1]]
        report.compare(f"recorded.{name}.capped", rounding["capped"], capped, {})
        if is_by_first_rules:
            want = {key: value for key, value in want.items() if key not in ("ship", "ship_test")}
        hidden = [g for g in stored["guardrails"] if g["name"] in unstored(pack)]
        if hidden:
            want = {**want, "guardrails": [g for g in want["guardrails"] if g["name"] not in unstored(pack)]}
            stored["guardrails"] = [g for g in stored["guardrails"] if g not in hidden]
        if any(g["is_alerting"] for g in hidden) and stored["verdict"]["decision"] == "hold_alert":
            want, stored = ({k: v for k, v in x.items() if k != "verdict"} for x in (want, stored))
            report.compare(f"recorded.{name}", want, stored, rounding)
            continue
        report.compare(f"recorded.{name}", want, stored, rounding)
        if is_by_first_rules and pack["version"] >= 2:
            continue
        verdicts = (pack["path"][until[-1]]["result"]["verdict"], stored["verdict"])
        report.same(f"recorded.{name}.verdict", *({k: v for k, v in x.items() if k not in SENTENCES} for x in verdicts))


def is_without_reading(pack, at):
    """Whether nothing of the primary signal was read at an instant: the constraints spoke alone."""
    name = pack["plan"]["signal"]["name"]
    of_poll = [r for s in pack["snapshots"] if seconds(s["measured_at"]) == at for r in s["readings"]]
    return not any(r["signal"] == name and not r["is_pushed"] and r["reread_of"] is None for r in of_poll) and all(
        r["is_pushed"] is False for r in of_poll)


def check_said(pack, report):
    """What each poll said at its time, as the log holds it, is what the pack says of it: which experiment, what was recommended and why,
    and what was found about the data."""
    logged = {seconds(s["measured_at"]): s["logged"] for s in pack["snapshots"] if s["logged"] and "said" in s["logged"]}
    # What a human corrected is judged anew, and readings that do not count any more are no polls.
    corrected_at = max((at for at, _ in corrections_of(pack)), default=-math.inf)
    for i, poll in enumerate(pack["path"]):
        line = logged.get(seconds(poll["polled_at"]))
        if line is None:
            continue
        said, result, what = line["said"], poll["result"], f"path[{i}] ({poll['polled_at']})"
        report.same(f"{what}: the experiment in line {line['seq']}", said["experiment"], pack["experiment"]["slug"])
        if "decision" not in said:
            continue
        if said["decision"] != result["verdict"]["decision"]:
            if seconds(poll["polled_at"]) > corrected_at:
                report.same(f"{what}: the recommendation in line {line['seq']}", said["decision"], result["verdict"]["decision"])
            continue
        if seconds(poll["polled_at"]) > corrected_at:
            codes = sorted(finding["code"] for finding in result["health"])
            report.same(f"{what}: the findings in line {line['seq']}", sorted(said.get("health", [])), codes)
        report.same(f"{what}: the reason in line {line['seq']}", said["reason"], result["verdict"]["reason"])
    at_end = (pack["recorded"]["at_end"] or {}).get("result")
    for name, stored in (("latest", pack["recorded"]["latest"]), ("at_end", at_end)):
        line = logged.get(seconds(stored["polled_at"])) if stored and seconds(stored["polled_at"]) > corrected_at else None
        if line and line["said"].get("decision") == stored["verdict"]["decision"]:
            report.same(f"recorded.{name}: the reason in line {line['seq']}", line["said"]["reason"], stored["verdict"]["reason"])
    # What was judged is a poll of the path, and not one that a source pushed.
    polled = {seconds(poll["polled_at"]) for poll in pack["path"]}
    for at, line in logged.items():
        if at > corrected_at and "decision" in line["said"] and at not in polled and not is_without_reading(pack, at):
            report.add(f"the poll of line {line['seq']} is not in the path")


# Where each step leads; a resume leads back, and a correction nowhere.
STATUS_AFTER = {
    "proposed": "awaiting_portfolio_gate", "portfolio_approved": "building", "portfolio_rejected": "killed",
    "portfolio_superseded": "killed", "reported_built": "awaiting_launch_gate", "reported_failed": "failed_build",
    "retried": "building", "launch_approved": "running", "launch_reworked": "building", "launch_rejected": "killed",
    "launch_voided": "building", "sample_reached": "measuring", "auto_paused": "paused", "paused_by_hand": "paused",
    "analysis_due": "awaiting_analysis_gate", "concluded": "awaiting_analysis_gate", "extended": "measuring", "scaled": "scaling",
    "ship_proposed": "awaiting_ship_gate", "iterated": "killed", "killed": "killed", "step_measured": "awaiting_scale_gate",
    "last_step_measured": "awaiting_ship_gate", "scale_approved": "scaling", "scale_rejected": "awaiting_analysis_gate",
    "ship_approved": "shipped", "ship_rejected": "awaiting_analysis_gate", "killed_by_hand": "killed", "killed_by_rule": "killed",
}


def status_of(entries):
    """Where the steps of the log lead to."""
    status, before_pause, has_scaled = None, None, False
    for _, entry in sorted(entries.items()):
        step = entry["kind"].removeprefix("experiment.")
        if step in ("auto_paused", "paused_by_hand") and status != "paused":
            before_pause = status
        if step == "resumed":
            waited = (before_pause or "").startswith("awaiting")
            status = ("scaling" if has_scaled else "measuring") if waited else before_pause
        elif step in ("rejudged", "corrected") and (status or "").startswith("awaiting"):
            status = "awaiting_analysis_gate"
        else:
            status = STATUS_AFTER.get(step, status)
        has_scaled = has_scaled or step in ("scaled", "scale_approved")
    return status


def check_log(pack, lines, report):
    """Every reading of the pack is logged, and every logged reading is in the pack."""
    entries = {}
    for line in filter(str.strip, lines):
        entry = json.loads(line, object_pairs_hook=unique)
        # What opens the names of members, after a log that was exported with it.
        if set(entry) == {"opening"}:
            continue
        if entry["subject"]["id"] == pack["experiment"]["id"]:
            if sha256({key: value for key, value in entry.items() if key not in ("hash", "writer_signature")}) != entry["hash"]:
                report.add(f"line {entry['seq']} of the log was changed")
            entries[entry["seq"]] = entry
    logged = {s["logged"]["seq"]: s["logged"] for s in pack["snapshots"] if s["logged"]}
    n_claims = sum(s["logged"] is not None for s in pack["snapshots"])
    if n_claims != len(logged):
        report.add("two snapshots claim the same line of the log")
    for snapshot in pack["snapshots"]:
        claim = snapshot["logged"]
        if claim is None:
            continue
        seq, entry = claim["seq"], entries.get(claim["seq"])
        if entry is not None and seconds(entry["at"]) != seconds(snapshot["measured_at"]):
            report.add(f"line {seq} of the log is of another instant than its snapshot")
        if entry is None or (entry["hash"], entry["payload"].get("digest")) != (claim["hash"], claim["digest"]):
            report.add(f"line {seq} of the log does not hold the digest that the pack claims")
        elif entry["payload"].get("said") != claim.get("said"):
            report.add(f"line {seq} of the log says something else of its poll than the pack")
    # What came at the same instant later is logged again together with what was there: the last line counts.
    measured = {e["payload"]["key"]: seq for seq, e in sorted(entries.items()) if e["kind"] == "experiment.measured"}
    for seq in measured.values():
        if seq not in logged:
            report.add(f"the readings of line {seq} of the log are missing in the pack")
    for step in pack["steps"]:
        entry = entries.get(step["seq"])
        if entry is None or any(entry[key] != step[key] for key in ("hash", "at", "kind", "payload")):
            report.add(f"line {step['seq']} of the log is not the step that the pack claims")
    shown = {step["seq"] for step in pack["steps"]}
    made = seconds(pack["made_at"])
    kinds = ("analysis_due", "concluded", "auto_paused", "killed_by_rule", "corrected")
    for seq, entry in entries.items():
        if entry["kind"] in [f"experiment.{kind}" for kind in kinds] and seq not in shown and seconds(entry["at"]) <= made:
            report.add(f"the step of line {seq} of the log ({entry['kind']}) is missing in the pack")
    until = {seq: entry for seq, entry in entries.items() if seconds(entry["at"]) <= made}
    report.same("experiment.status", status_of(until), pack["experiment"]["status"])
    concluded = pack["experiment"]["concluded_at"]
    if concluded is not None and not any(seconds(entry["at"]) == seconds(concluded) for entry in until.values()):
        report.add("no line of the log is of the instant at which the experiment is said to have ended")
    plans = ("experiment.reported_built", "experiment.corrected")
    approved = [e["payload"].get("plan_hash") for _, e in sorted(entries.items()) if e["kind"] in plans]
    if not approved or approved[-1] != pack["plan_hash"]:
        report.add("the log names another plan")


def check_known_end(plan, report):
    """The information of a known end must be able to have power 0.8: more than one look at a fixed end would need, and not a third
    more. The plan is signed with it; the constant itself is an integral that is not repeated here."""
    test = plan.get("ship", {"rule": "two_sided"})
    if test["rule"] != "known_end":
        return
    rules, alpha = plan["hypothesis"]["measurement"], plan["alpha"] * 2.0 ** (plan.get("error_budget") or {}).get("corrections", 0)
    quantile = NormalDist().inv_cdf
    fixed = (quantile(1 - alpha) + quantile(0.8)) ** 2 / rules["minimum_detectable_effect"] ** 2
    if not fixed < test["max_information"] < 1.35 * fixed:
        report.add(f"plan.ship.max_information: {test['max_information']!r} does not fit the plan's effect and alpha")
    report.same("plan.ship.days", rules["duration_days"], test["days"])


def verify(pack, report):
    if pack["format"] != "outcome-runtime proof" or pack["version"] not in (1, 2):
        raise ValueError(f"not a proof pack of version 1 or 2: {pack['format']} {pack['version']}")
    check_keys(pack, report)
    report.same("hash", sha256({key: value for key, value in pack.items() if key != "hash"}), pack["hash"])
    report.same("plan_hash", sha256(pack["plan"]), pack["plan_hash"])
    fixed = {"alpha": pack["plan"]["alpha"], "tau": pack["plan"]["tau"], "guardrail_alpha": 0.05, "futility_alpha": 0.1,
             "min_runtime_days": 7}
    if pack["version"] >= 2:
        fixed["harm_alpha"] = 0.025
    report.same("method", fixed, pack["method"])
    check_known_end(pack["plan"], report)
    budget = pack["plan"].get("error_budget")
    if budget:
        report.compare("plan.alpha", budget_share(**budget), pack["plan"]["alpha"], {})
    first = min(pack["allocation"], key=lambda phase: phase["phase"])
    report.same("experiment.launched_at", seconds(first["started_at"]), seconds(pack["experiment"]["launched_at"]))
    check_readings(pack, report)

    path, results = Path(pack, pack["version"]), []
    polls = polls_of(pack)
    if len(polls) != len(pack["path"]):
        report.add(f"the readings hold {len(polls)} polls, the path has {len(pack['path'])}")
    for i, (poll, recorded) in enumerate(zip(polls, pack["path"])):
        what = f"path[{i}] ({recorded['polled_at']})"
        report.same(f"{what}.polled_at", poll.at, seconds(recorded["polled_at"]))
        report.same(f"{what}.has_flag_drift", poll.has_flag_drift, recorded["has_flag_drift"])
        as_of, result = path.evaluate(poll, recorded["is_sampled"], recorded["has_flag_drift"])
        report.same(f"{what}.as_of", as_of, seconds(recorded["as_of"]))
        rounding = {**path.rounding, "capped": path.capped}
        on_path = {key: value for key, value in result.items() if key != "ship_test"}
        report.compare(f"{what}.result", on_path, recorded["result"], rounding)
        results.append((result, rounding))
    if not results:
        raise ValueError("the pack holds no poll")
    earlier_results = by_first_rules(pack, polls)
    check_steps(pack, earlier_results, report)
    check_recorded(pack, results, earlier_results, report)
    check_said(pack, report)
    report.same("verdict.decision", results[-1][0]["verdict"]["decision"], pack["verdict"]["decision"])
    report.same("verdict.reason", pack["path"][-1]["result"]["verdict"]["reason"], pack["verdict"]["reason"])
    return results[-1][0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pack", help="the proof pack, or - for stdin")
    parser.add_argument("--log", help="the exported audit log")
    args = parser.parse_args()
    if not args.log:
        print("NOT CHECKED AGAINST THE LOG: an invented pack would look the same. `--log log.jsonl` compares it.")
    report = Report()
    try:
        with open(0 if args.pack == "-" else args.pack, encoding="utf-8") as file:
            pack = json.load(file, object_pairs_hook=unique)
        last = verify(pack, report)
        if args.log:
            with open(args.log, encoding="utf-8") as file:
                check_log(pack, file, report)
    except OSError as error:
        print(f"cannot be read: {error}", file=sys.stderr)
        return 2
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
        for difference in report.differences:
            print(f"DIFFERS: {difference}")
        print(f"DIFFERS: the pack does not hold together: {type(error).__name__}: {error}")
        return 1
    for difference in report.differences:
        print(f"DIFFERS: {difference}")
    if report.differences:
        print(f"{len(report.differences)} differences")
        return 1
    for limit in pack["limits"]:
        print(f"not covered: {limit}")
    print(f"OK: {len(pack['path'])} polls and {report.n_numbers} numbers were recomputed; the verdict of "
          f"`{pack['experiment']['slug']}` is {last['verdict']['decision']}, p = {last['p_running']:.3g}, plan "
          f"{pack['plan_hash'][:12]}")
    return 0 if args.log else 10


if __name__ == "__main__":
    sys.exit(main())
