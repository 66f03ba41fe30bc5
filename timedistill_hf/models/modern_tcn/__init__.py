"""ModernTCN (Luo and Wang, ICLR 2024)."""

from .configuration_modern_tcn import ModernTCNConfig
from .modeling_modern_tcn import ModernTCNForPrediction, ModernTCNOutput


__all__ = ["ModernTCNConfig", "ModernTCNForPrediction", "ModernTCNOutput"]
