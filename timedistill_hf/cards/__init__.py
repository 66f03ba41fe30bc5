"""Model cards, filled from what a run or a trainer knows, by huggingface_hub's own classes."""

from .card import save_card
from .run import student_card
from .trained import Trained, trained_card, trainer_card


__all__ = ["Trained", "save_card", "student_card", "trained_card", "trainer_card"]
