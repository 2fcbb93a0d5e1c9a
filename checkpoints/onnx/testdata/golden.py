"""Writes the ONNX files of this folder, and golden.json.gz: images, ONNX Runtime's logits for them and,
where PyTorch has the network, its gradient of sum(logits * seed) in the image.

    pip install torch onnx onnxruntime onnxscript
    python golden.py        # in this folder; takes a minute or two
"""

import gzip
import json
import os
import warnings

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn import functional as F

warnings.filterwarnings("ignore")
rng = np.random.default_rng(8)
cases = []


def finish(name, shape, torch_net=None, channels_last=False, flat=False, want_notes=()):
    """shape is H, W, C. Images are kept as N,H,W,C."""
    h, w, c = shape
    x = rng.random((2, h, w, c), dtype=np.float32)
    fed = x if channels_last else x.transpose(0, 3, 1, 2)
    if flat:
        fed = fed.reshape(2, -1)
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 3
    session = onnxruntime.InferenceSession(name + ".onnx", quiet, providers=["CPUExecutionProvider"])
    inp = session.get_inputs()[0]
    if isinstance(inp.shape[0], int) and inp.shape[0] == 1:
        rows = [session.run(None, {inp.name: np.ascontiguousarray(fed[i : i + 1]).reshape(inp.shape)})[0] for i in range(2)]
        logits = np.concatenate(rows)
    else:
        logits = session.run(None, {inp.name: np.ascontiguousarray(fed)})[0]
    case = {"name": name, "shape": shape, "x": x.ravel().tolist(), "logits": logits.reshape(2, -1).tolist(), "notes": list(want_notes)}
    if torch_net is not None:
        t = torch.from_numpy(np.ascontiguousarray(fed)).requires_grad_()
        z = torch_net(t)
        seed = rng.standard_normal(z.shape).astype(np.float32)
        (z * torch.from_numpy(seed)).sum().backward()
        g = t.grad.numpy().reshape(2, *(shape if channels_last else (c, h, w)))
        if not channels_last:
            g = g.transpose(0, 2, 3, 1)
        case["seed"], case["grad"] = seed.ravel().tolist(), g.ravel().tolist()
    cases.append(case)


def settle(net):
    """Weights of a fixed seed, and running statistics that differ from their start."""
    torch.manual_seed(len(cases))
    for m in net.modules():
        if hasattr(m, "reset_parameters"):
            m.reset_parameters()
        if isinstance(m, nn.modules.batchnorm._BatchNorm):
            nn.init.normal_(m.running_mean, 0, 0.3)
            nn.init.uniform_(m.running_var, 0.5, 2)
            nn.init.uniform_(m.weight, 0.5, 2)
            nn.init.normal_(m.bias, 0, 0.3)
    return net.eval()


def export(name, net, shape, new=False, opset=None, batch=1, dynamic=True, flat=False, head=None, training=False, notes=()):
    h, w, c = shape
    settle(net)
    full = nn.Sequential(net, head).eval() if head else net
    x = torch.rand(batch, h * w * c) if flat else torch.rand(batch, c, h, w)
    kw = {"input_names": ["image"], "output_names": ["out"], "opset_version": opset}
    if new:
        if dynamic:
            kw["dynamic_shapes"] = ({0: torch.export.Dim("batch", min=1, max=64)},)
        torch.onnx.export(full, (x,), name + ".onnx", dynamo=True, external_data=False, verbose=False, **kw)
    else:
        if dynamic:
            kw["dynamic_axes"] = {"image": {0: "batch"}, "out": {0: "batch"}}
        if training:
            kw.update(training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)
        torch.onnx.export(full, (x,), name + ".onnx", dynamo=False, **kw)
    finish(name, shape, net, flat=flat, want_notes=notes)  # the gradient is that of the logits, without a head


