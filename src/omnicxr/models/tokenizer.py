"""Report text <=> token ids: byte-level BPE, lower case, trained on the reports at hand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch import Tensor

from omnicxr.domain import UserError

PAD, BEGIN, END = 0, 1, 2
_SPECIAL = ["<pad>", "<begin>", "<end>"]


class ReportTokenizer:
    """Text => BEGIN, tokens, END, at most `max_tokens` in all; text comes back lower-cased."""

    def __init__(self, tokenizer: Tokenizer, max_tokens: int) -> None:
        self.tokenizer, self.max_tokens = tokenizer, max_tokens

    @classmethod
    def train(cls, reports: Iterable[str], *, vocab_size: int, max_tokens: int) -> ReportTokenizer:
        """A vocabulary of at most `vocab_size` byte pairs, from the training reports."""
        tokenizer = Tokenizer(models.BPE())
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])  # type: ignore[assignment]
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(  # type: ignore[assignment]
            [pre_tokenizers.ByteLevel(add_prefix_space=True), pre_tokenizers.Digits(individual_digits=True)]
        )
        tokenizer.decoder = decoders.ByteLevel()  # type: ignore[assignment]
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=_SPECIAL,
            show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        )
        tokenizer.train_from_iterator(reports, trainer)
        return cls(tokenizer, max_tokens)

    @property
    def vocab_size(self) -> int:
        """Number of tokens."""
        return self.tokenizer.get_vocab_size()

    def encode(self, reports: Sequence[str]) -> Tensor:
        """Reports => ids [n, longest], padded; what does not fit is cut off."""
        rows = [[BEGIN, *e.ids[: self.max_tokens - 2], END] for e in self.tokenizer.encode_batch(list(reports))]
        out = torch.full((len(rows), max(map(len, rows))), PAD)
        for i, row in enumerate(rows):
            out[i, : len(row)] = torch.tensor(row)
        return out

    def decode(self, ids: Tensor) -> list[str]:
        """ids [n, length] => reports, each up to its END."""
        rows = [row[: row.index(END)] if END in row else row for row in ids.tolist()]
        return [" ".join(text.split()) for text in self.tokenizer.decode_batch(rows)]

    def save(self, folder: Path) -> None:
        """Write FOLDER/tokenizer.json."""
        folder.mkdir(parents=True, exist_ok=True)
        self.tokenizer.save(str(folder / "tokenizer.json"))

    @classmethod
    def load(cls, folder: Path, *, max_tokens: int) -> ReportTokenizer:
        """What `save` wrote. Raises UserError for a missing or damaged file."""
        path = folder / "tokenizer.json"
        try:
            return cls(Tokenizer.from_str(path.read_text(encoding="utf-8")), max_tokens)
        except Exception as error:  # the library raises bare Exception for a file it cannot parse
            raise UserError(f"{path} is missing or damaged ({error}): get the model folder again.") from error


def sentence_case(text: str) -> str:
    """Capital letters at the start of sentences, for showing reports that models write in lower case."""
    out, start = [], True
    for i, char in enumerate(text):
        out.append(char.upper() if start and char.isalpha() else char)
        if char in ".!?" and (i + 1 == len(text) or text[i + 1] == " "):
            start = True
        elif not char.isspace():
            start = False
    return "".join(out)


def each_sentence_once(text: str) -> str:
    """The text without sentences that stand in it already (upper and lower case alike)."""
    sentences: dict[str, str] = {}
    for sentence in re.split(r"(?<=[.!?])\s+", text.strip()):
        sentences.setdefault(sentence.lower(), sentence)
    return " ".join(sentences.values())
