"""Memory: which bytes every buffer gets, known before anything runs."""

from mcugrad.plan.bound import bound
from mcugrad.plan.place import aligned
from mcugrad.plan.plan import Least, Plan, Planning, RunsAgain, best_plan, exact_plan
from mcugrad.plan.recompute import more_than, recomputed, step_instructions
from mcugrad.plan.scratch import Offers, Point, offers
from mcugrad.plan.variants import Choices, Curve, Planned, choices, planned
from mcugrad.plan.verify import PlanError, verify

__all__ = [
    "Choices",
    "Curve",
    "Least",
    "Offers",
    "Plan",
    "PlanError",
    "Planned",
    "Planning",
    "Point",
    "RunsAgain",
    "aligned",
    "best_plan",
    "bound",
    "choices",
    "exact_plan",
    "more_than",
    "offers",
    "planned",
    "recomputed",
    "step_instructions",
    "verify",
]
