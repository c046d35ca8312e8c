"""CheXbert (Smit et al., EMNLP 2020): 14 findings stated by a report, by a BERT with one head per finding.

The checkpoint is published by its authors under their own terms; it is read from a folder that the error text of a
missing one describes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from omnicxr.domain import Finding, UserError
from omnicxr.evaluation.readers.weights import library, weights_at

VARIABLE = "OMNICXR_CHEXBERT"
GET = (
    "put the vocab.txt of bert-base-uncased into a folder and make chexbert.safetensors there of the authors'"
    " chexbert.pth: `python -c 'from torch import load; from safetensors.torch import save_file; s ="
    ' load("chexbert.pth", map_location="cpu")["model_state_dict"]; save_file({k: v.contiguous() for k, v in'
    ' s.items()}, "chexbert.safetensors")\'`'
)
HEADS = (
    Finding.ENLARGED_CARDIOMEDIASTINUM, Finding.CARDIOMEGALY, Finding.LUNG_OPACITY, Finding.LUNG_LESION,
    Finding.EDEMA, Finding.CONSOLIDATION,
    Finding.PNEUMONIA, Finding.ATELECTASIS, Finding.PNEUMOTHORAX, Finding.PLEURAL_EFFUSION, Finding.PLEURAL_OTHER,
    Finding.FRACTURE,
    Finding.SUPPORT_DEVICES, Finding.NO_FINDING,
)  # fmt: skip
"""The order of the heads in the checkpoint."""
CLASSES, NO_FINDING_CLASSES = 4, 2
"""Blank, positive, negative, uncertain; of the last head only the first two."""
POSITIVE = 1
MAX_TOKENS = 512
CHUNK = 16


class CheXbert(nn.Module):
    """Names of parameters as in the checkpoint."""

    def __init__(self, bert: Any, width: int) -> None:
        super().__init__()
        self.bert = bert
        self.linear_heads = nn.ModuleList(
            nn.Linear(width, NO_FINDING_CLASSES if f is Finding.NO_FINDING else CLASSES) for f in HEADS
        )

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> list[Tensor]:
        """Token ids [b, n] => logits of every head."""
        hidden = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state[:, 0]
        return [head(hidden) for head in self.linear_heads]


class CheXbertLabeler:
    """Reports => bool [n, 14]: findings stated as present."""

    def __init__(self, device: str, **config: Any) -> None:
        """`config` replaces sizes of bert-base-uncased."""
        folder = weights_at(VARIABLE, GET)
        transformers = library("transformers", "extractors")
        settings = transformers.BertConfig(**config)
        self.device = device
        self.network = CheXbert(transformers.BertModel(settings), settings.hidden_size)
        try:
            self.network.load_state_dict(_checkpoint(folder / "chexbert.safetensors"))
        except RuntimeError as error:
            raise UserError(f"{folder} does not hold the weights of CheXbert ({str(error)[:120]}): {GET}.") from error
        self.network.to(device).eval()
        if not (folder / "vocab.txt").is_file():
            raise UserError(f"{folder / 'vocab.txt'} is missing: {GET}.")
        from tokenizers import BertWordPieceTokenizer

        self.tokenizer = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=True)
        self.tokenizer.enable_truncation(MAX_TOKENS)
        self.tokenizer.enable_padding()

    @torch.no_grad()
    def __call__(self, reports: Sequence[str]) -> np.ndarray:
        """A `panel.Labeler`: reports => bool [n, 14]."""
        out = np.zeros((len(reports), len(Finding)), bool)
        for start in range(0, len(reports), CHUNK):
            encoded = self.tokenizer.encode_batch([" ".join(r.split()) for r in reports[start : start + CHUNK]])
            ids, mask = (
                torch.tensor([getattr(e, k) for e in encoded], device=self.device) for k in ("ids", "attention_mask")
            )
            for finding, logits in zip(HEADS, self.network(ids, mask), strict=True):
                out[start : start + len(encoded), list(Finding).index(finding)] = (
                    (logits.argmax(1) == POSITIVE).cpu().numpy()
                )
        return out


def _checkpoint(path: Path) -> dict[str, Tensor]:
    """The state of the network, without the prefix of the authors' data parallelism and a buffer that newer BERTs do
    not keep."""
    if not path.is_file():
        raise UserError(f"{path} is missing: {GET}.")
    try:
        return {
            k.removeprefix("module."): v
            for k, v in load_file(path).items()
            if not k.endswith("embeddings.position_ids")
        }
    except SafetensorError as error:
        raise UserError(f"{path} is not a safetensors file ({str(error)[:120]}): {GET}.") from error
