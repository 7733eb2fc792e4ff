"""ResNets (He et al., 2016) for small images: a 3x3 stem of stride 1 and no max pooling, untrained.

ResNet-18 to ResNet-152 are torchvision's. ResNet-4, 6, 8 and 10 are HtFLlib's short ones: one basic block a stage, one
to four stages. Each stage has twice the channels of the one before it and half its resolution.
"""

from functools import partial

from torch import nn
from torchvision import models
from torchvision.models.resnet import BasicBlock, Bottleneck

from benchmark.models.line_up import Architecture, Shape

STEM = 64


def resnet(input_shape: Shape, width: int, block: type[BasicBlock | Bottleneck], blocks: list[int]) -> nn.Module:
    """Build a ResNet of four stages with these numbers of blocks: [B, c, h, w] -> [B, 512 x the block's expansion]."""
    assert width == 512 * block.expansion, "its last stage has the width of its representation"
    net = models.ResNet(block, blocks)
    net.conv1 = nn.Conv2d(input_shape[0], STEM, 3, padding=1, bias=False)
    net.maxpool = nn.Identity()
    net.fc = nn.Identity()
    return net


def short_resnet(input_shape: Shape, width: int, stages: int) -> nn.Module:
    """Build a ResNet of one basic block in each of one to four stages: [B, c, h, w] -> [B, 64 x 2^(stages - 1)]."""
    assert width == _width(stages), "its last stage has the width of its representation"
    net = nn.Sequential(
        nn.Conv2d(input_shape[0], STEM, 3, padding=1, bias=False),
        nn.BatchNorm2d(STEM),
        nn.ReLU(inplace=True),
        *(_stage(stage) for stage in range(1, stages + 1)),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")  # as torchvision does
    return net


def _stage(stage: int) -> nn.Module:
    if stage == 1:
        return BasicBlock(STEM, STEM)
    before, after = _width(stage - 1), _width(stage)
    shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride=2, bias=False), nn.BatchNorm2d(after))
    return BasicBlock(before, after, stride=2, downsample=shortcut)


def _width(stage: int) -> int:
    return STEM * 2 ** (stage - 1)


BLOCKS = {
    18: (BasicBlock, [2, 2, 2, 2]),
    34: (BasicBlock, [3, 4, 6, 3]),
    50: (Bottleneck, [3, 4, 6, 3]),
    101: (Bottleneck, [3, 4, 23, 3]),
    152: (Bottleneck, [3, 8, 36, 3]),
}

RESNETS = {
    2 + 2 * stages: Architecture(f"resnet{2 + 2 * stages}", partial(short_resnet, stages=stages), _width(stages))
    for stages in (1, 2, 3, 4)
} | {
    depth: Architecture(f"resnet{depth}", partial(resnet, block=block, blocks=blocks), 512 * block.expansion)
    for depth, (block, blocks) in BLOCKS.items()
}
"""Number of layers -> network."""
