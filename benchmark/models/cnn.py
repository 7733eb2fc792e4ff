"""Plain CNNs: the five of pFedMoE and its sister papers, and FedAvg's.

CNN-1 ... CNN-5 (Yi et al.; table "model structures" of pFedES, AAAI 2025) are two 5x5 convolutions without padding,
each with ReLU and 2x2 max pooling, then FC1 and FC2 with ReLU: 500 numbers, the representation; FC3 is the header. They
differ in the width of FC1, and CNN-2 in its second convolution.

Pooling stands before ReLU here: max and ReLU commute, so it is the same function, and ReLU has a quarter of the work.
"""

from functools import partial

from torch import nn

from benchmark.models.line_up import Architecture, LineUp, Shape

REPRESENTATION = 500


def extractor(input_shape: Shape, width: int, conv2: int, fc1: int) -> nn.Module:
    """Everything before FC3: [B, c, h, w] -> [B, width]."""
    channels, *sides = input_shape
    height, breadth = (((side - 4) // 2 - 4) // 2 for side in sides)
    return nn.Sequential(
        nn.Conv2d(channels, 16, 5),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Conv2d(16, conv2, 5),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(conv2 * height * breadth, fc1),
        nn.ReLU(),
        nn.Linear(fc1, width),
        nn.ReLU(),
    )


def fedavg_cnn(input_shape: Shape, width: int) -> nn.Module:
    """The CNN of FedAvg (McMahan et al., 2017) as HtFLlib has it, without padding: [B, c, h, w] -> [B, width].

    It is the same sequence of layers with 32 and 64 channels and one fully connected layer, 512 wide by nature.
    """
    channels, *sides = input_shape
    height, breadth = (((side - 4) // 2 - 4) // 2 for side in sides)
    return nn.Sequential(
        nn.Conv2d(channels, 32, 5),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Conv2d(32, 64, 5),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64 * height * breadth, width),
        nn.ReLU(),
    )


FEDAVG_CNN = Architecture("fedavg_cnn", fedavg_cnn, 512)

CNNS = tuple(
    Architecture(f"cnn-{i}", partial(extractor, conv2=conv2, fc1=fc1), REPRESENTATION)
    for i, (conv2, fc1) in enumerate([(32, 2000), (16, 2000), (32, 1000), (32, 800), (32, 500)], start=1)
)

LINE_UPS = (
    LineUp("cnn5", "CNN-1 ... CNN-5 of pFedMoE, client id mod 5; small model CNN-5", CNNS, CNNS[4], min_size=16),
    LineUp("cnn1", "homogeneous: CNN-1 for every client and as the small model", CNNS[:1], CNNS[0], min_size=16),
)
