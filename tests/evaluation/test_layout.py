from omnicxr.evaluation.layout import Struck, explained, latex, markdown, struck, table
from omnicxr.evaluation.measures.uncertainty import Estimate

FIGURE = Estimate(0.52, 0.48, 0.56)


def test_figures_that_do_not_count_are_struck_out() -> None:
    columns = {"own": lambda why: struck(FIGURE, why), "other": lambda why: struck(None, why)}
    shown = table("T", columns, [("a", "Chance."), ("b", "")], note="Note.")
    assert [[isinstance(c, Struck) for c in row] for row in shown.rows] == [[False, True, False], [False] * 3]
    told = explained(shown, ["Chance.", "", "Chance."])
    assert told.note == "Note. † Struck out, as it says nothing. Chance."
    assert "| a | ~~0.520 (0.480 to 0.560)~~ † | - |\n| b | 0.520 (0.480 to 0.560) | - |" in markdown([told])
    written = latex([told])
    assert r"a & \sout{0.520 (0.480 to 0.560)}$^\dagger$ & - \\" in written and r"Note. $\dagger$ Struck" in written


def test_nothing_to_explain() -> None:
    plain = table("T", {"own": lambda figure: struck(figure, "")}, [("a", FIGURE)], note="Note.")
    assert explained(plain, ["Chance."]) == plain
