"""The Hugging Face Hub: publishing what a run made and hosting series; every error one line with its remedy."""

from .publishing import HubTarget, publish
from .series import publish_series


__all__ = ["HubTarget", "publish", "publish_series"]
