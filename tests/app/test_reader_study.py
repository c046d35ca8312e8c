"""The page of a reader study in a real browser: answered by mouse and keys, reloaded, downloaded, analysed."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from omnicxr.app.reader_study import ReaderStudyConfig, make_reader_study, read_results
from omnicxr.domain import Modality, Task, UserError
from omnicxr.evaluation.reader_study import GENERATED, SIMULATED, read_key
from omnicxr.synthesis.prompts import Wish
from omnicxr.synthesis.synthesize import SynthesisConfig, synthesize

NUM = 3


@pytest.fixture(scope="module")
def config(model_folder: Path, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> ReaderStudyConfig:
    generated = tmp_path_factory.mktemp("synthetic")
    synthesize(
        SynthesisConfig(task=Task.parse("report->frontal+lateral"), wish=Wish(num=4), steps=1), model_folder, generated
    )
    return ReaderStudyConfig(real=prepared, generated=generated, parts=tuple(Modality), num=NUM)


@pytest.fixture
def browser() -> Iterator[Any]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield found
        found.close()


def test_page_gives_nothing_away(config: ReaderStudyConfig, tmp_path: Path) -> None:
    """Neither provenance nor study identifiers are in the page; the key has them."""
    page = make_reader_study(config, tmp_path).read_text()
    key = read_key(tmp_path / "key.csv")
    assert sorted(i.truth for i in key) == [GENERATED] * NUM + [SIMULATED] * NUM
    assert not any(i.study_id in page for i in key)
    study = json.loads(page.split('type="application/json">')[1].split("</script>")[0])
    assert [set(entry) for entry in study["items"]] == [{"item", "views", "report"}] * 2 * NUM
    assert all(entry["report"] and set(entry["views"]) == {"frontal", "lateral"} for entry in study["items"])
    assert "real " not in page and "simulated" in page, "the studies are not of patients"
    assert "http://" not in page and "https://" not in page, "nothing is fetched"
    with pytest.raises(UserError, match="holds a reader study"):
        make_reader_study(config, tmp_path)


def test_answered_in_a_browser(config: ReaderStudyConfig, browser: Any, tmp_path: Path) -> None:
    address = make_reader_study(config, tmp_path).as_uri()
    truth = {i.item: i.truth for i in read_key(tmp_path / "key.csv")}
    context = browser.new_context()
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(address)
    assert page.locator("#begin").is_disabled()
    page.fill("#reader", "Ann O'Hara, MD")
    page.click("#begin")
    assert page.locator("#views img").count() == 2
    assert page.locator("#next").is_disabled()
    page.click("button[data-vote=simulated]")
    page.click("button[data-rating='4']")
    page.fill("#comment", 'ribs, "too" smooth')
    page.click("#next")
    page.click("button[data-vote=generated]")
    page.keyboard.press("2")
    page.keyboard.press("Enter")  # is "next", though the last click was on a button
    page.reload()  # answers and place are kept
    page.click("#begin")
    assert page.inner_text("#count") == f"Study 3 of {2 * NUM}"
    page.click("#back")
    assert page.get_attribute("button[data-vote=generated]", "aria-pressed") == "true"
    page.click("#next")
    for item in list(truth)[2:]:
        page.keyboard.press("s" if truth[item] == SIMULATED else "g")
        page.keyboard.press("5")
        page.click("#next")
    assert "6 of 6" in page.inner_text("#done")
    with page.expect_download() as download:
        page.click("#download")
    download.value.save_as(tmp_path / "answers.csv")
    context.close()
    assert not problems
    results = read_results(tmp_path, [tmp_path / "answers.csv"])
    result = json.loads((tmp_path / "results.json").read_text())
    reader = result["readers"]["Ann O'Hara, MD"]
    first = (truth["1"] == SIMULATED) + (truth["2"] == GENERATED)
    assert reader["answered"] == 2 * NUM
    assert reader["accuracy"]["value"] == pytest.approx((first + 4) / 6, abs=1e-4)
    assert 'ribs, ""too"" smooth' in (tmp_path / "answers.csv").read_text()
    assert "data:image/png" in results.read_text()


def test_results_without_a_study(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no reader study"):
        read_results(tmp_path, [tmp_path / "a.csv"])
