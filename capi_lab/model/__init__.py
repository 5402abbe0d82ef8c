"""Designs and models over measured rates."""

from capi_lab.model.power import sample_size

__all__ = ["sample_size"]
