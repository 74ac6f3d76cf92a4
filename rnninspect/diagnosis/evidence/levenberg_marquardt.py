"""Many small least-squares problems side by side, one for each unit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from rnninspect.core.trace import Array

ROUNDS = 40  # of a fit; each costs one run a parameter
STARTS, WITHOUT_A_UNIT = 16, 4  # from which a fit is tried, and those that must have fitted one unit at least
SCALES = (1.0, 2.0, 4.0)  # of these starts
MOST = 1 << 13  # residuals of which further starts are tried: a second or so
HOPELESS = 12  # rounds after which a fit that has not halved its largest residual is no explanation
ENOUGH = 1e-6  # a step that changes the residuals by a smaller share is the last that is worth its runs


def from_several_starts(
    residuals: Callable[[Array], Array],
    shape: tuple[int, int],
    allowed: float,
    scales: tuple[float, ...] = SCALES,
    without: int = WITHOUT_A_UNIT,
) -> Array | None:
    """`[S, H]`: numbers that leave no residual larger than `allowed`, from zero and from other starts; None where one
    unit is left without such.

    Large numbers that are far from zero lie behind saturated gates, which no slope there tells of. A start that helps
    no unit at all is no small matter of where to begin: of a dump that nothing fits, few are tried, `without` of them.
    """
    start, fitted, settled = np.zeros(shape), np.zeros(shape), np.zeros(shape[1], dtype=np.bool_)
    rng = np.random.default_rng(0)
    for turn in range(STARTS):
        reached = start + levenberg(partial(_moved, residuals, start), *shape, enough=allowed)
        left = np.abs(residuals(reached))
        good = left.max(0, initial=0.0) <= allowed
        fitted = np.where(good & ~settled, reached, fitted)
        settled |= good
        if settled.all():
            return fitted
        if (turn + 1 >= without and not settled.any()) or left.size > MOST:
            return None
        start = rng.normal(scale=scales[turn % len(scales)], size=shape)
    return None


def _moved(residuals: Callable[[Array], Array], start: Array, more: Array) -> Array:
    return residuals(start + more)


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
