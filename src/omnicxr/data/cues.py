"""The words of English reports that negate, weaken or end what is said of a finding, as regular expressions over
lower-case text with single spaces.

Kinds are tried in this order at one place. "Before" and "after" say where the cue stands, seen from the finding.
"""

from __future__ import annotations

_CHANGE = (
    r"(?:changes?|increase|decrease|improvement|worsening|progression|expansion|growth|enlargement|variation|"
    r"differences?|reduction|alteration|extension|interval change|shrinkage|evolution|migration|re-?expansion)"
)
_EXTENT = (
    r"(?:significant |interval |appreciable |substantial |definite |acute |major |real |apparent |further |"
    r"obvious |marked |relevant |material |gross |detectable |discernible |great |much |measurable |"
    r"notable )*"
)
_PARTLY = (
    r"(?:part(?:ial)?(?:ly)?|near(?:ly)?(?:[ -]complete(?:ly)?)?|almost(?:[ -]complete(?:ly)?)?|incomplete(?:ly)?|some|"
    r"mostly|largely|slow(?:ly)?|subtotal|minimal(?:ly)?|mild(?:ly)?|moderate(?:ly)?|"
    r"not (?:yet )?(?:completely|fully|entirely|total(?:ly)?|complete|full)?|gradual(?:ly)?|continued|"
    r"ongoing|slight(?:ly)?|"
    r"substantial(?:ly)?)"
)
_WHOLLY = (
    r"(?:entirely |completely |definitely |reliably |absolutely |fully |confidently |totally |safely |"
    r"strictly |formally )?"
)
_DIFFICULT = r"(?:difficult|hard|impossible|not possible|not easy)"
_SEEN = (
    r"(?:seen|identified|present|visuali[sz]ed|evident|appreciated|demonstrated|noted|apparent|observed|detected|"
    r"suspected|found|visible|enlarged|shown|recogni[sz]ed|confirmed|discernible|depicted|detectable)"
)
_NOT_ELSEWHERE = (
    r"(?! (?:on|in) (?:the |a |this )?(?:lateral|frontal|pa|ap|prior|previous)| previously| earlier|"
    r" below| beyond| past|"
    r" in its entirety| before)"
)

