"""ViT-B (Dosovitskiy et al., 2021) of torchvision for small images, untrained.

For small images a ResNet loses the factor of four by which its stem shrinks one of 224 pixels. So do the patches here:
those of ViT-B/16 and ViT-B/32 become 4 and 8 pixels wide, and the networks ViT-B/4 and ViT-B/8. The image lies in the
middle of a square of whole patches, padded with the data set's mean; the table of positions has an entry for each of
them. The representation is the class token after the last layer norm.
"""

from functools import partial
from math import ceil, sqrt

from torch import nn
from torchvision.models import VisionTransformer

from benchmark.models.line_up import Architecture, Shape

VIT_WIDTH = 768


def vit_b(input_shape: Shape, width: int, patch: int) -> nn.Module:
    """Build twelve layers of twelve heads; patch is the side of a patch in pixels: [B, c, h, w] -> [B, 768]."""
    assert width == VIT_WIDTH, "the tokens have the width of the representation"
    channels, height, breadth = input_shape
    side = patch * ceil(max(height, breadth) / patch)
    net = VisionTransformer(side, patch, num_layers=12, num_heads=12, hidden_dim=VIT_WIDTH, mlp_dim=4 * VIT_WIDTH)
    net.conv_proj = nn.Conv2d(channels, VIT_WIDTH, patch, stride=patch)
    nn.init.trunc_normal_(net.conv_proj.weight, std=sqrt(1 / (channels * patch**2)))  # as torchvision does
    nn.init.zeros_(net.conv_proj.bias)
    net.heads = nn.Identity()
    left, top = (side - breadth) // 2, (side - height) // 2
    return nn.Sequential(nn.ZeroPad2d((left, side - breadth - left, top, side - height - top)), net)


VITS = {
    patch: Architecture(f"vit_b_{patch}", partial(vit_b, patch=patch), VIT_WIDTH, hidden=(VIT_WIDTH,))
    for patch in (4, 8)
}
"""Side of a patch in pixels -> network, with a header of one hidden layer, as the transformers of HtFLlib have."""
