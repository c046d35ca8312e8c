"""Model folders: every value of every JSON file, weights, tokenizers, and what is no file at all."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.robustness.cases import (
    SPECIAL,
    Case,
    Expect,
    Folders,
    change_json,
    draw_flips,
    flipped,
    linked_copy,
    rewrite,
    special,
)

NETWORKS = ("image_autoencoder", "refiner", "report_autoencoder", "prompts", "generator", "guide", "judge")
INDEX, CONFIG, WEIGHTS, TOKENIZER = "model_index.json", "config.json", "model.safetensors", "tokenizer/tokenizer.json"
WRONG = (None, "x", "", -1, 0.5, True, [], {}, 10**7, 10**30, float("nan"), float("inf"))
FREE = (
    "provenance",
    "design",
    "steps",
    "max_tokens",
    "image_size",
    "guidance_scale",
    "autoguidance_scale",
    "principal_axes",
)
"""Some of WRONG may be right for these, or change no weight."""
Change = Callable[[Path], object]


def cases(rng: random.Random) -> Iterator[Case]:
    """All of them."""
    yield Case(name="as it should be", run=lambda f: generate(f.model), expect="handled")
    yield Case(name="a copy", run=lambda f: generate(linked_copy(f.model)), expect="handled")
    yield from values()
    yield from wholes()
    yield from weights(rng)
    yield from tokenizers(rng)


def generate(model: Path) -> list[str]:
    given = ("--report", "Small left effusion.", "--to", "frontal,lateral")
    return ["generate", *given, "--num", "1", "--steps", "1", "--model", str(model), "--out", "out"]


def synthesize(model: Path) -> list[str]:
    """The command that needs the judge."""
    gate = ("--gate-agreement", "0.1", "--tries", "1")
    return ["synthesize", "--num", "1", "--steps", "1", *gate, "--workers", "1", "--model", str(model), "--out", "out"]


def changed(name: str, change: Change, *, expect: Expect = "refused", says: str = "", judge: bool = False) -> Case:
    """A copy of the model with one change."""

    def run(folders: Folders) -> list[str]:
        model = linked_copy(folders.model)
        change(model)
        return (synthesize if judge else generate)(model)

    return Case(name=name, run=run, expect=expect, says=says)


SETTINGS: dict[str, dict[str, Any]] = {
    "image_autoencoder": {"latent_channels": 4, "pixels_per_latent": 8, "widths": [16, 32], "encoder_blocks": 1,
                          "decoder_blocks": 1},
    "refiner": {"latent_channels": 4, "channels": 16, "blocks": 4, "steps": 4},
    "report_autoencoder": {"latent_tokens": 4, "latent_channels": 16, "width": 64, "encoder_depth": 1, "heads": 2,
                           "vocab_size": 320, "max_tokens": 64},
    "prompts": {"vocab_size": 320, "image_channels": [16, 32], "image_size": 64, "text_width": 128, "text_depth": 3,
                "text_heads": 4, "dim": 32},
    "generator": {"width": 32, "depth": 2, "heads": 2, "local_channels": 16, "principal_axes": 16, "image_channels": 4,
                  "latent_size": 8, "report_tokens": 4, "report_channels": 16, "prompt_dim": 32},
    "judge": {"image_channels": [16, 32], "measure_mean": [0.5] * 15},
}  # fmt: skip
"""What a model of the smallest preset is built from: the keys whose values are tried."""


def values() -> Iterator[Case]:
    """Values of other types, out of any range, and missing."""
    for network, settings in SETTINGS.items():
        path, judge = f"{network}/{CONFIG}", network == "judge"
        for key in settings:
            for wrong in WRONG:
                expect: Expect = "either" if key in FREE and isinstance(wrong, int | float) and wrong > 0 else "refused"
                change = lambda m, p=path, k=key, v=wrong: change_json(m / p, lambda j: {**j, k: v})  # noqa: E731
                yield changed(
                    f"{network} {key}={json.dumps(wrong)[:20]}", change, expect=expect, says=CONFIG, judge=judge
                )
            gone = lambda m, p=path, k=key: change_json(m / p, lambda j: {a: b for a, b in j.items() if a != k})  # noqa: E731
            yield changed(f"{network} without {key}", gone, expect="either", judge=judge)
        more = lambda m, p=path: change_json(m / p, lambda j: {**j, "more": 1})  # noqa: E731
        yield changed(f"{network} with another setting", more, says=CONFIG, judge=judge)
    for key in ("format", "image_size", "design", "sampling"):
        for wrong in (*WRONG, 65, 0, [1]):
            change = lambda m, k=key, v=wrong: change_json(m / INDEX, lambda j: {**j, k: v})  # noqa: E731
            expect = "either" if key == "sampling" and wrong == {} else "refused"
            yield changed(f"index {key}={json.dumps(wrong)[:20]}", change, expect=expect, says=INDEX)
    for key in ("num_inference_steps", "guidance_scale", "autoguidance_scale", "guidance_interval"):
        for wrong in (*WRONG, [1], [1, 2, 3], [2, 1], "0"):
            expect = "either" if wrong is None or (key.endswith("scale") and wrong in (True, 0.5)) else "refused"
            put = lambda j, k=key, v=wrong: {**j, "sampling": {**j["sampling"], k: v}}  # noqa: E731
            yield changed(
                f"sampling {key}={json.dumps(wrong)[:20]}", lambda m, c=put: change_json(m / INDEX, c), expect=expect
            )


def wholes() -> Iterator[Case]:
    """Whole JSON files that are something else, or not there."""
    texts = {"null": "null", "list": "[]", "list of objects": "[{}]", "object": "{}", "string": '"x"', "number": "7",
    "empty": "",
             "half": '{"format": 3, "image_', "garbage": "\x00\x01{", "latin-1": '{"é": 1}', "deep": "[" * 100_000,
             "bom": "\ufeff{}", "big number": "1" + "0" * 5000}  # fmt: skip
    paths = (
        INDEX,
        f"generator/{CONFIG}",
        f"prompts/{CONFIG}",
        f"image_autoencoder/{CONFIG}",
        f"report_autoencoder/{CONFIG}",
    )
    for path in paths:
        for name, text in texts.items():
            data = text.encode("latin-1" if name == "latin-1" else "utf-8")
            yield changed(f"{path} {name}", lambda m, p=path, d=data: rewrite(m / p, d), says=Path(path).name)
        for kind in SPECIAL:
            yield changed(f"{path} a {kind}", lambda m, p=path, k=kind: special(m / p, k), says=Path(path).name)


def weights(rng: random.Random) -> Iterator[Case]:
    """NaN, wrong shapes and types, missing and more tensors, damage."""
    for network in NETWORKS:
        path, judge = f"{network}/{WEIGHTS}", network == "judge"
        for name, edit in EDITS.items():
            expect: Expect = "either" if name in ("float64", "float16") else "refused"
            change = lambda m, p=path, e=edit: edit_weights(m / p, e)  # noqa: E731
            yield changed(f"{network} weights {name}", change, expect=expect, says=WEIGHTS, judge=judge)
        for kind in SPECIAL:
            change = lambda m, p=path, k=kind: special(m / p, k)  # noqa: E731
            yield changed(f"{network} weights a {kind}", change, says=WEIGHTS, judge=judge)
        bytes_ = {"empty": b"", "zeros": bytes(1000), "garbage": bytes(range(256)) * 9,
        "header of 1e15": struct.pack("<Q", 10**15),
                  "header of nothing": struct.pack("<Q", 2) + b"{}", "header no JSON": struct.pack("<Q",
                  4) + b"[[[["}  # fmt: skip
        for name, data in bytes_.items():
            change = lambda m, p=path, d=data: rewrite(m / p, d)  # noqa: E731
            yield changed(f"{network} weights {name}", change, says=WEIGHTS, judge=judge)
        for share in (0.001, 0.5, 0.999):
            change = lambda m, p=path, s=share: rewrite(m / p, cut((m / p).read_bytes(), s))  # noqa: E731
            yield changed(f"{network} weights cut at {share}", change, says=WEIGHTS, judge=judge)
        for i in range(3):
            flips = [(share * 0.01, bits) for share, bits in draw_flips(rng, 3)]
            change = lambda m, p=path, fl=flips: rewrite(m / p, flipped((m / p).read_bytes(), fl))  # noqa: E731
            yield changed(f"{network} weights flip {i}", change, expect="either", judge=judge)
    for network in NETWORKS[:5]:
        yield changed(f"{network} missing", lambda m, n=network: (m / n).rename("gone"))
    swap = lambda m: rewrite(m / "generator" / WEIGHTS, (m / "guide" / WEIGHTS).read_bytes())  # noqa: E731
    yield changed("weights of the guide as the generator's", swap, says=WEIGHTS)


def cut(data: bytes, share: float) -> bytes:
    return data[: int(share * len(data))]


def edit_weights(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    from safetensors.torch import load_file, save

    tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
    edit(tensors)
    rewrite(path, save({name: tensor.contiguous().clone() for name, tensor in tensors.items()}))


def floats(tensors: dict[str, Any]) -> str:
    """The name of the largest tensor of floats."""
    return max((name for name, t in tensors.items() if t.is_floating_point()), key=lambda name: tensors[name].numel())


def fill(tensors: dict[str, Any], value: float, *, one: bool) -> None:
    for name in [floats(tensors)] if one else list(tensors):
        if tensors[name].is_floating_point():
            target = tensors[name].view(-1)
            target[: 1 if one else None] = value


def replace(tensors: dict[str, Any], change: Callable[[Any], Any]) -> None:
    name = floats(tensors)
    tensors[name] = change(tensors[name])


EDITS: dict[str, Callable[[dict[str, Any]], object]] = {
    "nan": lambda t: fill(t, float("nan"), one=False),
    "one nan": lambda t: fill(t, float("nan"), one=True),
    "inf": lambda t: fill(t, float("inf"), one=False),
    "one -inf": lambda t: fill(t, float("-inf"), one=True),
    "one missing": lambda t: t.pop(floats(t)),
    "one more": lambda t: t.update(more=t[floats(t)][:1]),
    "one renamed": lambda t: t.update(renamed=t.pop(floats(t))),
    "another shape": lambda t: replace(t, lambda x: x[..., :1]),
    "no elements": lambda t: replace(t, lambda x: x[:0]),
    "int64": lambda t: replace(t, lambda x: x.long()),
    "bool": lambda t: replace(t, lambda x: x > 0),
    "float64": lambda t: replace(t, lambda x: x.double()),
    "float16": lambda t: replace(t, lambda x: x.half()),
    "none at all": lambda t: t.clear(),
}


def tokenizers(rng: random.Random) -> Iterator[Case]:
    """Tokenizers that are none, or of another model."""
    texts = {
        "empty": "",
        "null": "null",
        "list": "[]",
        "object": "{}",
        "garbage": "\x00\x01",
        "half": '{"version": "1.0", "trunc',
    }
    for name, text in texts.items():
        yield changed(f"tokenizer {name}", lambda m, t=text: rewrite(m / TOKENIZER, t), says="tokenizer")
    for kind in SPECIAL:
        yield changed(f"tokenizer a {kind}", lambda m, k=kind: special(m / TOKENIZER, k), says="tokenizer")
    yield changed("tokenizer of the bundled model", bundled_tokenizer, says="tokenizer")
    yield changed("tokenizer of other words", other_words, says="tokenizer")
    yield changed("tokenizer with two words exchanged", exchanged, says="tokenizer")
    for share in (0.3, 0.9):
        change = lambda m, s=share: rewrite(m / TOKENIZER, cut((m / TOKENIZER).read_bytes(), s))  # noqa: E731
        yield changed(f"tokenizer cut at {share}", change, says="tokenizer")
    for i in range(6):
        flips = draw_flips(rng, 2)
        change = lambda m, fl=flips: rewrite(m / TOKENIZER, flipped((m / TOKENIZER).read_bytes(), fl))  # noqa: E731
        yield changed(f"tokenizer flip {i}", change, expect="either")


def bundled_tokenizer(model: Path) -> None:
    from omnicxr.models.folder import BUNDLED

    rewrite(model / TOKENIZER, (BUNDLED / TOKENIZER).read_bytes())


def other_words(model: Path) -> None:
    """Of the same size, trained on other texts."""
    from omnicxr.models.tokenizer import ReportTokenizer

    texts = ["zqxj vwkz jjxq wvzz kqxz " * 9, "xkcd qwzv zzyx vvkw jqxk"] + [
        "".join(chr(97 + (i * j) % 26) for j in range(60)) for i in range(99)
    ]
    other = ReportTokenizer.train(texts, vocab_size=320, max_tokens=64)
    (model / TOKENIZER).unlink()
    other.save(model / "tokenizer")


def exchanged(model: Path) -> None:
    def change(found: dict[str, Any]) -> dict[str, Any]:
        vocabulary = found["model"]["vocab"]
        a, b = sorted(vocabulary)[-2:]
        vocabulary[a], vocabulary[b] = vocabulary[b], vocabulary[a]
        return found

    change_json(model / TOKENIZER, change)