CUES = {
    "nothing": (
        rf"(?:no|lack of|absence of) (?:(?:evidence|sign|suggestion) of )?{_EXTENT}{_CHANGE}\b(?: (?:in|of|to)\b)?",
        rf"without {_EXTENT}{_CHANGE}\b",
        (
            r"not (?:significantly |appreciably |substantially |really |notably |markedly |further |"
            r"at all )*(?:changed|increased|decreased|worsened|improved|only|progressed|grown|"
            r"enlarged (?:since|compared)|altered|different|better|worse|larger|smaller|expanded)"
        ),
        r"no (?:prior|previous|comparison|other|doubt|longer term|smaller|larger|bigger|better|worse|different)\b",
        rf"{_PARTLY} (?:interval )?(?:resol\w+|clear(?:ing|ed|ance))(?: of)?",
        (
            r"(?:wrong|incorrect|inaccurate|untrue|not (?:true|correct|accurate)|"
            r"mistaken)(?: to \w+)?(?: that)? (?:there is |of |for )?(?:no|without)\b"
        ),
        rf"(?:little|hardly any|scant|minimal)(?:,? if any,?)? {_CHANGE}\b",
        (
            r"not (?:including|counting)|(?:neither|nor)\b(?=[^.]{0,80}\b(?:changed|increased|decreased|"
            r"progressed|improved|worsened)\b)"
        ),
        r"not only|not (?:un)?common|no surprise|(?:no|nothing) more than|nothing but|no less than",
        r"previously (?:seen|noted|identified|described|demonstrated|reported|visuali[sz]ed|known),?",
    ),
    "uncertain_after": (
        (
            rf"(?:can ?not|can't|could not|couldn't|may not) (?:be )?{_WHOLLY}(?:be )?{_WHOLLY}(?:excluded|"
            rf"ruled out|dismissed|discounted)"
        ),
        rf"(?:is |are |was |has )?not (?:been )?{_WHOLLY}(?:excluded|ruled out|out of the question)",
        (
            r"(?:is|are|remains?|would be|could be|may be|should be|might be|must be)(?: also| still)? (?:possible|not"
            r" excluded|questioned|questionable|suspected|suggested|considered|a possibility|another possibility|"
            r"(?:an?|another|one|the main|a further) (?:\w+ )?(?:consideration|concern|question|possibility)|"
            rf"{_DIFFICULT} to (?:exclude|rule out)|(?:in|on|part of) the differential|uncertain|unclear|"
            rf"doubtful|dubious|equivocal|"
            r"indeterminate|conceivable|thought possible|of concern|excluded|ruled out|doubted|indefinite)"
            r"(?<!is excluded)(?<!are excluded)(?<!is ruled out)(?<!are ruled out)"
        ),
        (
            rf"(?:(?:is|are|was|were) )?not (?:very |quite )?(?:well|fully|"
            rf"clearly)[- ]?{_SEEN}{_NOT_ELSEWHERE}|poorly (?:seen|visuali[sz]ed)"
        ),
        r"(?:is |are )?not (?:favou?red|likely|thought likely)|(?:less|least) likely",
        r"(?:in|on|part of|within) the differential",
        r"(?:difficult|hard|impossible) to (?:see|detect|appreciate|assess|evaluate|confirm)",
        r"(?:a )?(?:possibility|consideration|query)(?= *[.,;]| *$)",
        r"(?<=\w)\?|\(\?\)|(?<=\w )\?(?= *(?:[\n.,;]|$))",
    ),
    "uncertain_either": (
        rf"{_DIFFICULT} to {_WHOLLY}(?:exclude|rule out)",
        r"(?:suspected|possible|questionable|questioned|doubtful|dubious|equivocal|"
        r"(?<!age )(?<!age-)indeterminate|uncertain|conceivable|queried)\b"
        r"(?= *[.,;)]| *$| on | in | at | but | and )",
        r"not excluded|to be excluded",
    ),
    "uncertain_before": (
        (
            rf"(?:can ?not|can't|could not|couldn't|unable to|not able to|inability to) {_WHOLLY}(?:exclude|"
            rf"rule out|discount|dismiss)"
        ),
        rf"not {_WHOLLY}(?:exclude|rule out)",
        (
            r"(?:possib(?:le|ly|ility)|potentially|perhaps)\b(?: of| (?:secondary|due|related) to| from)?|"
            r"question(?:able|ed)?\b(?: of)?|\?"
        ),
        (
            r"(?:may|might|could)(?: (?!not\b)\w+)?(?: (?:be|represent|reflect|indicate|suggest|relate|"
            r"have|include|related|due|"
            r"secondary|compatible|consistent|to|with|as|well|potentially|a|an|from)\b)+"
        ),
        (
            r"might|suspicious for|suspicion (?:of|for)|concern(?:s|ing)?(?: is| was| remains)?(?: (?:for|of|"
            r"about))|worrisome for|worry for"
        ),
        r"suspect(?:ed)?|equivocal(?: for)?|perhaps|suggest(?:s|ed|ing|ive|ion)?\b(?: of)?|indeterminate for",
        (
            r"differential (?:includes?|diagnosis|considerations?)|consider(?:ation)?\b|potential(?:ly)?|"
            r"doubtful|dubious|conceivabl[ey]"
        ),
        (
            r"whether(?: or not)?(?: there (?:is|are))?|if there (?:is|are)|(?:can ?not|can't) be (?:certain|"
            r"sure)(?: that)? there (?:is|are) no\b|raises? the (?:possibility|question)|query"
        ),
        (
            r"(?:to|please|should|must) (?:help )?(?:exclude|rule out|confirm|(?:ensure|document|confirm|"
            r"assess|follow|monitor|assure|demonstrate) (?:the )?(?:complete )?(?:resolution|clearing|"
            r"clearance)(?: of)?|exclude)|cannot be certain"
        ),
        r"(?:less|not) likely|unclear|uncertain|not certain|indefinite",
    ),
    "uncertain_near": (r"versus|vs\b\.?|in the (?:appropriate|proper|correct|right) clinical (?:setting|context)",),
    "negative_after": (
        (
            r"(?:(?:is|are|was|were|has been|have been|has|have|had) )?(?:not been|not|"
            r"no longer)(?: clearly| definitely| convincingly"
            rf"| currently| definitively| reliably)? {_SEEN}{_NOT_ELSEWHERE}"
        ),
        (
            r"(?:has|have|had|is|are|was|were)(?: now| since| completely| entirely| fully| been| also|\b)*"
            r" (?:resolved|cleared|(?:been )?removed|gone|disappeared|withdrawn|re-?absorbed|evacuated|"
            r"absent|unlikely|ruled out|excluded|negative|none|nil)"
        ),
        rf"(?:can ?not|could not|can't) be {_SEEN}|nowhere {_SEEN}|turned out to be",
        rf":? ?(?:neither|none)(?: of (?:these|them|which))? (?:is |are |was |were )?{_SEEN}",
        r"(?:is|are) not a feature|(?:was|were|is|are) pulled",
        r"interval(?:ly)? resol(?:ved|ution(?! of))",
        (
            r"(?:seems?|appears?|looks?|felt|thought|considered)(?: to be| to have)? (?:very |highly |"
            r"now )?(?:unlikely|absent|resolved|gone|excluded)"
        ),
    ),
    "negative_before": (
        (
            r"no(?=\b)(?! longer)|not\b|without\b|neither|nor\b|never|(?:neg(?:ative)?|-ve) for|free (?:of|from)|"
            r"clear of|(?<![\w/])w/o"
        ),
        (
            r"absence of|absent (?=\w)|lack(?:s|ing)?(?: of)?|(?:complete )?(?:interval )?(?:resolution|disappearance|"
            r"clearing|removal) of"
        ),
        r"den(?:y|ies)|fails? to (?:demonstrate|show|reveal)|rules out",
        r"rather than|excludes?\b|no longer|nothing to suggest|nil\b|argues against|zero\b",
    ),
    "negative_either": (
        (
            r"(?:interval(?:ly)? |completely |fully |now |since )*(?:resolved|cleared|drained|removed|"
            r"pulled|taken out|discontinued|re-?expanded|"
            r"withdrawn|evacuated)\b"
        ),
        r"(?:ruled out|excluded|unlikely(?: to be| for)?|absent)\b",
    ),
    "not_now": (
        r"history of|h/o|hx of|evaluat(?:e|ion) (?:for|of)|assess(?:ment)? (?:for|of)|obscure",
        r"correlat\w+(?: clinically)? (?:for|with)|rule[- ]out\b|to (?:identify|detect)|r/o",
        (
            r"rule (?:in )?(?:or )?(?:rule )?out\b|sensitive (?:in|for|to)|indication|screening|"
            r"status post (?:removal|resection)|follow[- ]?up for"
        ),
        r"treated for|treatment (?:for|of)|(?:last|previous|past) (?:year|month)|resection of|risk (?:of|for)",
    ),
    "stop": (
        r"but\b|however|although|though\b|except(?:ing)?\b|apart from|aside from|other than|which\b|while\b|whereas",
        (
            r"besides|beyond|in this\b|in the setting of|after\b|following\b|\+ve for|outside of|barring|"
            r"rather(?! than)|save for|"
            r"yet\b|whilst|nevertheless|nonetheless|instead|positive for|"
            r"despite|in addition to|still\b"
        ),
        r"there (?:is|are|has|have|was|were)|(?<!consistent )(?<!compatible )with\b(?! no)|secondary to",
        r"due to|because|(?:seen|identified|noted|demonstrated|present|appreciated|visuali[sz]ed|evident),",
        r"[:]| -+ |--+",
    ),
}

