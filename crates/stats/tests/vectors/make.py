#!/usr/bin/env python3
"""Writes own.json: worked cases of the engine's functions, computed without any of its code.

    pip install mpmath numpy scipy && python3 make.py > own.json

The mixtures are computed with mpmath in 30 digits, partly by integrating the likelihood ratios themselves; the critical values of a
known end by Gauss-Legendre quadrature of the density of the score (numpy), where the engine uses Simpson's rule on another grid.
"""

import json
import sys

import mpmath as mp
import numpy as np
from numpy.polynomial.legendre import leggauss
from scipy.special import erfc

mp.mp.dps = 30
CASES = []


def case(fn, given, expect, rel=1e-9, abs_=1e-12, note=""):
    n = sum(c["fn"] == fn for c in CASES)
    CASES.append({"id": f"own-{fn}-{n:03}", "fn": fn, "input": given, "expect": expect,
                  "tol": {"rel": rel, "abs": abs_}, "note": note})


def f(x):
    return float(x)


# --- Relative lift where the baseline is negative ---------------------------------------------------------------------------


def fieller(P, Q, vP, vQ, b):
    P, Q, vP, vQ, b = (mp.mpf(x) for x in (P, Q, vP, vQ, b))
    A, B, C = Q * Q - b * b * vQ, P * Q, P * P - b * b * vP
    if A <= 0:
        return None
    root = mp.sqrt(B * B - A * C)
    low, high = (B - root) / A - 1, (B + root) / A - 1
    return [f(low), f(high)] if Q > 0 else [f(-high), f(-low)]


for P, Q, vP, vQ in [(-18.0, -20.0, 0.04, 0.05), (-22.0, -20.0, 0.04, 0.05), (5.0, -20.0, 1.0, 1.0), (-1e-3, -2e-3, 1e-9, 1e-9),
                     (-20.0, -20.0, 4.0, 4.0), (-0.1, -0.05, 0.01, 0.01), (3.0, -0.5, 0.2, 0.0005)]:
    for b in (1.959963984540054, 3.35):
        case("fieller", {"P": P, "Q": Q, "vP": vP, "vQ": vQ, "boundary": b}, {"lift_ci": fieller(P, Q, vP, vQ, b)},
             rel=1e-8, note="negative baseline")


# --- One end at a time, and its extremes ------------------------------------------------------------------------------------


def ln_phi(y):
    return mp.log(mp.erfc(-y / mp.sqrt(2)) / 2)


def exponent(y):
    return y * y / 2 + ln_phi(y)


def solve(g, low, high):
    """Root of an increasing function."""
    for _ in range(400):
        middle = (low + high) / 2
        low, high = (middle, high) if g(middle) < 0 else (low, middle)
    return (low + high) / 2


def one_sided(delta, var, tau, alpha, delta0=0):
    delta, var, tau, alpha, delta0 = (mp.mpf(x) for x in (delta, var, tau, alpha, delta0))
    r = tau * tau / var
    z = (delta - delta0) / mp.sqrt(var)
    ln_e = mp.log(2) - mp.log1p(r) / 2 + exponent(z * mp.sqrt(r / (1 + r)))
    y = solve(lambda y: exponent(y) - (-mp.log(alpha) + mp.log1p(r) / 2 - mp.log(2)), mp.mpf(0), mp.mpf(1000))
    boundary = y * mp.sqrt(1 + 1 / r)
    return r, z, ln_e, boundary, delta - mp.sqrt(var) * boundary


for delta, var, tau, alpha in [(0.02, 1e-5, 0.01, 0.015), (-0.02, 1e-5, 0.01, 0.025), (3.0, 1e-6, 0.01, 0.05), (-3.0, 1e-6, 0.01, 0.05),
                               (0.001, 1e-4, 1e-6, 0.05), (0.5, 1e-10, 10.0, 1e-6), (1e-7, 1e-16, 1e-8, 0.0125), (0.0, 1.0, 1.0, 0.4)]:
    r, z, ln_e, boundary, lower = one_sided(delta, var, tau, alpha)
    ln_p = -max(mp.mpf(0), ln_e)
    case("core", {"delta": delta, "var": var, "tau": tau, "alpha": alpha, "alternative": "greater"},
         {"r": f(r), "z": f(z), "log_e": f(ln_e), "log_p": f(ln_p), "p": f(mp.exp(ln_p)), "boundary": f(boundary),
          "ci": [f(lower), None]}, rel=1e-9, abs_=1e-11, note="one-sided")


