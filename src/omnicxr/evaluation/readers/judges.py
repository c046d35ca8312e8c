"""Whose judge reads: that of the model that is measured, or of another model folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from omnicxr.domain import UserError
from omnicxr.models.folder import load_judge, load_tokenizer, read_index
from omnicxr.models.judge import Judge, JudgeConfig
from omnicxr.models.tokenizer import ReportTokenizer


@dataclass(frozen=True)
class JudgeReader:
    """A judge and the tokenizer that it was trained with."""

    judge: Judge
    tokenizer: ReportTokenizer

    @classmethod
    def load(cls, folder: Path, *, image_size: int, device: str = "cpu") -> JudgeReader:
        """That of a model folder, to read pictures of `image_size` pixels.

        Raises UserError for a folder that is no model or has no judge, and for pictures that it cannot see at its size.
        """
        read_index(folder)
        if not (folder / "judge").is_dir():
            raise UserError(
                f"{folder} has no judge to measure with: run `omnicxr train judge` in its run folder, or name another"
                " model folder with --judge."
            )
        seen = Judge.load(folder / "judge").config
        if image_size % seen.image_size:
            raise UserError(
                f"The judge of {folder} sees pictures at {seen.image_size} px, which {image_size} is no multiple of:"
                " name another model folder with --judge."
            )
        tokenizer = load_tokenizer(folder, max_tokens=seen.max_tokens)
        return cls(load_judge(folder, tokenizer).to(device), tokenizer)


def measures_missing(judge: Judge) -> str:
    """Why a judge's estimates of continuous truth say nothing; empty where it has learned them.

    One that was trained on studies without such truth keeps the mean 0 and spread 1 that its settings begin with.
    """
    config = judge.config
    if (config.measure_mean, config.measure_std) != (JudgeConfig.measure_mean, JudgeConfig.measure_std):
        return ""
    return (
        "The judge was trained on studies without continuous truth and estimates none: read with one that was trained"
        " on simulated studies (--judge DIR)."
    )