NEW_CLAUSE = (
    r"(?:the|a|an|this|that|these|there|it|its|his|her|again|also|only|now)\b|"
    r"(?:very |more |slightly |mildly |moderately |markedly |again )*"
    r"(?:persist\w+|stable|unchanged|mild|minimal|moderate|severe|marked|small|large|tiny|trace|chronic|old|healed|"
    r"increas\w+|decreas\w+|improv\w+|worse\w+|known|scattered|calcified|slight|borderline|multiple|several|subtle|"
    r"moderately|mildly|slightly|likely|possible|probable|prominent|enlarged|low|intact|normal|clear|status)\b|"
    r"(?:heart|lungs?(?: is| are)|cardiac|mediastin\w+|bony|osseous)\b"
)
"""How a clause begins that a cue before the comma or "and" in front of it does not reach."""
PLACE = (
    r"(?:left|right|bilateral|bibasilar|bibasal|biapical|basilar|basal|retrocardiac|unilateral|lower|upper|"
    r"lll|rll|rul|lul|rml)\b"
)
"""Likewise, after a comma."""
OWN_PREDICATE = (
    r"\b(?:persists?|persisted|remains?|in place|in situ|(?:is|are|has|have)(?: been| again| still|"
    r" now)? (?!no\b|not\b)"
    r"(?!(?:seen|identified|present|noted|visuali[sz]ed|evident|detected|appreciated|demonstrated|apparent|found|"
    r"suspected|visible|observed|shown)\b)\w+|(?:un)?changed|stable|larger|smaller|worse|better)\b"
)
"""What a list item has that is a clause of its own: "no pneumothorax, left pacemaker in place"."""

NEGATIVE_VALUE = (
    r" ?\((?:-|neg|no|none)\)| ?(?:\([^)]{0,20}\) ?)?(?:[:=?,-]+|is|are|was)? ?(?:none|nil|absent|"
    r"negative|neg|resolved|cleared|"
    r"excluded|removed|"
    r"(?:not|no) (?:seen|present|identified|detected|visuali[sz]ed|evident|demonstrated|appreciated)|-ve|"
    r"nad|zero|no|clear)(?: (?:seen|identified|noted|detected|"
    r"present|visible))?"
    r"(?= *(?:[.,;)\n]|$))"
)
"""Right after a finding: a structured line, "effusion: none"."""
POSITIVE_VALUE = (
    r" ?(?:\(\+\)|[:=?-]+ ?(?:yes|present|positive|\+)|[:=?] ?(?:small|mild|moderate|large|trace|tiny|minimal|"
    r"severe))\b"
)
"""Likewise: "effusion? Yes, moderate"."""
