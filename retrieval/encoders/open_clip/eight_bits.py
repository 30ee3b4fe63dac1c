"""An exported tower with int8 weights.

Gets: an ONNX model in fp32. Gives: one in int8. Touches: nothing. Never: quantizes what flows
through the model.

Weights lie in blocks of 32 along the inner axis, each with a scale (`MatMulNBits`), and tables that
rows are looked up in have a scale a row. onnxruntime's dynamic quantization has one scale for a
whole batch, so a text's vector would depend on its neighbours, and it came out less exact (cosine
0.9993 against 0.9998 on a ViT-B/32's text tower) and no quicker.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_BLOCK = 32


def in_eight_bits(proto: Any) -> Any:
    """The model with int8 weights; it is changed on the way.

    Raises:
        ImportError: a package that writes ONNX isn't here.
    """
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    _split_gemms(proto.graph)
    _narrow_tables(proto.graph)
    level = logging.getLogger("onnxruntime.quantization").level
    quantizer = MatMulNBitsQuantizer(
        proto, bits=8, block_size=_BLOCK, is_symmetric=True, accuracy_level=4
    )
    quantizer.process()
    logging.getLogger("onnxruntime.quantization").setLevel(level)
    return quantizer.model.model


def _split_gemms(graph: Any) -> None:
    """``x W' + b`` in one node becomes two, since only a plain product is quantized."""
    from onnx import helper, numpy_helper

    weights = {tensor.name: tensor for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        options = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        plain = options.get("alpha", 1.0) == options.get("beta", 1.0) == 1.0
        if node.op_type != "Gemm" or options.get("transA") or not plain:
            nodes.append(node)
            continue
        given, weight, *bias = node.input
        if options.get("transB") and weight in weights:
            turned = numpy_helper.to_array(weights[weight]).T
            weight = f"{weight}_turned"
            if weight not in weights:
                weights[weight] = numpy_helper.from_array(np.ascontiguousarray(turned), weight)
        elif options.get("transB"):
            nodes.append(node)
            continue
        product = f"{node.output[0]}_product" if bias else node.output[0]
        nodes.append(helper.make_node("MatMul", [given, weight], [product]))
        if bias:
            nodes.append(helper.make_node("Add", [product, bias[0]], [node.output[0]]))
    _replace(graph, nodes, weights)


def _narrow_tables(graph: Any) -> None:
    """A table that rows are looked up in keeps them as int8, each with a scale of its own."""
    from onnx import TensorProto, helper, numpy_helper

    weights = {tensor.name: tensor for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        table = weights.get(node.input[0]) if node.op_type == "Gather" else None
        axis = [helper.get_attribute_value(each) for each in node.attribute]
        if table is None or table.data_type != TensorProto.FLOAT or any(axis):
            nodes.append(node)
            continue
        rows = numpy_helper.to_array(table)
        if rows.ndim != 2:
            nodes.append(node)
            continue
        scales = np.maximum(np.abs(rows).max(axis=1, keepdims=True), 1e-12) / 127
        name, output = table.name, node.output[0]
        narrow = np.rint(rows / scales).astype(np.int8)
        weights[f"{name}_int8"] = numpy_helper.from_array(narrow, f"{name}_int8")
        weights[f"{name}_scales"] = numpy_helper.from_array(
            scales.astype(np.float32), f"{name}_scales"
        )
        looked_up, scale = f"{output}_int8", f"{output}_scales"
        nodes += [
            helper.make_node("Gather", [f"{name}_int8", node.input[1]], [looked_up]),
            helper.make_node("Gather", [f"{name}_scales", node.input[1]], [scale]),
            helper.make_node("Cast", [looked_up], [f"{looked_up}_wide"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{looked_up}_wide", scale], [output]),
        ]
    _replace(graph, nodes, weights)


def _replace(graph: Any, nodes: Sequence[Any], weights: Mapping[str, Any]) -> None:
    """Give a graph other nodes, and of the weights those that are used."""
    used = {name for node in nodes for name in node.input}
    kept = [tensor for name, tensor in weights.items() if name in used]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept)
