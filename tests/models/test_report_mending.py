import torch

from omnicxr import AnyToAnyPipeline
from omnicxr.domain import Modality
from omnicxr.models.report_mending import mended_report

EFFUSION, DENIAL = "large left pleural effusion.", "no pleural effusion."
TEXT = f"{EFFUSION} right chest tube. {DENIAL}"


def test_the_sentence_goes_without_which_the_report_is_nearer_to_what_is_given(pipe: AnyToAnyPipeline) -> None:
    """Given the report without either of them, that report comes out."""

    def embedded(text: str) -> torch.Tensor:
        return pipe.prompt_encoders.embed(Modality.REPORT, pipe.network_input(Modality.REPORT, [text]))[0]

    for gone in (EFFUSION, DENIAL):
        wanted = " ".join(TEXT.replace(gone, "").split())
        text, note = mended_report(TEXT, pipe.prompt_encoders, pipe.tokenizer, prompt_embeds=embedded(wanted))
        assert (text, note.removed, note.contradicted) == (wanted, (gone,), True)
    alone, _ = mended_report(TEXT, pipe.prompt_encoders, pipe.tokenizer)
    assert alone in [" ".join(TEXT.replace(gone, "").split()) for gone in (EFFUSION, DENIAL)]


def test_what_repeats_is_noted_as_no_contradiction(pipe: AnyToAnyPipeline) -> None:
    text, note = mended_report(f"{DENIAL} there is {DENIAL}", pipe.prompt_encoders, pipe.tokenizer)
    assert (text, note.contradicted, note.removed, note.repeated) == (DENIAL, False, (), (f"there is {DENIAL}",))
