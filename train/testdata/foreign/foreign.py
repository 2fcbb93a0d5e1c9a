"""Writes the ONNX files of this folder, networks that Rampart has not made.

    pip install onnx
    python foreign.py       # in this folder
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

rng = np.random.default_rng(4)


def save(name, side, classes, first=()):
    weight = lambda *s: (rng.standard_normal(s) / np.sqrt(np.prod(s[1:]))).astype(np.float32)
    kernel = side // 7 or 1
    area = (side // kernel) ** 2
    w = {"conv.weight": weight(2, 1, kernel, kernel), "fc.weight": weight(classes, 2 * area), "fc.bias": weight(classes)}
    n = helper.make_node
    nodes = list(first) + [n("Conv", [first[-1].output[0] if first else "pixels", "conv.weight"], ["c"], strides=[kernel, kernel]),
                           n("Relu", ["c"], ["r"]), n("Flatten", ["r"], ["f"]), n("Gemm", ["f", "fc.weight", "fc.bias"], ["z"], transB=1), n("Softmax", ["z"], ["p"], axis=1)]
    info = lambda name, *s: helper.make_tensor_value_info(name, TensorProto.FLOAT, list(s))
    graph = helper.make_graph(nodes, "net", [info("pixels", "N", 1, side, side)], [info("p", "N", classes)], [numpy_helper.from_array(v, k) for k, v in w.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="foreign.py", ir_version=8), name + ".onnx")


save("net", 28, 10)
save("small", 5, 10)
save("three", 28, 3)
save("resize", 28, 10, [helper.make_node("Resize", ["pixels", "", "scale"], ["up"], name="up")])
open("cut.onnx", "wb").write(open("net.onnx", "rb").read()[:1000])
