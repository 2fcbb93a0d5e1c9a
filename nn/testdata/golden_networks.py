"""Writes torch_networks.bin.gz and torch_names.json, which nn/networks_test.go compares with.

    python3 golden_networks.py     (PyTorch 2.x and torchvision; the Go tests do not need them)

The first holds passes of networks on the weights and images of golden_torch.py, which both sides
compute; the second the names and shapes of torchvision's weights. PreActResNet and WideResNet are
written here after their papers, under the names of the public implementations.
"""
import json, os
import torch, torchvision
from torch import nn
import torch.nn.functional as F
from golden_torch import batch, fresh, save, write


def conv(i, o, kernel, stride):
    return nn.Conv2d(i, o, kernel, stride, kernel // 2, bias=False)


class PreActBlock(nn.Module):
    def __init__(self, i, o, stride, shortcut):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(i), conv(i, o, 3, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(o), conv(o, o, 3, 1)
        self.projects = i != o or stride != 1
        if self.projects:
            projection = conv(i, o, 1, stride)
            self.path = shortcut
            setattr(self, shortcut, projection if shortcut == "convShortcut" else nn.Sequential(projection))

    def forward(self, x):
        y = F.relu(self.bn1(x))
        if self.projects:
            x = getattr(self, self.path)(y)
        return x + self.conv2(F.relu(self.bn2(self.conv1(y))))


class PreActResNet18(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv1, i = conv(3, width, 3, 1), width
        for stage in range(4):
            o = width << stage
            blocks = [PreActBlock(i, o, 2 if stage else 1, "shortcut"), PreActBlock(o, o, 1, "shortcut")]
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
            i = o
        self.bn, self.linear = nn.BatchNorm2d(i), nn.Linear(i, 10)

    def forward(self, x):
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.conv1(x)))))
        return self.linear(F.relu(self.bn(x)).mean((2, 3)))


class WideResNet(nn.Module):
    def __init__(self, depth, width):
        super().__init__()
        self.conv1, i = conv(3, 16, 3, 1), 16
        for stage in range(3):
            o = 16 * width << stage
            block = nn.Module()
            block.layer = nn.Sequential(*[
                PreActBlock(o if k else i, o, 2 if stage and not k else 1, "convShortcut") for k in range((depth - 4) // 6)])
            setattr(self, f"block{stage + 1}", block)
            i = o
        self.bn1, self.fc = nn.BatchNorm2d(i), nn.Linear(i, 10)

    def forward(self, x):
        x = self.block3.layer(self.block2.layer(self.block1.layer(self.conv1(x))))
        return self.fc(F.relu(self.bn1(x)).mean((2, 3)))


def cifar_resnet18():
    net = torchvision.models.resnet18(num_classes=10)
    net.conv1, net.maxpool = conv(3, 64, 3, 1), nn.Identity()
    return net


def cifar_vgg11():
    net = torchvision.models.vgg11_bn(num_classes=10)
    net.avgpool, net.classifier = nn.AdaptiveAvgPool2d(1), nn.Linear(512, 10)
    return net


def sample(x):
    """About 64 values of a tensor."""
    x = x.detach().flatten()
    return x[:: max(1, x.numel() // 64)]


def passes(make, n, size, training):
    x, y = batch(n, size, size, 3, 0)
    net = fresh(make).eval()
    logits = net(x)
    loss = F.cross_entropy(logits, y, reduction="none")
    loss.sum().backward()
    save(logits)
    save(loss)
    save(sample(x.grad.permute(0, 2, 3, 1)))
    if not training:
        return
    net = fresh(make).train()
    logits = net(x.detach())
    loss = F.cross_entropy(logits, y, reduction="none")
    loss.mean().backward()
    save(logits)
    save(loss)
    for p in net.parameters():
        save(sample(p.grad))


passes(cifar_resnet18, 4, 16, True)
passes(lambda: torchvision.models.resnet18(num_classes=10), 2, 64, False)
passes(lambda: torchvision.models.resnet50(num_classes=10), 1, 64, False)
passes(lambda: PreActResNet18(8), 8, 16, True)
passes(lambda: WideResNet(16, 2), 4, 16, True)
passes(cifar_vgg11, 2, 32, False)
write("torch_networks.bin.gz")

names = {}
for ours, theirs in {"resnet18": "resnet18", "resnet34": "resnet34", "resnet50": "resnet50", "vgg11": "vgg11_bn", "vgg16": "vgg16_bn"}.items():
    with torch.device("meta"):
        net = getattr(torchvision.models, theirs)()
    names[ours] = [[k, list(v.shape)] for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")]
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "torch_names.json")
with open(path, "w") as f:
    f.write("{\n" + ",\n".join(f'"{k}": [\n' + ",\n".join(" " + json.dumps(e) for e in v) + "\n]" for k, v in names.items()) + "\n}\n")