class CNN(nn.Module):
    """What tutorials export: a flatten by view(x.size(0), -1), dropout, normalisation within."""

    def __init__(self, idiom):
        super().__init__()
        self.idiom = idiom
        self.conv1, self.conv2 = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 6, 3, stride=2, bias=False)
        self.bn, self.drop = nn.BatchNorm2d(6), nn.Dropout(0.3)
        self.fc1, self.fc2 = nn.Linear(6 * 3 * 2, 7), nn.Linear(7, 5)
        self.register_buffer("mean", torch.tensor([0.49, 0.48, 0.45]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.2, 0.25, 0.3]).view(1, 3, 1, 1))

    def forward(self, x):
        x = (x - self.mean) / self.std
        x = F.relu(self.conv1(x))
        x = F.max_pool2d(x, 2, ceil_mode=True)
        x = F.relu(self.bn(self.conv2(F.pad(x, (1, 1, 1, 1)))))
        x = {"size": lambda: x.view(x.size(0), -1), "flatten": lambda: torch.flatten(x, 1), "fixed": lambda: x.reshape(-1, 36)}[self.idiom]()
        return self.fc2(self.drop(F.leaky_relu(self.fc1(x), 0.2)))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn0 = nn.BatchNorm2d(8)
        self.a, self.bna = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.b, self.bnb = nn.Conv2d(8, 12, 3, padding=1, stride=2, bias=False), nn.BatchNorm2d(12)
        self.short, self.bns = nn.Conv2d(8, 12, 1, stride=2, bias=False), nn.BatchNorm2d(12)
        self.fc = nn.Linear(12, 10)

    def forward(self, x):
        x = F.relu(self.bn0(self.stem(x)))
        x = F.relu(x + self.bna(self.a(x)))
        x = F.relu(self.bnb(self.b(x)) + self.bns(self.short(x)))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


class Dense(nn.Module):
    """Concatenations, as in DenseNet and Inception, and a mean over positions."""

    def __init__(self):
        super().__init__()
        self.c1, self.c2, self.c3 = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(4, 5, (1, 3), padding=(0, 1)), nn.Conv2d(9, 6, 3, dilation=2, padding=2)
        self.bn, self.depth = nn.BatchNorm2d(9), nn.Conv2d(6, 6, 3, groups=3, padding=1)
        self.fc = nn.Linear(6, 4)

    def forward(self, x):
        y = torch.cat([x, F.relu(self.c1(x))], 1)
        y = torch.cat([y, F.hardtanh(self.c2(y), -0.2, 0.3)], 1)
        y = F.relu6(self.c3(F.relu(self.bn(y))))
        y = F.avg_pool2d(self.depth(y), 3, stride=2, padding=1, count_include_pad=False)
        return self.fc(y.mean((2, 3)))


