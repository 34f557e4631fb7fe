"""Memory: which bytes every buffer gets, known before anything runs."""

from mcugrad.plan.plan import Plan, aligned, greedy_by_size
from mcugrad.plan.verify import PlanError, verify

__all__ = ["Plan", "PlanError", "aligned", "greedy_by_size", "verify"]
