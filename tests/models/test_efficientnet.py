"""What is read off the network is what its blocks give, whether later blocks are run or not."""

import math

import numpy as np
import torch

from omnicxr.models.efficientnet import GRID, TEXTURES, grid_features, network_pictures, reader

CPU = torch.device("cpu")


def some_pictures() -> torch.Tensor:
    """uint8 [2, 64, 64]"""
    return torch.randint(0, 256, (2, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_textures_alone_are_those_beside_features() -> None:
    network, x = reader(CPU), network_pictures(some_pictures())
    with torch.no_grad():
        textures, features = network.textures_and_features(x)
        assert torch.equal(network.textures(x), textures) and textures.shape == (2, TEXTURES)
        assert torch.equal(network(x), features)


def test_grid_is_the_mean_of_each_cell_after_two_blocks() -> None:
    """Cells of n pixels in 4: from floor(i n / 4) to ceil((i + 1) n / 4). Block 10 is the last of 112 channels, block
    15 the only one of 320."""
    network, blocks = reader(CPU), dict[int, np.ndarray]()
    hooks = [
        network._blocks[i].register_forward_hook(lambda _, __, y, i=i: blocks.update({i: y.numpy()})) for i in (10, 15)
    ]
    found = grid_features(some_pictures()[:, None].float() / 127.5 - 1)
    for hook in hooks:
        hook.remove()
    assert [y.shape for y in blocks.values()] == [(2, 112, 14, 14), (2, 320, 7, 7)]
    wanted = []
    for y in blocks.values():
        n = y.shape[-1]
        cells = [slice(i * n // 4, math.ceil((i + 1) * n / 4)) for i in range(4)]
        wanted.append(np.stack([y[:, :, a, b].mean((2, 3)) for a in cells for b in cells], -1).reshape(2, -1))
    assert found.shape == (2, GRID)
    np.testing.assert_allclose(found, np.concatenate(wanted, 1), atol=1e-4)
    assert torch.allclose(found, network.grid(network_pictures(some_pictures())), atol=1e-3), (
        "as other readers see them"
    )


def test_grid_features_do_not_depend_on_the_precision_of_training() -> None:
    x = some_pictures()[:, None].float() / 127.5 - 1
    wanted = grid_features(x)
    with torch.autocast("cpu", torch.bfloat16):
        found = grid_features(x)
        assert torch.mm(x[0, 0], x[1, 0]).dtype == torch.bfloat16, "or the test below says nothing"
    assert torch.equal(found, wanted)