class Smooth(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc1, self.fc2 = nn.Conv2d(2, 4, 3), nn.Linear(4 * 9, 8), nn.Linear(8, 3)

    def forward(self, x):
        return self.fc2(torch.sigmoid(self.fc1(torch.tanh(self.conv(x)).flatten(1))))


class Gated(nn.Module):
    """SiLU, which exporters take apart, GELU, and a depthwise convolution."""

    def __init__(self, gelu):
        super().__init__()
        self.gelu = F.gelu if gelu else F.silu
        self.conv, self.depth = nn.Conv2d(2, 4, 3), nn.Conv2d(4, 4, 3, groups=4, padding=1)
        self.fc1, self.fc2 = nn.Linear(4 * 9, 8), nn.Linear(8, 3)

    def forward(self, x):
        return self.fc2(self.gelu(self.fc1(F.silu(self.depth(F.silu(self.conv(x)))).flatten(1))))


class Gates(nn.Module):
    """Products and quotients of two computed values: squeeze-and-excitation, hard functions, a gate for each
    position, another for the whole image, and for features."""

    def __init__(self):
        super().__init__()
        self.conv, self.down, self.up, self.place = nn.Conv2d(2, 6, 3), nn.Conv2d(6, 3, 1), nn.Conv2d(3, 6, 1), nn.Conv2d(6, 1, 1)
        self.fc1, self.fc2, self.all = nn.Linear(54, 8), nn.Linear(54, 8), nn.Linear(54, 1)
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        y = F.hardswish(self.conv(x))
        y = y * F.hardsigmoid(self.up(F.relu(self.down(F.adaptive_avg_pool2d(y, 1)))))
        y = torch.sigmoid(self.place(y)) * y / (1 + y.abs())
        y = y.flatten(1)
        z = self.fc1(y) * torch.tanh(self.fc2(y)) / (1.5 + self.fc2(y) ** 2)
        return self.out(z * torch.sigmoid(self.all(y)) - 0.1 / (2 + z**3))


class Functions(nn.Module):
    """Functions of one variable, largest and smallest of two."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(2, 4, 1)] + [nn.Conv2d(4, 4, 1) for _ in range(6)])
        self.prelu, self.fc = nn.PReLU(4), nn.Linear(16, 3)

    def forward(self, x):
        for conv, f in zip(self.convs, [F.elu, F.selu, F.softplus, F.mish, F.softsign, lambda v: F.celu(v, 0.7), self.prelu]):
            x = f(conv(x))
        y = F.gelu(x, approximate="tanh") + F.gelu(x * 2) / 3
        y = torch.maximum(torch.minimum(y, x * 0.5), y * 0.25) + y.clamp(-0.5, 1.0)
        return self.fc(F.elu(y, 0.5).flatten(1))


class Norms(nn.Module):
    """Statistics of each example: layer norm over channels, positions or all, group and instance norm."""

    def __init__(self):
        super().__init__()
        self.conv, self.group, self.instance = nn.Conv2d(2, 6, 3), nn.GroupNorm(3, 6), nn.InstanceNorm2d(6, affine=True)
        self.last, self.all, self.plain = nn.LayerNorm(6), nn.LayerNorm([6, 3, 3]), nn.LayerNorm(54, elementwise_affine=False)
        self.up, self.down, self.fc, self.ln = nn.Linear(6, 12), nn.Linear(12, 6), nn.Linear(54, 8), nn.LayerNorm(8)
        self.scale, self.out = nn.Parameter(torch.linspace(0.5, 1, 6).view(6, 1, 1)), nn.Linear(8, 3)

    def forward(self, x):
        y = self.instance(self.group(self.conv(x)))
        z = self.down(F.gelu(self.up(self.last(y.permute(0, 2, 3, 1))))).permute(0, 3, 1, 2)  # as in ConvNeXt
        y = self.all(y + self.scale * z)
        return self.out(self.ln(self.fc(self.plain(y.flatten(1)))))


class Parts(nn.Module):
    """Halves of channels, shuffled (ShuffleNet), single ones, and means along one axis each."""

    def __init__(self):
        super().__init__()
        self.conv, self.depth, self.mix, self.fc = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=8, padding=1), nn.Conv2d(8, 8, 1), nn.Linear(13, 3)

    def forward(self, x):
        x = torch.cat([x[:, 2:3] * 0.5, x[:, 0:1] + 0.1, x[:, 1].unsqueeze(1)], 1)
        a, b = self.conv(x).chunk(2, 1)
        y = torch.cat([a, F.relu(b)], 1)
        y = y.view(-1, 2, 4, 3, 3).transpose(1, 2).reshape(-1, 8, 3, 3)
        y = self.depth(y)
        y = y.view(-1, 4, 2, 3, 3).transpose(1, 2).reshape(-1, 8, 3, 3)
        a, b, c = self.mix(y).split([2, 5, 1], 1)
        y = torch.cat([c, a, b[:, 1:5:2], b, torch.index_select(y, 1, torch.tensor([6, 0, 6]))], 1)
        return self.fc(y.mean((2, 3)))


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(36, 9), nn.ReLU(), nn.Linear(9, 6), nn.ReLU(), nn.Linear(6, 3))

    def forward(self, x):
        return self.net(x * 2 - 1)


def save(name, nodes, inputs, outputs, initializers, opset, external=None, ir=8):
    graph = helper.make_graph(nodes, name, inputs, outputs, [numpy_helper.from_array(v, k) for k, v in initializers.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], producer_name="rampart golden.py", ir_version=ir)
    onnx.checker.check_model(model)
    if external:
        if os.path.exists(external):
            os.remove(external)  # onnx refuses to write over it
        onnx.save_model(model, name + ".onnx", save_as_external_data=True, all_tensors_to_one_file=True, location=external, size_threshold=0)
    else:
        onnx.save(model, name + ".onnx")


def info(name, *shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))


def normal(*shape):
    return (rng.standard_normal(shape) * np.sqrt(2 / max(1, np.prod(shape[1:])))).astype(np.float32)


def keras():
    """What tf2onnx makes of a Keras network: [N,H,W,C] outside, transposed to C,H,W within, SAME padding
    by auto_pad, batch normalisation as Mul and Add, a flatten in H,W,C order, MatMul and a softmax."""
    w = {"w1": normal(5, 3, 3, 3), "mul": rng.uniform(0.5, 2, (5, 1, 1)).astype(np.float32), "add": normal(5, 1, 1),
         "w2": normal(4, 5, 2, 2), "b2": normal(4), "flat": np.array([-1, 8], np.int64), "d": normal(8, 6), "db": normal(6)}
    n = helper.make_node
    save("keras_nhwc", [
        n("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]),
        n("Conv", ["t", "w1"], ["c1"], auto_pad="SAME_UPPER", strides=[2, 2], kernel_shape=[3, 3]),
        n("Mul", ["c1", "mul"], ["m"]), n("Add", ["m", "add"], ["a"]), n("Relu", ["a"], ["r"]),
        n("Conv", ["r", "w2", "b2"], ["c2"], auto_pad="SAME_LOWER", kernel_shape=[2, 2]),
        n("MaxPool", ["c2"], ["p"], auto_pad="SAME_UPPER", kernel_shape=[2, 2], strides=[2, 2]),
        n("Transpose", ["p"], ["back"], perm=[0, 2, 3, 1]),
        n("Reshape", ["back", "flat"], ["f"]), n("MatMul", ["f", "d"], ["z"]), n("Add", ["z", "db"], ["zb"]), n("Softmax", ["zb"], ["out"], axis=-1),
    ], [info("x", "N", 6, 4, 3)], [info("out", "N", 6)], w, 13)
    finish("keras_nhwc", [6, 4, 3], channels_last=True, want_notes=["Softmax at the end is left out: attacks work on logits"])


def shape_idiom():
    """Opset 9: Shape, Gather, Unsqueeze, Concat and Reshape; initialisers that are inputs; Pad and Clip with attributes."""
    n = helper.make_node
    w = {"w": normal(4, 1, 3, 3), "b": normal(4), "fc": normal(7, 64), "fb": normal(7), "zero": np.array(0, np.int64), "rest": np.array([-1], np.int64)}
    save("shape_idiom", [
        n("Pad", ["x"], ["p"], pads=[0, 0, 1, 0, 0, 0, 0, 1], mode="constant"),
        n("Conv", ["p", "w", "b"], ["c"], kernel_shape=[3, 3], pads=[0, 1, 1, 0]),
        n("Clip", ["c"], ["k"], min=-0.5, max=0.75),
        n("AveragePool", ["k"], ["a"], kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1]),
        n("Identity", ["a"], ["i"]),
        n("Shape", ["i"], ["s"]), n("Gather", ["s", "zero"], ["g"], axis=0), n("Unsqueeze", ["g"], ["u"], axes=[0]),
        n("Concat", ["u", "rest"], ["to"], axis=0), n("Reshape", ["i", "to"], ["f"]),
        n("Gemm", ["f", "fc", "fb"], ["out"], transB=1, alpha=0.5, beta=2.0),
    ], [info("x", "N", 1, 4, 4)] + [helper.make_tensor_value_info(k, TensorProto.INT64 if v.dtype == np.int64 else TensorProto.FLOAT, v.shape) for k, v in w.items()],
        [info("out", "N", 7)], w, 9, ir=4)
    finish("shape_idiom", [4, 4, 1])


def external():
    n = helper.make_node
    w = {"w": normal(3, 2, 3, 3), "b": normal(3), "fc": normal(27, 4), "c": np.array(0.25, np.float32)}
    save("external", [
        n("Conv", ["x", "w", "b"], ["y"]), n("Relu", ["y"], ["r"]), n("Flatten", ["r"], ["f"]), n("MatMul", ["f", "fc"], ["z"]), n("Sub", ["z", "c"], ["out"]),
    ], [info("x", 1, 2, 5, 5)], [info("out", 1, 4)], w, 17, external="external.bin")
    finish("external", [5, 5, 2])


def verification():
    """As the verification community writes them: one flat example, MatMul and Add, Sub and Div first."""
    n = helper.make_node
    w = {"mean": np.array(0.1307, np.float32), "std": np.array(0.3081, np.float32), "w1": normal(36, 8), "b1": normal(8), "w2": normal(8, 3), "b2": normal(3)}
    save("verification", [
        n("Flatten", ["x"], ["f"]), n("Sub", ["f", "mean"], ["s"]), n("Div", ["s", "std"], ["d"]),
        n("MatMul", ["d", "w1"], ["h"]), n("Add", ["h", "b1"], ["hb"]), n("Relu", ["hb"], ["r"]), n("MatMul", ["r", "w2"], ["z"]), n("Add", ["b2", "z"], ["out"]),
    ], [info("x", 1, 1, 36, 1)], [info("out", 1, 3)], w, 7, ir=4)
    finish("verification", [6, 6, 1])


def keep():
    with gzip.GzipFile("golden.json.gz", "wb", mtime=0) as f:
        f.write(json.dumps(cases).encode())


def plain():
    """Operations that no exporter of ours writes so: attributes of old opsets, several inputs, constants first."""
    n = helper.make_node
    w = {"w": normal(4, 2, 3, 3), "c": normal(4, 1, 1), "k": np.array(0.3, np.float32), "g": rng.uniform(0.5, 2, 4).astype(np.float32), "h": normal(4), "two": np.array(2, np.float32),
         "fc": normal(36, 3), "half": np.array(0.5, np.float32), "at": np.array(1, np.int64)}
    save("plain", [
        n("Conv", ["x", "w"], ["a"]), n("GroupNormalization", ["a", "g", "h"], ["b"], num_groups=2),
        n("Split", ["b"], ["p", "q"], axis=1, num_outputs=2), n("Sum", ["p", "k", "q"], ["s"]), n("Concat", ["q", "s"], ["t"], axis=1),
        n("Max", ["t", "c"], ["u"]), n("Min", ["u", "k", "b"], ["v"]), n("Pow", ["v", "two"], ["v2"]), n("Sub", ["half", "v2"], ["d"]), n("Neg", ["d"], ["e"]),
        n("HardSigmoid", ["e"], ["f"], alpha=0.3, beta=0.4), n("Softplus", ["b"], ["sp"]), n("Div", ["k", "sp"], ["r"]), n("Mul", ["f", "r"], ["m"]),
        n("Identity", ["m"], ["i"]),
        n("Gather", ["i", "at"], ["row"], axis=1), n("Unsqueeze", ["row", "axis"], ["row1"]), n("Mul", ["i", "row1"], ["o"]),
        n("Flatten", ["o"], ["fl"]), n("MatMul", ["fl", "fc"], ["out"]),
    ], [info("x", "N", 2, 5, 5)], [info("out", "N", 3)], {**w, "axis": np.array([1], np.int64)}, 21, ir=10)
    finish("plain", [5, 5, 2])


def more():
    global rng
    rng = np.random.default_rng(9)
    for name, net, shape in [("gates", Gates(), [5, 5, 2]), ("functions", Functions(), [2, 2, 2]), ("norms", Norms(), [5, 5, 2]), ("parts", Parts(), [5, 5, 3])]:
        export(name + "_old", net, shape, opset=13)
        export(name + "_new", net, shape, new=True, opset=21 if name == "norms" else 18)
    export("gates_fixed", Gates(), [5, 5, 2], new=True, dynamic=False)
    export("norms_17", Norms(), [5, 5, 2], opset=17)
    plain()


def main():
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    torch.set_num_threads(1)
    export("torch_old", CNN("size"), [9, 7, 3], opset=17)
    export("torch_new", CNN("flatten"), [9, 7, 3], new=True, opset=18)
    export("torch_new_fixed", CNN("fixed"), [9, 7, 3], new=True, dynamic=False)
    export("torch_old_unfolded", CNN("size"), [9, 7, 3], opset=9, dynamic=False, training=True)
    export("residual_old", Residual(), [8, 8, 3], opset=11)
    export("residual_new", Residual(), [8, 8, 3], new=True)
    export("concat_old", Dense(), [7, 6, 1], opset=13)
    export("concat_new", Dense(), [7, 6, 1], new=True)
    export("smooth", Smooth(), [5, 5, 2], opset=17)
    export("gated_old", Gated(False), [5, 5, 2], opset=17)
    export("gated_new", Gated(True), [5, 5, 2], new=True, opset=20)
    export("mlp_flat", MLP(), [6, 6, 1], opset=15, flat=True)
    export("softmax", CNN("flatten"), [9, 7, 3], opset=17, head=nn.LogSoftmax(1), notes=["LogSoftmax at the end is left out: attacks work on logits"])
    keras()
    shape_idiom()
    external()
    verification()
    more()
    keep()


if __name__ == "__main__":
    main()
