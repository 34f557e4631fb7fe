"""Memory: which bytes every buffer gets, known before anything runs."""

from mcugrad.plan.bound import bound
from mcugrad.plan.plan import Plan, aligned, greedy_by_size
from mcugrad.plan.scratch import with_scratch
from mcugrad.plan.verify import PlanError, verify

__all__ = ["Plan", "PlanError", "aligned", "bound", "greedy_by_size", "verify", "with_scratch"]
