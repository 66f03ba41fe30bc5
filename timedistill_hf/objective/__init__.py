"""The distillation objective: two pure functions and the module that weights and names their terms."""

from .multi_period import multi_period_loss, period_log_distribution
from .multi_scale import multi_scale_loss
from .objective import TimeDistillObjective


__all__ = ["TimeDistillObjective", "multi_period_loss", "multi_scale_loss", "period_log_distribution"]
