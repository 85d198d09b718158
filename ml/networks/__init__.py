"""Networks of one or several views: a timm backbone, where it is cut, its heads, first weights, and transfer."""

from ml.networks.network import create

__all__ = ["create"]