# --- Intervals that contradict each other -----------------------------------------------------------------------------------


def two_sided(delta, var, tau, alpha):
    delta, var, tau, alpha = (mp.mpf(x) for x in (delta, var, tau, alpha))
    r = tau * tau / var
    half = mp.sqrt(var) * mp.sqrt((1 + 1 / r) * (mp.log1p(r) - 2 * mp.log(alpha)))
    z = delta / mp.sqrt(var)
    return (z * z * r / (1 + r) - mp.log1p(r)) / 2, delta - half, delta + half


for path in ([(0.03, 1e-6), (0.001, 1e-6)], [(0.0, 1e-4), (0.05, 1e-7), (0.0, 1e-7)], [(-2.0, 1e-3), (-1.0, 1e-3), (-1.0, 1e-3)],
             [(0.01, 1e-5), (0.0, 1e-5)]):
    most, low, high, polls, first = mp.mpf(0), None, None, [], None
    for i, (delta, var) in enumerate(path):
        ln_e, lower, upper = two_sided(delta, var, 0.01, 0.05)
        most = max(most, ln_e)
        low = lower if low is None else max(low, lower)
        high = upper if high is None else min(high, upper)
        is_empty = low > high
        polls.append({"log_e": f(ln_e), "log_p_running": f(-most), "ci": [f(lower), f(upper)],
                      "ci_running": None if is_empty else [f(low), f(high)], "ci_running_status": "empty" if is_empty else "ok"})
    case("running", {"polls": [{"delta": d, "var": v} for d, v in path], "alpha": 0.05, "tau": 0.01},
         {"polls": polls, "drift": low > high}, note="an empty intersection has no ends")


# --- The mixture around the MDE ---------------------------------------------------------------------------------------------


def cut_normal(delta, var, mde, delta0):
    """The mean of the likelihood ratios over N(mde, (.35 mde)^2) above 0, by integration."""
    var, mde = mp.mpf(var), mp.mpf(mde)
    score, tau = (mp.mpf(delta) - mp.mpf(delta0)) / var, mp.mpf("0.35") * mde
    # Around the peak of the integrand, whose exponent is a parabola.
    precision = 1 / tau**2 + 1 / var
    centre, sd = (mde / tau**2 + score) / precision, 1 / mp.sqrt(precision)
    peak = -((centre - mde) ** 2) / (2 * tau**2) + centre * score - centre**2 / (2 * var)

    def ratio(theta):
        return mp.exp(-((theta - mde) ** 2) / (2 * tau**2) + theta * score - theta**2 / (2 * var) - peak)

    low, high = max(mp.mpf(0), centre - 14 * sd), max(centre + 14 * sd, 14 * sd)
    top = mp.quad(ratio, mp.linspace(low, high, 9))
    bottom = mp.sqrt(2 * mp.pi) * tau * mp.erfc(-mde / tau / mp.sqrt(2)) / 2
    return mp.log(top) + peak - mp.log(bottom)


def cut_normal_lower(delta, var, mde, alpha):
    se = mp.sqrt(mp.mpf(var))
    g = lambda z: cut_normal(mp.mpf(delta), var, mde, mp.mpf(delta) - z * se) + mp.log(mp.mpf(alpha))
    low, high = mp.mpf(-50), mp.mpf(300)
    for _ in range(45):
        middle = (low + high) / 2
        low, high = (middle, high) if g(middle) < 0 else (low, middle)
    return mp.mpf(delta) - (low + high) / 2 * se


for delta, var, mde, alpha in [(0.012, 1e-5, 0.01, 0.015), (0.0, 1e-5, 0.01, 0.015), (-0.01, 1e-5, 0.01, 0.0015), (0.5, 1e-6, 0.01, 0.05),
                               (0.001, 1e-2, 0.01, 0.05), (2.0, 0.25, 3.0, 0.0125)]:
    case("cut_normal", {"delta": delta, "var": var, "mde": mde, "alpha": alpha},
         {"log_e": f(cut_normal(delta, var, mde, 0)), "lower": f(cut_normal_lower(delta, var, mde, alpha))}, rel=1e-8, abs_=1e-10)


