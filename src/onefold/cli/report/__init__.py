"""`onefold report`: one self-contained HTML page about a model and its table."""

from onefold.cli.report.page import write_report

__all__ = ["write_report"]
