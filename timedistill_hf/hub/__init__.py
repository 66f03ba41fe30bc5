"""The Hugging Face Hub: publishing what a run made and hosting series; every error one line with its remedy."""

from .publishing import HubTarget, publish


__all__ = ["HubTarget", "publish"]
