"""Model cards, filled from what a run or a trainer knows, by huggingface_hub's own classes."""

from .card import save_card
from .family import family_cards
from .student import student_card
from .trained import Trained, trained_card, trainer_card


__all__ = ["Trained", "family_cards", "save_card", "student_card", "trained_card", "trainer_card"]
