"""Textures are the same whether the later blocks are run or not."""

import torch

from omnicxr.models.efficientnet import TEXTURES, network_pictures, reader


def test_textures_alone_are_those_beside_features() -> None:
    pictures = torch.randint(0, 256, (2, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    network, x = reader(torch.device("cpu")), network_pictures(pictures)
    with torch.no_grad():
        textures, features = network.textures_and_features(x)
        assert torch.equal(network.textures(x), textures) and textures.shape == (2, TEXTURES)
        assert torch.equal(network(x), features)
