"""Who bears a tariff: constant-elasticity demand and supply around a covered trade.

With free-trade price and quantity normalised to the covered trade V, extra ad valorem tariff tau, demand
elasticity eps and supply elasticity eta, and T = ln(1 + tau), the market clears at the exporter's price
p = exp(-eps T/(eta + eps)), the buyer's price q = (1 + tau) p and the quantity m = q^-eps = p^eta. The losses
are the areas left of the two curves between the old price and the new one (the textbook partial-equilibrium
analysis, whose limit for small tariffs is the Harberger triangle).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Incidence:
    """Annual effects of a tariff, bn US dollars a year; float64, broadcast shape of the inputs."""

    exporter_loss: np.ndarray
    """Producers' surplus lost by the exporting side, >= 0."""
    buyer_loss: np.ndarray
    """Consumers' surplus lost by the buying side less the tariff's revenue; negative for a terms-of-trade gain."""
    trade_fall: np.ndarray
    """Fall in the value of the covered trade at the exporter's price."""


def incidence(
    trade: ArrayLike, tariff: ArrayLike, demand_elasticity: ArrayLike, supply_elasticity: ArrayLike
) -> Incidence:
    """The annual losses from a tariff on a covered trade.

    `trade` in bn a year (>= 0), `tariff` ad valorem (>= 0, 1.0 is 100 %), elasticities absolute values (> 0);
    arrays broadcast against each other.
    """
    value, rate, eps, eta = (np.asarray(a, np.float64) for a in (trade, tariff, demand_elasticity, supply_elasticity))
    wedge = np.log1p(rate)
    log_p = -eps * wedge / (eta + eps)
    log_q = eta * wedge / (eta + eps)
    log_m = eta * log_p
    exporter = value * _area(log_p, eta + 1.0)
    consumers = -value * _area(log_q, 1.0 - eps)
    revenue = value * (np.exp(log_q) - np.exp(log_p)) * np.exp(log_m)
    return Incidence(exporter, consumers - revenue, -value * np.expm1(log_p + log_m))


def _area(log_price: np.ndarray, power: np.ndarray) -> np.ndarray:
    """(1 - x^power)/power for x = exp(log_price), and its limit -log x where the power is 0.

    Near 0 the quotient of two small numbers is replaced by the first terms of its series, so that nothing
    jumps as an elasticity passes through 1.
    """
    power, log_price = np.broadcast_arrays(power, log_price)
    exponent = power * log_price
    near = np.abs(exponent) < 1e-9
    safe = np.where(near, 1.0, power)
    return np.where(near, -log_price * (1.0 + exponent / 2.0), -np.expm1(exponent) / safe)
