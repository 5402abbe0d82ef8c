"""One page for people who were not at the notebook: findings first, then the tables they rest on."""

from capi_lab.report.from_files import report_files
from capi_lab.report.make import report
from capi_lab.report.page import Report, Section

__all__ = ["Report", "Section", "report", "report_files"]
