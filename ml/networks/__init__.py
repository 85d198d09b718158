"""Networks of one or several views: a timm backbone, where it is cut, its heads, its first weights, transfer."""

from ml.networks.network import create

__all__ = ["create"]
