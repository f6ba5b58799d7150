"""Padding as an attribute of convolutions, which onnxruntime then keeps in its fast layout.

timm's encoders from TensorFlow pad more on the right and below. Traced, that is arithmetic over
sizes and a node of its own before the convolution, around which tensors change their layout twice.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from timm.layers import Conv2dSame
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    import onnx


class _ConstantPaddingConv(nn.Conv2d):
    """`Conv2dSame` for pictures whose sides are multiples of the stride."""

    def forward(self, features: Tensor) -> Tensor:
        sides = []
        for kernel, stride, dilation in zip(
            self.kernel_size[::-1], self.stride[::-1], self.dilation[::-1], strict=True
        ):
            total = max(0, dilation * (kernel - 1) + 1 - stride)
            sides += [total // 2, total - total // 2]
        return super().forward(functional.pad(features, sides))


def with_constant_padding(network: nn.Module) -> nn.Module:
    """Copy a network so that its padding depends on no size; it takes multiples of its strides."""
    network = copy.deepcopy(network)
    for name, module in list(network.named_modules()):
        if not isinstance(module, Conv2dSame):
            continue
        replacement = _ConstantPaddingConv(
            module.in_channels,
            module.out_channels,
            module.kernel_size,
            module.stride,
            dilation=module.dilation,
            groups=module.groups,
            bias=module.bias is not None,
        )
        replacement.weight, replacement.bias = module.weight, module.bias
        parent, _, child = name.rpartition(".")
        setattr(network.get_submodule(parent), child, replacement)
    return network


def fold_padding(model: onnx.ModelProto) -> None:
    """Move constant zero padding before a convolution into the convolution, in place."""
    from onnx import helper

    nodes = model.graph.node
    for pad in [node for node in nodes if node.op_type == "Pad"]:
        users = [node for node in nodes if pad.output[0] in node.input]
        amounts = _constant(model, pad.input[1])
        if amounts is None or [user.op_type for user in users] != ["Conv"]:
            continue
        attributes = {attribute.name: attribute for attribute in users[0].attribute}
        if any(amounts[:2] + amounts[4:6]) or any(attributes["pads"].ints):
            continue
        attributes["pads"].CopyFrom(helper.make_attribute("pads", amounts[2:4] + amounts[6:8]))
        users[0].input[0] = pad.input[0]
        nodes.remove(pad)


def _constant(model: onnx.ModelProto, name: str) -> list[int] | None:
    """Work out a list of integers in the graph, unless it depends on the picture."""
    from onnx import TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    made_by = {output: node for node in model.graph.node for output in node.output}
    wanted = [name]
    needed: list[onnx.NodeProto] = []
    while wanted:
        node = made_by.get(wanted.pop())
        if node is None:
            return None
        if node not in needed:
            needed.append(node)
            wanted += [entry for entry in node.input if entry]
    needed = [node for node in model.graph.node if node in needed]
    output = helper.make_tensor_value_info(name, TensorProto.INT64, None)
    graph = helper.make_graph(needed, "constant", [], [output])
    part = helper.make_model(graph, opset_imports=model.opset_import)
    results: Any = ReferenceEvaluator(part).run(None, {})
    return results[0].tolist()
