"""Rewrites the Q5_0 tensors of a GGUF file as Q8_0; everything else is copied.

The CPU engine reads no Q5_0. Q8_0 keeps more bits than Q5_0, so the added error is at most half a
Q8_0 step, 1/254 of the block's largest weight.
Formats: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from gguf import GGUFReader, GGUFValueType, GGUFWriter
from gguf.constants import GGMLQuantizationType as Quantization
from gguf.constants import Keys
from gguf.gguf_reader import ReaderTensor
from gguf.quants import dequantize, quant_shape_to_byte_shape, quantize
from numpy.typing import NDArray

TOOL = "gguf"


def run(source: Path, target: Path) -> None:
    """Reads the GGUF at `source` and writes the rewritten one to `target`, a tensor at a time."""
    reader = GGUFReader(source)
    architecture = reader.fields[Keys.General.ARCHITECTURE].contents()
    writer = GGUFWriter(target, arch=architecture)
    writer.data_alignment = reader.alignment
    _copy_metadata(reader, writer)
    for tensor in reader.tensors:
        _declare(tensor, writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in reader.tensors:
        writer.write_tensor_data(_converted(tensor) if _is_refused(tensor) else tensor.data)
    writer.close()


def _is_refused(tensor: ReaderTensor) -> bool:
    return bool(tensor.tensor_type == Quantization.Q5_0)


def _copy_metadata(reader: GGUFReader, writer: GGUFWriter) -> None:
    for field in reader.fields.values():
        written_by_writer = field.name == Keys.General.ARCHITECTURE
        if written_by_writer or field.name.startswith("GGUF."):
            continue
        kind = field.types[0]
        element = field.types[-1] if kind == GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), kind, sub_type=element)


def _declare(tensor: ReaderTensor, writer: GGUFWriter) -> None:
    data = tensor.data
    kind, shape = tensor.tensor_type, data.shape
    if _is_refused(tensor):
        kind = Quantization.Q8_0
        rows_outermost = tuple(int(length) for length in reversed(tensor.shape))
        shape = quant_shape_to_byte_shape(rows_outermost, kind)
    size = math.prod(shape) * data.dtype.itemsize
    writer.add_tensor_info(tensor.name, shape, data.dtype, size, kind)


def _converted(tensor: ReaderTensor) -> NDArray[np.uint8]:
    weights = dequantize(tensor.data, tensor.tensor_type)
    return np.asarray(quantize(weights, Quantization.Q8_0), np.uint8)
