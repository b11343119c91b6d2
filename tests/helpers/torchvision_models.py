"""Torchvision's DeepLabV3, FCN, ResNet and VGG16, stated again in plain torch with its names: the other side of the conversion tests.

Torchvision itself has no build for every torch that we run on. Layers, order and dilation follow ``torchvision/models/resnet.py`` and
``torchvision/models/segmentation``; parameter counts are checked against the ones that torchvision publishes.
"""

import torch
from torch import nn
from torch.nn import functional as F


def conv_norm(cin, cout, kernel=1, stride=1, dilation=1):
    """One convolution without bias that keeps the size (up to its stride), and its normalisation."""
    padding = dilation * (kernel // 2)
    return nn.Conv2d(cin, cout, kernel, stride, padding, dilation, bias=False), nn.BatchNorm2d(cout)


class Block(nn.Module):
    """Residual block: two 3×3 convolutions, or 1×1, 3×3, 1×1 when ``bottleneck``."""

    def __init__(self, cin, width, stride, dilation, bottleneck):
        super().__init__()
        if bottleneck:
            self.conv1, self.bn1 = conv_norm(cin, width)
            self.conv2, self.bn2 = conv_norm(width, width, 3, stride, dilation)
            self.conv3, self.bn3 = conv_norm(width, 4 * width)
        else:
            self.conv1, self.bn1 = conv_norm(cin, width, 3, stride, dilation)
            self.conv2, self.bn2 = conv_norm(width, width, 3)
        cout = 4 * width if bottleneck else width
        self.downsample = nn.Sequential(*conv_norm(cin, cout, 1, stride)) if stride > 1 or cin != cout else None
        self.bottleneck = bottleneck

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.bottleneck:
            out = self.bn3(self.conv3(F.relu(out)))
        return F.relu(out + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """ResNet-18, -50 or -101; ``dilate[i]`` replaces the stride of stage ``i + 2`` by dilation, the first block keeping the one before."""

    def __init__(self, depth, dilate=(False, False, False), num_classes=1000):
        super().__init__()
        blocks, bottleneck = {18: ((2, 2, 2, 2), False), 50: ((3, 4, 6, 3), True), 101: ((3, 4, 23, 3), True)}[depth]
        self.conv1, self.bn1 = conv_norm(3, 64, 7, 2)
        cin, dilation = 64, 1
        for stage, count in enumerate(blocks):
            width, before, stride = 64 * 2**stage, dilation, 1 if stage == 0 else 2
            if stage > 0 and dilate[stage - 1]:
                dilation, stride = dilation * stride, 1
            layers = []
            for index in range(count):
                layers.append(Block(cin, width, stride if index == 0 else 1, before if index == 0 else dilation, bottleneck))
                cin = 4 * width if bottleneck else width
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layers))
        if num_classes:
            self.fc = nn.Linear(cin, num_classes)

    def forward(self, x):
        """Return the outputs of the last two stages."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        third = self.layer3(self.layer2(self.layer1(x)))
        return third, self.layer4(third)


class Pooling(nn.Sequential):
    """Global average, 1×1 convolution, and the value spread over the map again."""

    def forward(self, x):
        return F.interpolate(super().forward(x), size=x.shape[2:], mode="bilinear", align_corners=False)


class ASPP(nn.Module):
    """The pyramid: 1×1, three dilated 3×3, global average; then a 1×1 projection."""

    def __init__(self, cin, rates=(12, 24, 36), width=256):
        super().__init__()
        dilated = [nn.Sequential(*conv_norm(cin, width, 3, 1, rate), nn.ReLU()) for rate in rates]
        pooling = Pooling(nn.AdaptiveAvgPool2d(1), *conv_norm(cin, width), nn.ReLU())
        self.convs = nn.ModuleList([nn.Sequential(*conv_norm(cin, width), nn.ReLU()), *dilated, pooling])
        self.project = nn.Sequential(*conv_norm(5 * width, width), nn.ReLU(), nn.Dropout(0.5))

    def forward(self, x):
        return self.project(torch.cat([conv(x) for conv in self.convs], dim=1))


def fcn_head(cin, num_classes):
    """3×3 convolution to a quarter of the channels, dropout, classifier."""
    return nn.Sequential(*conv_norm(cin, cin // 4, 3), nn.ReLU(), nn.Dropout(0.1), nn.Conv2d(cin // 4, num_classes, 1))


class Segmentation(nn.Module):
    """DeepLabV3-R50 or FCN-R50 with auxiliary classifier; ``forward`` gives both logits at the size of the image."""

    def __init__(self, kind, num_classes=21):
        super().__init__()
        self.backbone = ResNet(50, (False, True, True), num_classes=0)
        if kind == "deeplabv3":
            self.classifier = nn.Sequential(ASPP(2048), *conv_norm(256, 256, 3), nn.ReLU(), nn.Conv2d(256, num_classes, 1))
        else:
            self.classifier = fcn_head(2048, num_classes)
        self.aux_classifier = fcn_head(1024, num_classes)

    def forward(self, x):
        third, fourth = self.backbone(x)
        outs = self.classifier(fourth), self.aux_classifier(third)
        return [F.interpolate(out, size=x.shape[2:], mode="bilinear", align_corners=False) for out in outs]


def randomize_(model, seed=0):
    """Fill parameters and statistics so that no two layers are alike and signals keep their size."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            tensor.fill_(7)
        elif tensor.ndim > 1:
            tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5, generator=generator)
        elif name.endswith(("running_var", "weight")):
            tensor.uniform_(0.5, 1.0, generator=generator)
        else:
            tensor.normal_(0, 0.1, generator=generator)
    return model.eval()


class VGG16(nn.Module):
    """VGG16 with its three classifier layers."""

    def __init__(self, batch_norm=False, num_classes=1000):
        super().__init__()
        layers, channels = [], 3
        for width in (64, 64, None, 128, 128, None, 256, 256, 256, None, 512, 512, 512, None, 512, 512, 512, None):
            if width is None:
                layers.append(nn.MaxPool2d(2, 2))
                continue
            layers += [nn.Conv2d(channels, width, 3, padding=1), *([nn.BatchNorm2d(width)] if batch_norm else []), nn.ReLU()]
            channels = width
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            *(nn.Linear(512 * 7 * 7, 4096), nn.ReLU(), nn.Dropout()),
            *(nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout()),
            nn.Linear(4096, num_classes),
        )
