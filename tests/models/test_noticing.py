"""What is said of inputs, when it is refused, and what a model is given in their place."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from omnicxr.data.vocabulary import Vocabulary
from omnicxr.domain import Fit, Modality, Notes, PictureNote, PromptNote, UserError
from omnicxr.models import noticing
from omnicxr.models.door import Door, Limit, ViewCheck
from omnicxr.models.efficientnet import TEXTURES
from omnicxr.models.noticing import Doorkeeper, InputWarning, as_understood, tell
from omnicxr.models.radiographs import ChestRadiographs
from omnicxr.pipeline import AnyToAnyPipeline

KNOWN = Vocabulary.of(["Large left pleural effusion. No pneumothorax.", "No acute cardiopulmonary process."] * 60)
GREY = np.tile(np.arange(64, dtype=np.uint8) * 3, (64, 1))


def keeper(pipe: AnyToAnyPipeline, *, limit: float, cosine: float) -> Doorkeeper:
    """Of a model that has seen everything within `limit`."""
    limits = {name: Limit(0.0, limit) for name in ("texture", "redrawing")}
    view = ViewCheck(torch.zeros(TEXTURES), torch.eye(TEXTURES), limits)
    door = Door(vocabulary=KNOWN, views={Modality.FRONTAL: view}, agreement={Modality.FRONTAL: cosine})
    return replace(pipe.doorkeeper, door=door)


@pytest.fixture
def any_film(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every picture is a chest film, the right way round."""
    monkeypatch.setattr(ChestRadiographs, "score", lambda self, features: torch.zeros(len(features)))
    monkeypatch.setattr(noticing, "what_is_wrong", lambda picture, modality: "")


def test_pictures_within_the_limits_are_as_known(pipe: AnyToAnyPipeline, any_film: None) -> None:
    (known,) = keeper(pipe, limit=1e9, cosine=-1.0).pictures(Modality.FRONTAL, GREY[None])
    (unlike,) = keeper(pipe, limit=1e-3, cosine=-1.0).pictures(Modality.FRONTAL, GREY[None])
    assert (known.fit, known.reason) == (Fit.AS_KNOWN, "")
    assert unlike.fit is Fit.UNLIKE and "times as far off as it may be" in unlike.reason
    assert set(unlike.measured) == {"texture", "redrawing"}


def test_what_is_no_film_is_not_usable_whatever_the_model_has_seen(
    pipe: AnyToAnyPipeline, any_film: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(noticing, "what_is_wrong", lambda picture, modality: "it looks upside down: turn it")
    for door in (keeper(pipe, limit=1e9, cosine=-1.0), replace(pipe.doorkeeper, door=None)):
        (note,) = door.pictures(Modality.FRONTAL, GREY[None])
        assert (note.fit, note.reason) == (Fit.NOT_USABLE, "it looks upside down: turn it")


def test_without_a_door_pictures_are_not_checked_and_texts_are_not_parsed(
    pipe: AnyToAnyPipeline, any_film: None
) -> None:
    given = {Modality.FRONTAL: [GREY], Modality.REPORT: ["blorb"]}
    (notes,) = replace(pipe.doorkeeper, door=None).notice(given)
    assert (notes.pictures[0].fit, notes.prompt, notes.fit) == (Fit.NOT_CHECKED, None, Fit.NOT_CHECKED)
    assert "was not checked" in notes.sentences()[0] and not notes.doubtful


@pytest.mark.parametrize(("cosine", "said"), [(1.1, True), (-1.1, False)])
def test_a_picture_and_a_report_that_do_not_go_together(
    pipe: AnyToAnyPipeline, any_film: None, cosine: float, said: bool
) -> None:
    given = {Modality.FRONTAL: [GREY], Modality.REPORT: ["Large left pleural effusion."]}
    (notes,) = keeper(pipe, limit=1e9, cosine=cosine).notice(given)
    assert bool(notes.disagreement) is said is notes.doubtful
    unlike = keeper(pipe, limit=1e-3, cosine=1.1).notice(given)
    assert unlike[0].disagreement == "", "nothing can be said of a foreign picture"


def note(text: str, understood_as: str, fit: Fit = Fit.AS_KNOWN) -> Notes:
    return Notes(prompt=PromptNote(text=text, understood_as=understood_as, fit=fit, reason="it is not English"))


def test_texts_are_given_as_they_were_understood() -> None:
    given = {Modality.REPORT: ["L eff", "Edema."], Modality.FRONTAL: [GREY, GREY]}
    understood = as_understood(given, [note("L eff", "Left pleural effusion."), Notes()])
    assert understood[Modality.REPORT] == ["Left pleural effusion.", "Edema."]
    assert understood[Modality.FRONTAL] is given[Modality.FRONTAL]


def test_what_is_doubtful_is_said_or_refused() -> None:
    upside_down = PictureNote(modality=Modality.LATERAL, fit=Fit.NOT_USABLE, reason="it looks upside down: turn it")
    known, odd, foreign = note("a", "b"), Notes(pictures=(upside_down,)), note("c", "c", Fit.NOT_USABLE)
    with pytest.warns(InputWarning, match="Study 1: The lateral view is not usable: it looks upside down: turn it"):
        tell([known, odd], strict=False, quiet=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tell([known], strict=True, quiet=False)
        tell([odd, foreign], strict=False, quiet=True)
    with pytest.raises(UserError, match=r"^The report is not understood: it is not English\. Nothing was generated"):
        tell([foreign], strict=True, quiet=True)


def test_raw_and_strict_exclude_each_other(pipe: AnyToAnyPipeline) -> None:
    with pytest.raises(UserError, match="choose one"):
        pipe(generate="report", raw=True, strict=True)
    text = "Derrame pleural izquierdo."
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        raw = pipe(report=text, generate="frontal", raw=True, num_inference_steps=2)
    with pytest.raises(UserError, match="not understood"):
        pipe(report=text, generate="frontal", strict=True, num_inference_steps=2)
    assert raw.notes == [Notes()]
