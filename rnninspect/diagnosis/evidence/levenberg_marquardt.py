"""Many small least-squares problems side by side, one for each unit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rnninspect.core.trace import Array

ROUNDS = 40  # of a fit; each costs one run a parameter
HOPELESS = 12  # rounds after which a fit that has not halved its largest residual is no explanation
ENOUGH = 1e-6  # a step that changes the residuals by a smaller share is the last that is worth its runs


def levenberg(
    residuals: Callable[[Array], Array], count: int, units: int, hopeless: int = HOPELESS, enough: float = np.inf
) -> Array:
    """`[S, H]`: for each unit the `count` numbers that make its residuals smallest, from zero.

    `residuals` takes such an array to the residuals `[N, H]` of each unit. Levenberg-Marquardt (Marquardt 1963, "An
    algorithm for least-squares estimation of nonlinear parameters"), slopes by finite differences. `hopeless`: the
    rounds after which it ends unless the largest residual has halved. `enough`: the residual that a fit may leave; it
    ends once most units have settled with more.
    """
    best = np.zeros((count, units))
    error = residuals(best)
    cost = (error**2).sum(0)
    damping = np.full(units, 1e-3)
    settled = np.zeros(units, dtype=np.bool_)
    nudge = 1e-6
    start = np.abs(error).max(initial=0.0)
    for turn in range(ROUNDS):
        slopes = np.stack([(residuals(best + nudge * np.eye(count)[i][:, None]) - error) / nudge for i in range(count)])
        normal = np.einsum("inh,jnh->hij", slopes, slopes)
        gradient = np.einsum("inh,nh->hi", slopes, error)
        ridge = damping[:, None, None] * (
            np.einsum("hii->hi", normal)[:, :, None] * np.eye(count) + 1e-12 * np.eye(count)
        )
        step = np.linalg.solve(normal + ridge, -gradient[..., None])[..., 0].T
        trial = residuals(best + step)
        trial_cost = np.nan_to_num((trial**2).sum(0), nan=np.inf)
        better = trial_cost < cost
        best = np.where(better, best + step, best)
        error = np.where(better, trial, error)
        damping = np.clip(np.where(better, damping / 5, damping * 5), 1e-12, 1e9)
        settled |= np.abs(cost - trial_cost) <= ENOUGH * cost
        cost = np.minimum(cost, trial_cost)
        if (settled | (damping > 1e6) | (cost < 1e-22)).all():
            break
        if (settled & (np.abs(error).max(0) > enough)).mean() > 0.5:
            break
        if turn + 1 == hopeless and np.abs(error).max(initial=0.0) > start / 2:
            break
    return best