# --- A known end ------------------------------------------------------------------------------------------------------------


def phi(x):
    return np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)


def upper(x):
    return erfc(np.atleast_1d(x) / np.sqrt(2)) / 2


def boundaries(alpha, fractions, is_over=False, n=160):
    x, w = leggauss(n)
    values, weights, last, spent, out = np.array([0.0]), np.array([1.0]), 0.0, 0.0, []
    for k, t in enumerate(fractions):
        sd = np.sqrt(t - last)
        until = alpha if is_over and k == len(fractions) - 1 else alpha * min(t, 1.0) ** 2
        low, high = -2.0 * np.sqrt(t), 12.0 * np.sqrt(t)
        for _ in range(70):
            b = (low + high) / 2
            low, high = (b, high) if float((weights * upper((b - values) / sd)).sum()) > until - spent else (low, b)
        out.append(b / np.sqrt(t))
        # Panels of two standard deviations of the smaller increment, each with its own rule.
        following = fractions[k + 1] - t if k + 1 < len(fractions) else t - last
        start, fine = -9 * np.sqrt(t), np.sqrt(min(t - last, following))
        edges = np.linspace(start, b, max(2, int(np.ceil((b - start) / (2 * fine))) + 1))
        nodes, node_weights = leggauss(12)
        new = np.concatenate([(hi + lo) / 2 + (hi - lo) / 2 * nodes for lo, hi in zip(edges, edges[1:])])
        new_w = np.concatenate([(hi - lo) / 2 * node_weights for lo, hi in zip(edges, edges[1:])])
        density = (phi((new[:, None] - values[None, :]) / sd) / sd) @ weights
        values, weights, last, spent = new, density * new_w, t, until
    return out, spent


for alpha, fractions, is_over in [(0.025, [0.2, 0.4, 0.6, 0.8, 1.0], False), (0.0135, [i / 28 for i in range(1, 29)], False),
                                  (0.0135, [0.31, 0.35, 0.4, 0.62, 0.64], True), (0.045, [0.02, 0.5, 1.3], False),
                                  (0.0015, [0.1, 0.11, 0.9], True), (0.00675, [0.5], True)]:
    z, spent = boundaries(alpha, fractions, is_over)
    case("known_end", {"alpha": alpha, "fractions": fractions, "is_over": is_over}, {"z": [float(v) for v in z], "spent": spent},
         rel=2e-5, abs_=1e-9, note="another quadrature")


def power(z, drift):
    """Of looks at even shares of the information, and the share of it that is used on average."""
    n = len(z)
    fractions = [i / n for i in range(1, n + 1)]
    values, weights, last, kept = np.array([0.0]), np.array([1.0]), 0.0, []
    for k, (t, c) in enumerate(zip(fractions, z)):
        sd, b = np.sqrt(t - last), c * np.sqrt(t)
        start = drift * t - 9 * np.sqrt(t)
        edges = np.linspace(start, b, max(2, int(np.ceil((b - start) / (2 * sd))) + 1))
        nodes, node_weights = leggauss(12)
        new = np.concatenate([(hi + lo) / 2 + (hi - lo) / 2 * nodes for lo, hi in zip(edges, edges[1:])])
        new_w = np.concatenate([(hi - lo) / 2 * node_weights for lo, hi in zip(edges, edges[1:])])
        density = (phi((new[:, None] - drift * (t - last) - values[None, :]) / sd) / sd) @ weights
        values, weights, last = new, density * new_w, t
        kept.append(float(weights.sum()))
    return 1 - kept[-1], (1 + sum(kept[:-1])) / n


for alpha in (0.05, 0.025, 0.015):
    # Nine tenths of alpha over 28 looks.
    planned, _ = boundaries(0.9 * alpha, [i / 28 for i in range(1, 29)])
    low, high = 2.0, 5.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if power(planned, middle)[0] < 0.8 else (low, middle)
    case("known_end_constant", {"alpha": alpha, "power": 0.8},
         {"c": middle**2, "expected_fraction": power(planned, middle)[1]}, rel=5e-5, note="another quadrature")

json.dump({"n": len(CASES), "cases": CASES}, sys.stdout, indent=1)
print()
