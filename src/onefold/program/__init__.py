"""Programs: operations over planned buffers, and the bytes that they take."""

from onefold.program.builder import Builder
from onefold.program.fusion import fused
from onefold.program.operations import OPERATIONS, OperationType, Phase, embedding_parts
from onefold.program.plan import Layout, lay_out, micro_batch_bytes
from onefold.program.program import Program, Stage
from onefold.program.values import External, Operation, Place, Reference, Value

__all__ = [
    "OPERATIONS",
    "Builder",
    "External",
    "Layout",
    "Operation",
    "OperationType",
    "Phase",
    "Place",
    "Program",
    "Reference",
    "Stage",
    "Value",
    "embedding_parts",
    "fused",
    "lay_out",
    "micro_batch_bytes",
]
