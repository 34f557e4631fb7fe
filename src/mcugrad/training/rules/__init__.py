"""Update rules: how a weight is stored, and how a gradient changes it. One file each."""

from mcugrad.training.rules.family import FAMILY
from mcugrad.training.rules.rule import InPlace, Rule
from mcugrad.training.rules.table import IN_PLACE, PLANES, RULES, rule
from mcugrad.training.rules.update import RuleChoice, Update, Updates, updates

__all__ = [
    "FAMILY",
    "IN_PLACE",
    "PLANES",
    "RULES",
    "InPlace",
    "Rule",
    "RuleChoice",
    "Update",
    "Updates",
    "rule",
    "updates",
]
