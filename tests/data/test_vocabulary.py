import json

from omnicxr.data.vocabulary import MIXED, Vocabulary


def test_a_typing_error_of_a_single_report_makes_no_known_word() -> None:
    vocabulary = Vocabulary.of(["Small effusion.", "Small effusion.", "Small efusion, large efusion."])
    assert vocabulary.knows("effusion")
    assert not vocabulary.knows("efusion")


def test_in_a_large_collection_a_word_must_be_in_more_reports() -> None:
    assert Vocabulary({"<reports>": 40_000, "rare": 2}).knows("rare")
    assert not Vocabulary({"<reports>": 60_000, "rare": 2}).knows("rare")


def test_numbers_are_known_together() -> None:
    assert Vocabulary.of(["A 2.5 cm nodule."] * 2).knows("17")
    assert not Vocabulary.of(["A nodule."] * 2).knows("17")


def test_words_must_have_been_seen_beside_each_other() -> None:
    vocabulary = Vocabulary.of(["Enlargement of the cardiac silhouette."] * 2)
    assert vocabulary.knows_all("cardiac silhouette")
    assert not vocabulary.knows_all("cardiac enlargement")


def test_how_reports_name_and_deny() -> None:
    vocabulary = Vocabulary.of(["Moderate cardiomegaly without edema."] * 2 + ["No effusion."] * 150)
    assert vocabulary.says("cardiomegaly")
    assert not vocabulary.says("cardiomegaly", denied=True)
    assert vocabulary.says("edema", denied=True)
    assert vocabulary.usual(MIXED)
    assert not Vocabulary({**vocabulary.words, MIXED: 1}).usual(MIXED)


def test_it_is_json() -> None:
    vocabulary = Vocabulary.of(["No left effusion, 2 cm nodule."] * 3)
    assert Vocabulary(json.loads(json.dumps(dict(vocabulary.words)))) == vocabulary
