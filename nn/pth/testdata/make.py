#!/usr/bin/env python3
"""Makes the files that the tests of package pth read: PyTorch's both formats, and files to refuse.

    python3 make.py

Needs PyTorch. What hostile.* would execute is "echo executed".
"""
import collections, json, os, pickle, struct
import torch

os.chdir(os.path.dirname(os.path.abspath(__file__)))
torch.manual_seed(1)

tied = torch.randn(3, 2)
row = torch.arange(24, dtype=torch.float32)
tensors = collections.OrderedDict([
    ("conv.weight", torch.randn(2, 3, 2, 2)),
    ("conv.bias", torch.tensor([1.5, -0.0])),
    ("transposed", torch.randn(3, 5).t()),                  # strides (1, 5)
    ("channels_last", torch.randn(2, 3, 2, 2).contiguous(memory_format=torch.channels_last)),
    ("part", row[4:16].reshape(3, 4)[:, 1:3]),              # an offset, and columns left out
    ("expanded", torch.tensor([2.5]).expand(2, 3)),         # strides 0
    ("tied.a", tied), ("tied.b", tied),
    ("half", torch.tensor([1.0, -2.5, 65504.0, 6e-8], dtype=torch.float16)),
    ("brain", torch.tensor([1.0, -2.5, 3e38, 1e-40], dtype=torch.bfloat16)),
    ("double", torch.tensor([[0.1, -1e300]], dtype=torch.float64).clamp(-1e30, 1e30)),
    ("bn.num_batches_tracked", torch.tensor(123456789012, dtype=torch.int64)),
    ("mask", torch.tensor([True, False])),
    ("scalar", torch.tensor(7.25)),
    ("empty", torch.zeros(0, 3)),
    ("parameter", torch.nn.Parameter(torch.randn(2))),
])
types = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64", torch.int64: "I64", torch.bool: "BOOL"}
want = [{"name": n, "shape": list(t.shape), "type": types[t.dtype],
         "data": t.detach().float().reshape(-1).tolist() if t.dtype.is_floating_point else None} for n, t in tensors.items()]
json.dump(want, open("tensors.json", "w"), indent=0)

legacy = {"_use_new_zipfile_serialization": False}
torch.save(tensors, "tensors.zip.pth")
torch.save(tensors, "tensors.legacy.pth", **legacy)
torch.save(tensors, "tensors.protocol4.pth", pickle_protocol=4)
torch.serialization.set_crc32_options(False)
torch.save({"w": torch.ones(2)}, "nosum.pth")
torch.serialization.set_crc32_options(True)

net = torch.nn.DataParallel(torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3)))
optimizer = torch.optim.Adam(net.parameters())
net(torch.randn(4, 2)).sum().backward()
optimizer.step()
wrapped = {"epoch": 3, "best_acc": 0.75, "name": "é", "state_dict": net.state_dict(), "optimizer": optimizer.state_dict()}
torch.save(wrapped, "wrapped.zip.pth")
torch.save(wrapped, "wrapped.legacy.pth", **legacy)
torch.save({"net": {"_orig_mod.module." + n: t for n, t in net.module.state_dict().items()}}, "compiled.pth")

# A network of Rampart's, "mlp" with four hidden units on 28x28 images, of seven classes.
mlp = torch.nn.Sequential(collections.OrderedDict(fc1=torch.nn.Linear(784, 4), relu1=torch.nn.ReLU(), fc2=torch.nn.Linear(4, 7))).half()
torch.save({"state_dict": torch.nn.DataParallel(mlp).state_dict()}, "mlp.zip.pth")
torch.save(mlp.state_dict(), "mlp.legacy.pth", **legacy)

# To be refused.
class Hostile:
    def __reduce__(self):
        return os.system, ("echo executed",)

torch.save({"w": torch.ones(2), "x": Hostile()}, "hostile.zip.pth")
torch.save({"w": torch.ones(2), "x": Hostile()}, "hostile.legacy.pth", **legacy)
with open("hostile.pickle.pth", "wb") as f:
    pickle.dump(Hostile(), f, protocol=2)
torch.save(torch.nn.Linear(2, 1), "module.zip.pth")
exec("class Net(torch.nn.Linear): pass")  # without source code, which this format would put into the file
torch.save(Net(2, 1), "module.legacy.pth", **legacy)
torch.save(torch.ones(2), "single.pth")
torch.save({"epoch": 1, "note": "none"}, "none.pth")
torch.save([torch.ones(2)], "list.pth")
torch.save({"w": torch.ones(2, dtype=torch.complex64)}, "complex.pth")
torch.save({"w": torch.eye(2).to_sparse()}, "sparse.pth")
torch.jit.save(torch.jit.script(torch.nn.Linear(2, 1)), "script.pth")
