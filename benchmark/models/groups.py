"""The groups of networks that HtFLlib compares on (Zhang et al., KDD 2025, arXiv 2506.03954), untrained.

The composition and the order are those of its code. All representations are brought to 512 numbers by pooling, as there
(`adapter=pool`): nothing is learned, but a ResNet-4 has its 64 numbers eight times over. With `adapter=linear` there is
a learned projection instead, with `adapter=none` each network keeps its width.

Departures: HtFLlib trains the networks as published for images of 224 pixels; these are adapted to small ones (no stem
shrinks an image, patches are a quarter as wide), and so cost more. Its headers of several layers end in a ReLU over the
scores, these do not. Those of its transformers have a tanh inside, these a ReLU. The small network is FedAvg's CNN,
which HtFLlib shares too; in groups of ResNets alone it is ResNet-4, projected to the common width.
"""

from dataclasses import replace

from benchmark.models.cnn import FEDAVG_CNN
from benchmark.models.line_up import Architecture, LineUp
from benchmark.models.resnet import RESNETS
from benchmark.models.transformer import VITS
from benchmark.models.vision import GOOGLENET, MOBILENET_V2

FE8 = (FEDAVG_CNN, GOOGLENET, MOBILENET_V2, *(RESNETS[depth] for depth in (18, 34, 50, 101, 152)))
HEADERS = {"": (), "-h512": (512,), "-h256": (256,), "-h128": (128,)}


def _group(
    name: str, description: str, *networks: Architecture, small: Architecture = FEDAVG_CNN, min_size: int = 16
) -> LineUp:
    return LineUp(name, description, networks, small, min_size, adapter="pool")


def _resnets(name: str, description: str, *depths: int, width: int = 512, min_size: int = 16) -> LineUp:
    small = RESNETS[4].adapted("linear", width)
    return _group(name, description, *(RESNETS[depth] for depth in depths), small=small, min_size=min_size)


LINE_UPS = (
    _group(
        "fe2",
        "HtFLlib's HtFE-img-2: FedAvg's CNN, which is the small model too, and ResNet-18",
        FEDAVG_CNN,
        RESNETS[18],
    ),
    _resnets("fe3", "HtFLlib's HtFE-img-3: ResNet-10, 18, 34; small model ResNet-4", 10, 18, 34),
    _group("fe4", "HtFLlib's HtFE-img-4: FedAvg's CNN (small model too), GoogLeNet, MobileNetV2, ResNet-18", *FE8[:4]),
    _group(
        "fe5", "HtFLlib's HtFE-img-5: GoogLeNet, MobileNetV2, ResNet-18, 34, 50; small model FedAvg's CNN", *FE8[1:6]
    ),
    _group("fe8", "HtFLlib's HtFE-img-8: those of fe4 and ResNet-34, 50, 101, 152; small model FedAvg's CNN", *FE8),
    _resnets(
        "fe9",
        "HtFLlib's HtFE-img-9: ResNet-4, 6, 8, 10, 18, 34, 50, 101, 152; small model ResNet-4",
        *RESNETS,
    ),
    _group(
        "headers4",
        "HtFLlib's Res34-HtC-img-4: ResNet-34 with headers of 0, 512, 256, 128 hidden units; small model FedAvg's CNN",
        *(replace(RESNETS[34], name=f"resnet34{suffix}", hidden=hidden) for suffix, hidden in HEADERS.items()),
    ),
    _group(
        "mixed10",
        "HtFLlib's HtM-img-10: those of fe8, ViT-B/4 and ViT-B/8 with 768 hidden units in the header; small FedAvg CNN",
        *FE8,
        *VITS.values(),
    ),
    _resnets(
        "resnet3",
        "the cheapest with batch norm: ResNet-4, 6, 8, pooled to 64 numbers; small model ResNet-4",
        *(4, 6, 8),
        width=64,
        min_size=8,
    ),
)
