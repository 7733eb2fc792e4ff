"""Plain CNNs: the five of pFedMoE and its sister papers, and FedAvg's.

CNN-1 ... CNN-5 (Yi et al.; table "model structures" of pFedES, AAAI 2025) are two 5x5 convolutions without padding,
each with ReLU and 2x2 max pooling, then FC1 and FC2 with ReLU: 500 numbers, the representation; FC3 is the header. They
differ in the width of FC1, and CNN-2 in its second convolution.

Pooling stands before ReLU here: max and ReLU commute, so it is the same function, and ReLU has a quarter of the work.
"""

from functools import partial
from itertools import chain, pairwise

from torch import nn

from benchmark.models.line_up import Architecture, LineUp, Shape

REPRESENTATION = 500


def extractor(input_shape: Shape, width: int, filters: tuple[int, int], hidden: tuple[int, ...] = ()) -> nn.Module:
    """Build two convolutions and fully connected layers: [B, c, h, w] -> [B, width]; hidden: widths before the last."""
    channels, *sides = input_shape
    height, breadth = (((side - 4) // 2 - 4) // 2 for side in sides)
    convolutions = [(nn.Conv2d(*pair, 5), nn.MaxPool2d(2), nn.ReLU()) for pair in pairwise((channels, *filters))]
    widths = (filters[1] * height * breadth, *hidden, width)
    linears = [(nn.Linear(*pair), nn.ReLU()) for pair in pairwise(widths)]
    return nn.Sequential(*chain.from_iterable(convolutions), nn.Flatten(), *chain.from_iterable(linears))


FEDAVG_CNN = Architecture("fedavg_cnn", partial(extractor, filters=(32, 64)), 512)
"""The CNN of FedAvg (McMahan et al., 2017) as HtFLlib has it, without padding and with one fully connected layer."""

CNNS = tuple(
    Architecture(f"cnn-{i}", partial(extractor, filters=(16, conv2), hidden=(fc1,)), REPRESENTATION)
    for i, (conv2, fc1) in enumerate([(32, 2000), (16, 2000), (32, 1000), (32, 800), (32, 500)], start=1)
)

LINE_UPS = (
    LineUp("cnn5", "CNN-1 ... CNN-5 of pFedMoE, client id mod 5; small model CNN-5", CNNS, CNNS[4], min_size=16),
    LineUp("cnn1", "homogeneous: CNN-1 for every client and as the small model", CNNS[:1], CNNS[0], min_size=16),
)
