"""Networks of torchvision, untrained, adapted to small images as usual: the first convolution keeps the resolution.

In `vision4` the last convolution of every network gives 512 channels, so all representations have one width without
an extra layer; ResNet-18 has that width by nature. In `vision4-native` each keeps the width it was published with.
"""

from dataclasses import replace
from functools import partial

from torch import nn
from torchvision import models
from torchvision.ops import Conv2dNormActivation

from benchmark.models.line_up import Architecture, LineUp, Shape
from benchmark.models.resnet import RESNETS

COMMON_WIDTH = 512


def mobilenet_v2(input_shape: Shape, width: int) -> nn.Module:
    """Build MobileNetV2 (Sandler et al., 2018), stem of stride 1."""
    net = models.mobilenet_v2()
    net.features[0][0] = nn.Conv2d(input_shape[0], 32, 3, padding=1, bias=False)
    net.features[-1] = Conv2dNormActivation(320, width, 1, activation_layer=nn.ReLU6)
    net.classifier = nn.Identity()
    return net


def shufflenet_v2(input_shape: Shape, width: int, channels: tuple[int, int, int] = (116, 232, 464)) -> nn.Module:
    """Build ShuffleNetV2 (Ma et al., 2018) x1.0, stem of stride 1, no max pooling; channels (48, 96, 192) are x0.5."""
    net = models.ShuffleNetV2([4, 8, 4], [24, *channels, width])
    net.conv1[0] = nn.Conv2d(input_shape[0], 24, 3, padding=1, bias=False)
    net.maxpool = nn.Identity()
    net.fc = nn.Identity()
    return net


def efficientnet_b0(input_shape: Shape, width: int) -> nn.Module:
    """Build EfficientNet-B0 (Tan and Le, 2019), stem of stride 1, stochastic depth as published."""
    net = models.efficientnet_b0()
    net.features[0][0] = nn.Conv2d(input_shape[0], 32, 3, padding=1, bias=False)
    net.features[-1] = Conv2dNormActivation(320, width, 1, activation_layer=nn.SiLU)
    net.classifier = nn.Identity()
    return net


def googlenet(input_shape: Shape, width: int) -> nn.Module:
    """Build GoogLeNet (Szegedy et al., 2015) with batch norm and without auxiliary classifiers.

    The first convolution is 3x3 of stride 1, and there is no max pooling before the Inception blocks.
    """
    assert width == 1024, "its last block gives 1024 channels"
    net = models.GoogLeNet(num_classes=1, aux_logits=False, init_weights=True)
    net.conv1.conv = nn.Conv2d(input_shape[0], 64, 3, padding=1, bias=False)
    net.maxpool1 = net.maxpool2 = nn.Identity()
    net.dropout = net.fc = nn.Identity()  # both belong to the classifier
    return net


GOOGLENET = Architecture("googlenet", googlenet, 1024)
MOBILENET_V2 = Architecture("mobilenet_v2", mobilenet_v2, 1280)


def _four(mobilenet: int, shufflenet: int, efficientnet: int) -> tuple[Architecture, ...]:
    return (
        RESNETS[18],
        replace(MOBILENET_V2, width=mobilenet),
        Architecture("shufflenet_v2", shufflenet_v2, shufflenet),
        Architecture("efficientnet_b0", efficientnet_b0, efficientnet),
    )


SMALL = Architecture("shufflenet_v2_x0_5", partial(shufflenet_v2, channels=(48, 96, 192)), COMMON_WIDTH)

LINE_UPS = (
    LineUp(
        "vision4",
        "torchvision's ResNet-18, MobileNetV2, ShuffleNetV2, EfficientNet-B0, all of width 512; small ShuffleNetV2 0.5",
        _four(COMMON_WIDTH, COMMON_WIDTH, COMMON_WIDTH),
        SMALL,
        min_size=16,
    ),
    LineUp(
        "vision4-native",
        "the same four with their published widths 512, 1280, 1024, 1280: no common representation, no common header",
        _four(1280, 1024, 1280),
        SMALL,
        min_size=16,
    ),
)
