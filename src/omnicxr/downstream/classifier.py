"""One classifier of findings: network, training set, training, scores."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.plain_files import plain_file
from omnicxr.domain import Finding, Modality, UserError
from omnicxr.downstream.spec import ClassifierSpec
from omnicxr.models.image_autoencoder import pixels_from_uint8
from omnicxr.models.layers import ImageTrunk
from omnicxr.training.stages.judge import finding_loss, jitter

SMALL = "small"
CHANNELS = (16, 32, 64, 128)
CHUNK = 64


class SmallNetwork(nn.Module):
    """Four residual stages and a linear layer: for laptops."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = ImageTrunk(CHANNELS)
        self.head = nn.Sequential(nn.Dropout(0.1), nn.Linear(CHANNELS[-1], len(Finding)))

    def forward(self, x: Float[Tensor, "b 1 s s"]) -> Float[Tensor, "b 14"]:
        """Pictures in -1..1 => logits of the findings."""
        return self.head(self.trunk(x))


class GreyNetwork(nn.Module):
    """A network of torchvision, which expects three channels, on grey pictures."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Float[Tensor, "b 1 s s"]) -> Float[Tensor, "b 14"]:
        """Pictures in -1..1 => logits of the findings."""
        return self.network(x.expand(-1, 3, -1, -1))


def make_network(spec: ClassifierSpec) -> nn.Module:
    """Pictures [b, 1, s, s] in -1..1 => logits [b, 14]. Raises UserError for an unknown network, and for weights that
    do not fit it."""
    if spec.network == SMALL:
        if spec.weights:
            raise UserError("The network 'small' takes no weights: name a torchvision network, or leave them out.")
        return SmallNetwork()
    try:
        from torchvision import models
    except ImportError:
        raise UserError(
            f"torchvision is not installed: run `pip install omnicxr[downstream]` for {spec.network}, or use 'small'."
        ) from None
    known = models.list_models(module=models)
    if spec.network not in known:
        raise UserError(
            f"Unknown network '{spec.network}': choose small, or one of torchvision's such as densenet121, resnet18."
        )
    network = models.get_model(spec.network, weights=None, num_classes=len(Finding))
    if spec.weights:
        _load(network, spec.weights)
    return GreyNetwork(network)


def _load(network: nn.Module, path: Path) -> None:
    """All but the last layer, whose number of classes differs."""
    try:
        state = load_file(plain_file(path, remedy="give a safetensors file"))
    except (OSError, SafetensorError) as error:
        raise UserError(f"The weights {path} cannot be read ({error}): give a safetensors file.") from error
    own = network.state_dict()
    fitting = {k: v for k, v in state.items() if k in own and own[k].shape == v.shape}
    missing = [k for k in own if k not in fitting and not k.endswith("num_batches_tracked")]
    if len(missing) > 2:  # weight and bias of the last layer
        raise UserError(
            f"The weights {path} do not fit the network ('{missing[0]}' differs): give those of the same network."
        )
    if wrong := [k for k, v in fitting.items() if not v.float().isfinite().all()]:
        raise UserError(f"The weights {path} are not finite ('{wrong[0]}' has NaN or infinity): get the file again.")
    network.load_state_dict(fitting, strict=False)


@dataclass(frozen=True)
class TrainingSet:
    """Groups of studies (data set, rows); every batch has equally many of each, or, `together`, draws from all studies
    alike."""

    groups: tuple[tuple[PreparedDataset, np.ndarray], ...]
    together: bool = False

    def __len__(self) -> int:
        return sum(len(rows) for _, rows in self.groups)

    def batch(self, view: Modality, size: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Pictures [b, 1, s, s] in -1..1 and labels [b, 14]; a study can come twice."""
        lengths = np.array([len(rows) for _, rows in self.groups])
        if self.together:
            counts = rng.multinomial(size, lengths / lengths.sum())
        else:
            counts = np.diff(np.round(np.linspace(0, size, len(lengths) + 1)).astype(int))
        pictures, labels = [], []
        for (data, rows), count in zip(self.groups, counts, strict=True):
            if count:
                drawn = rng.choice(rows, count)
                pictures.append(data.images(view, drawn))
                labels.append(data.labels[drawn])
        return pixels_from_uint8(torch.from_numpy(np.concatenate(pictures))), torch.from_numpy(np.concatenate(labels))


def uncertain_as(labels: Tensor, rule: str) -> Tensor:
    """Labels 1, 0, -1, NaN with uncertain ones as the rule says: left out of the loss (ignore: stay -1), positive or
    negative."""
    value = {"ignore": -1.0, "positive": 1.0, "negative": 0.0}[rule]
    return torch.where(labels == -1, value, labels)


def train_classifier(
    network: nn.Module,
    data: TrainingSet,
    spec: ClassifierSpec,
    *,
    view: Modality,
    steps: int,
    peak: float,
    uncertain: str,
    seed: int,
    device: str = "cpu",
    mixed_precision: bool = False,
) -> float:
    """Train in place; returns the mean loss of the last tenth of the steps. Equal seeds give equal weights."""
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, 13])
    network.to(device).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=peak, weight_decay=spec.weight_decay)
    warm_up = max(steps // 10, 1)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda i: min((i + 1) / warm_up, 0.5 * (1 + math.cos(math.pi * max(i - warm_up, 0) / max(steps - warm_up, 1)))),
    )
    losses: list[float] = []
    for _ in range(steps):
        x, labels = data.batch(view, spec.batch_size, rng)
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=mixed_precision):
            logits = network(jitter(x).to(device))
        loss = finding_loss(logits.float(), uncertain_as(labels, uncertain).to(device))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
    return float(np.mean(losses[-max(steps // 10, 1) :]))


@torch.no_grad()
def scores_of(
    network: nn.Module, data: PreparedDataset, rows: np.ndarray, *, view: Modality, device: str = "cpu"
) -> np.ndarray:
    """Finding probabilities float32 [n, 14]."""
    network.to(device).eval()
    out: list[Any] = []
    for start in range(0, len(rows), CHUNK):
        x = pixels_from_uint8(torch.from_numpy(data.images(view, rows[start : start + CHUNK])))
        out.append(network(x.to(device)).sigmoid().cpu().numpy())
    return np.concatenate(out).astype(np.float32)
