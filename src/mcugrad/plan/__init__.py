"""Memory: which bytes every buffer gets, known before anything runs."""

from mcugrad.plan.bound import bound
from mcugrad.plan.place import aligned
from mcugrad.plan.plan import Plan, best_plan, planned
from mcugrad.plan.scratch import Offers, Point, offers
from mcugrad.plan.verify import PlanError, verify

__all__ = [
    "Offers",
    "Plan",
    "PlanError",
    "Point",
    "aligned",
    "best_plan",
    "bound",
    "offers",
    "planned",
    "verify",
]
