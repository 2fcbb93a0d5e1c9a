"""Exports torchvision's networks, of random weights, with both of PyTorch's exporters and compares what
Rampart reads with ONNX Runtime's logits and PyTorch's gradient. Nothing is downloaded or kept.

    pip install torch torchvision onnx onnxruntime onnxscript
    python zoo.py [name ...]         # anywhere; runs go test
"""

import os
import subprocess
import sys
import tempfile

import torch
import torchvision
from torch import nn

import golden

NAMES = """convnext_tiny densenet121 efficientnet_b0 efficientnet_v2_s googlenet inception_v3 mnasnet0_5 mobilenet_v2
mobilenet_v3_small regnet_x_400mf regnet_y_400mf resnet18 resnet50 resnext50_32x4d shufflenet_v2_x0_5 squeezenet1_1""".split()


def network(name):
    torch.manual_seed(0)
    kw = {"aux_logits": False, "init_weights": True} if name in ("googlenet", "inception_v3") else {}
    net = torchvision.models.get_model(name, weights=None, num_classes=10, **kw)
    side = 128 if name == "inception_v3" else 64
    for m in net.modules():  # running statistics are those of images, so that signals neither fade nor grow
        if isinstance(m, nn.modules.batchnorm._BatchNorm):
            m.momentum = None
    with torch.no_grad():
        net.train()(torch.rand(16, 3, side, side))
    return net.eval(), side


def main():
    names = sys.argv[1:] or NAMES
    here = os.path.dirname(os.path.abspath(__file__))
    golden.settle = lambda net: net.eval()
    failed = []
    for name in names:
        for new in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                os.chdir(folder)
                golden.cases.clear()
                net, side = network(name)
                title = name + ("_new" if new else "_old")
                try:
                    golden.export(title, net, [side, side, 3], new=new, opset=18 if new else 17, batch=2 if new else 1)
                except Exception as e:  # the exporter's own limits
                    print(f"{title}: PyTorch does not export it: {str(e).splitlines()[0]}", flush=True)
                    continue
                golden.keep()
                run = subprocess.run(["go", "test", "-count=1", "-run", "TestGolden", ".."], cwd=here, env={**os.environ, "ONNX_GOLDEN": folder}, capture_output=True, text=True)
                print(f"{title}: {'agrees' if run.returncode == 0 else run.stdout.strip()[:2000]}", flush=True)
                failed += [title] if run.returncode else []
    if failed:
        sys.exit("differ or are refused: " + ", ".join(failed))


if __name__ == "__main__":
    main()
