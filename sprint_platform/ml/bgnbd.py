"""Buy till you die: when a customer buys again, and how much, from the dates and amounts alone.

BG/NBD (Fader, Hardie and Lee, "Counting Your Customers" the Easy Way, 2005): while alive, a
customer buys at random at a rate that is gamma distributed over customers (``r``, ``alpha``); after
each purchase the customer leaves with a chance that is beta distributed (``a``, ``b``). Gamma-Gamma
(Fader and Hardie, 2013): what a purchase costs varies around the customer's own mean, whose scale
is gamma distributed (``p``, ``q``, ``v``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import betaln, gammaln, hyp2f1

from sprint_platform.ml.features import F64


@dataclass(frozen=True)
class Customers:
    """Who bought at least once, shape (n,) each: ``repeats`` after the first purchase, ``recency``
    and ``age``, the time from the first purchase to the last and to now, and the mean amount of the
    repeats (0 without any)."""

    repeats: F64
    recency: F64
    age: F64
    amount: F64


@dataclass(frozen=True)
class BgNbd:
    """The parameters, rates per unit of time."""

    r: float
    alpha: float
    a: float
    b: float

    def expected(self, of: Customers, time: float) -> F64:
        """How many purchases each makes within ``time`` from now (their equation 10)."""
        r, alpha, a, b = self.r, self.alpha, self.a, self.b
        x, recency, age = of.repeats, of.recency, of.age
        z = time / (alpha + age + time)
        shrunk = ((alpha + age) / (alpha + age + time)) ** (r + x)
        bought = 1 - shrunk * hyp2f1(r + x, b + x, a + b + x - 1, z)
        dead = a / (b + np.maximum(x, 1) - 1) * ((alpha + age) / (alpha + recency)) ** (r + x)
        return (a + b + x - 1) / (a - 1) * bought / (1 + np.where(x > 0, dead, 0))


@dataclass(frozen=True)
class GammaGamma:
    """The parameters, in the currency's unit."""

    p: float
    q: float
    v: float

    def expected(self, of: Customers) -> F64:
        """What a purchase of each costs on average; of who has no repeat, what everybody's does."""
        weight = self.p * of.repeats
        return self.p * (self.v + of.amount * of.repeats) / (weight + self.q - 1)


def fit_bgnbd(of: Customers) -> BgNbd:
    """The parameters of the greatest likelihood."""
    x, recency, age = of.repeats, of.recency, of.age

    def negative(logs: F64) -> float:
        r, alpha, a, b = np.exp(logs)
        common = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
        alive = betaln(a, b + x) - betaln(a, b) - (r + x) * np.log(alpha + age)
        again = np.maximum(x, 1)
        gone = betaln(a + 1, b + again - 1) - betaln(a, b) - (r + x) * np.log(alpha + recency)
        return -float(np.mean(common + np.where(x > 0, np.logaddexp(alive, gone), alive)))

    return BgNbd(*_least(negative, 4))


def fit_gamma_gamma(of: Customers) -> GammaGamma:
    """The parameters of the greatest likelihood, of those who bought again."""
    again = of.repeats > 0
    x, m = of.repeats[again], of.amount[again]

    def negative(logs: F64) -> float:
        p, q, v = np.exp(logs)
        likely = gammaln(p * x + q) - gammaln(p * x) - gammaln(q) + q * np.log(v)
        likely += (p * x - 1) * np.log(m) + p * x * np.log(x) - (p * x + q) * np.log(x * m + v)
        return -float(np.mean(likely))

    return GammaGamma(*_least(negative, 3))


def _least(negative: Callable[[F64], float], parameters: int) -> F64:
    """The positive parameters at which the function of their logarithms is least."""
    start = np.zeros(parameters)
    options = {"maxiter": 4_000, "maxfev": 4_000, "xatol": 1e-6, "fatol": 1e-10}
    found = minimize(negative, start, method="Nelder-Mead", options=options)
    return np.exp(found.x)
