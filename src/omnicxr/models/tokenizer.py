"""Report text <=> token ids: byte-level BPE, lower case, trained on the reports at hand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch import Tensor

from omnicxr.data.files import write_text
from omnicxr.data.plain_files import read_json_object
from omnicxr.domain import UserError
from omnicxr.domain.settings import Between
from omnicxr.models.component import REMEDY

VocabSize = Annotated[int, Between(4, 262_144)]
MaxTokens = Annotated[int, Between(4, 4096)]
PAD, BEGIN, END = 0, 1, 2
_SPECIAL = ["<pad>", "<begin>", "<end>"]


class ReportTokenizer:
    """Text => BEGIN, tokens, END, at most `max_tokens` in all; text comes back lower-cased."""

    def __init__(self, tokenizer: Tokenizer, max_tokens: int) -> None:
        self.tokenizer, self.max_tokens = tokenizer, max_tokens

    @classmethod
    def train(cls, reports: Iterable[str], *, vocab_size: int, max_tokens: int) -> ReportTokenizer:
        """A vocabulary of at most `vocab_size` byte pairs, from the training reports."""
        tokenizer = _untrained()
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

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the vocabulary and the merges: two tokenizers with the same one read alike."""
        merges = [
            list(m) if isinstance(m, list) else m.split(" ")
            for m in json.loads(self.tokenizer.to_str())["model"]["merges"]
        ]
        return hashlib.sha256(json.dumps([sorted(self.tokenizer.get_vocab().items()), merges]).encode()).hexdigest()

    def encode(self, reports: Sequence[str]) -> Tensor:
        """Reports => ids [n, longest], padded; what does not fit is cut off."""
        rows = [[BEGIN, *e.ids[: self.max_tokens - 2], END] for e in self.tokenizer.encode_batch(list(reports))]
        out = torch.full((len(rows), max(map(len, rows))), PAD)
        for i, row in enumerate(rows):
            out[i, : len(row)] = torch.tensor(row)
        return out

    def pieces_of(self, other: ReportTokenizer) -> list[list[int]]:
        """Of every token of another tokenizer, the ids of the tokens here that its text is cut into."""
        names = sorted(other.tokenizer.get_vocab().items(), key=lambda item: item[1])
        return [self._pieces(name) for name, _ in names]

    def _pieces(self, name: str) -> list[int]:
        """Of a token as the vocabulary writes it: longest known beginnings; every byte is a token."""
        if (whole := self.tokenizer.token_to_id(name)) is not None:
            return [whole]
        known = next(n for n in range(len(name) - 1, 0, -1) if self.tokenizer.token_to_id(name[:n]) is not None)
        return [*self._pieces(name[:known]), *self._pieces(name[known:])]

    def fits(self, report: str) -> bool:
        """Whether nothing of a report would be cut off."""
        return len(self.tokenizer.encode(report).ids) <= self.max_tokens - 2

    def decode(self, ids: Tensor) -> list[str]:
        """ids [n, length] => reports, each up to its END."""
        rows = [row[: row.index(END)] if END in row else row for row in ids.tolist()]
        return [" ".join(text.split()) for text in self.tokenizer.decode_batch(rows)]

    def save(self, folder: Path) -> None:
        """Write FOLDER/tokenizer.json."""
        write_text(folder / "tokenizer.json", self.tokenizer.to_str(pretty=True))

    @classmethod
    def load(cls, folder: Path, *, max_tokens: int) -> ReportTokenizer:
        """What `save` wrote. Raises UserError for a missing or damaged file, and for another kind of tokenizer."""
        path = folder / "tokenizer.json"
        read_json_object(path, remedy=REMEDY)
        try:
            tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
        except Exception as error:  # the library raises bare Exception for a file it cannot parse
            raise UserError(f"{path} is missing or damaged ({error}): {REMEDY}.") from error
        if not _is_ours(tokenizer):
            raise UserError(f"{path} is not a tokenizer of this project: {REMEDY}.")
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return cls(tokenizer, max_tokens)


def _untrained() -> Tokenizer:
    """How text is cut before byte pairs are joined, and put together again."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])  # type: ignore[assignment]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(  # type: ignore[assignment]
        [pre_tokenizers.ByteLevel(add_prefix_space=True), pre_tokenizers.Digits(individual_digits=True)]
    )
    tokenizer.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    return tokenizer


def _is_ours(tokenizer: Tokenizer) -> bool:
    """Whether it cuts and joins as `_untrained`, with the special tokens in their places."""
    parts = [[str(t.normalizer), str(t.pre_tokenizer), str(t.decoder)] for t in (tokenizer, _untrained())]
    model = tokenizer.model
    return (
        parts[0] == parts[1]
        and isinstance(model, models.BPE)
        and not model.dropout
        and [t.content for _, t in sorted(tokenizer.get_added_tokens_decoder().items()) if t.special] == _SPECIAL
        and [tokenizer.token_to_id(name) for name in _SPECIAL] == [PAD, BEGIN, END]
    )


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
