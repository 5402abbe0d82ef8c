"""Designs and models over measured rates."""

from capi_lab.model.credit import credit
from capi_lab.model.power import sample_size

__all__ = ["credit", "sample_size"]
