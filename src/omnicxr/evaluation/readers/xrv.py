"""torchxrayvision's DenseNet-121 ("densenet121-res224-all"), as a feature extractor and as a classifier of frontal
views (Cohen et al. 2022).

Its own weight file is a pickled object, so its weights are read from a safetensors file that one command makes of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from omnicxr.domain import Finding, UserError
from omnicxr.evaluation.readers.weights import library, weights_at

VARIABLE = "OMNICXR_XRV"
GET = (
    "run `python -c 'import torchxrayvision as x; from safetensors.torch import save_file; "
    'save_file(x.models.DenseNet(weights="densenet121-res224-all").state_dict(), "xrv.safetensors")\'` once online'
)
NAMES = {
    Finding.ATELECTASIS: "Atelectasis", Finding.CARDIOMEGALY: "Cardiomegaly", Finding.CONSOLIDATION: "Consolidation",
    Finding.EDEMA: "Edema",
    Finding.ENLARGED_CARDIOMEDIASTINUM: "Enlarged Cardiomediastinum", Finding.FRACTURE: "Fracture",
    Finding.LUNG_LESION: "Lung Lesion",
    Finding.LUNG_OPACITY: "Lung Opacity", Finding.PLEURAL_EFFUSION: "Effusion",
    Finding.PLEURAL_OTHER: "Pleural_Thickening",
    Finding.PNEUMONIA: "Pneumonia", Finding.PNEUMOTHORAX: "Pneumothorax",
}  # fmt: skip
"""Our findings by their name there. "No Finding" is 1 - the largest of these; support devices are not known there."""


def load_xrv(device: str) -> Any:
    """The network in evaluation mode. Raises UserError where the library or the weights are missing or do not fit."""
    path = weights_at(VARIABLE, GET)
    network = library("torchxrayvision", "extractors").models.DenseNet(weights=None)
    try:
        state = load_file(path)
        state.pop(
            "op_threshs", None
        )  # operating points: a monotone change of the scores, which our own thresholds replace
        network.load_state_dict(state)
    except (SafetensorError, RuntimeError) as error:
        raise UserError(
            f"{path} does not hold the weights of torchxrayvision's DenseNet-121 ({str(error)[:120]}): {GET}."
        ) from error
    return network.to(device).eval()


def xrv_input(pictures: np.ndarray, device: str) -> Tensor:
    """uint8 [n, s, s] => [n, 1, 224, 224] in -1024..1024, as that library wants them."""
    x = torch.from_numpy(np.ascontiguousarray(pictures)).to(device)[:, None].float()
    resized = torch.nn.functional.interpolate(x, size=(224, 224), mode="bilinear", antialias=True, align_corners=False)
    return (resized / 255 * 2 - 1) * 1024


class XrvClassifier:
    """uint8 frontal views [n, s, s] => finding scores [n, 14], NaN for a finding it does not know."""

    def __init__(self, device: str) -> None:
        self.device, self.network = device, load_xrv(device)
        order = list(library("torchxrayvision.datasets", "extractors").default_pathologies)
        self.columns = {finding: order.index(name) for finding, name in NAMES.items()}

    @torch.no_grad()
    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        """A `panel.Classifier`: uint8 [n, s, s] => [n, 14] in 0..1, NaN for an unknown finding."""
        logits = [self.network(xrv_input(pictures[i : i + 32], self.device)) for i in range(0, len(pictures), 32)]
        found = torch.cat(logits).sigmoid().cpu().numpy()
        out = np.full((len(pictures), len(Finding)), np.nan)
        for i, finding in enumerate(Finding):
            if finding in self.columns:
                out[:, i] = found[:, self.columns[finding]]
        out[:, list(Finding).index(Finding.NO_FINDING)] = 1 - np.nanmax(out, axis=1)
        return out
