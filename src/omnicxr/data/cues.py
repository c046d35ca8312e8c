"""The words of English reports that negate, weaken or end what is said of a finding, as regular expressions over
lower-case text."""

from __future__ import annotations

CUES = {
    "nothing": (
        (
            r"no (?:significant |interval |appreciable |substantial |definite |acute |major |real |apparent )"
            r"*(?:change|increase|decrease|improvement|worsening|progression)\w*"
        ),
        r"without (?:significant |interval |appreciable |substantial )*(?:change|increase|improvement|progression)",
        r"not (?:significantly |appreciably |substantially )?(?:changed|increased|decreased|worsened|improved|only)",
        r"no prior",
        r"no previous",
        r"no comparison",
        r"no other",
    ),
    "uncertain_after": (
        (
            r"(?:can ?not|can't|could not) be (?:entirely |completely |definitely |reliably |absolutely"
            r" )?(?:excluded|ruled out)"
        ),
        r"not (?:entirely |completely |definitely )?excluded",
        (
            r"(?:is|are|remains?|would be|could be|may be|should be)(?: also)? (?:possible|not excluded|questioned|"
            r"questionable|suspected|suggested|considered|a possibility|an? (?:\w+ )?consideration|"
            r"difficult to exclude|(?:in|on|part of) the differential)"
        ),
        r"suspected(?= *[.,;]| *$)",
    ),
    "uncertain_before": (
        (
            r"(?:can ?not|can't|could not|difficult to) (?:entirely |completely |definitely |reliably |absolutely"
            r" )?(?:exclude|rule out)"
        ),
        r"possib(?:le|ly|ility)\b(?: of)?",
        r"question(?:able|ed)?\b(?: of)?",
        (
            r"(?:may|might|could)(?: \w+)?(?: (?:be|represent|reflect|indicate|suggest|relate|have|include|related|due|"
            r"secondary|compatible|consistent|to|with|as|well|potentially|a|an|from)\b)+"
        ),
        r"might",
        r"suspicious for",
        r"suspicion (?:of|for)",
        r"concern(?:ing)? (?:for|of)",
        r"worrisome for",
        r"suspect(?:ed)?",
        r"equivocal",
        r"perhaps",
        r"suggest(?:s|ed|ing|ive)?\b(?: of)?",
        r"differential (?:includes?|diagnosis|considerations?)",
        r"consider(?:ation)?\b",
        r"potential(?:ly)?",
    ),
    "uncertain_near": (
        r"versus",
        r"vs\b\.?",
        r"in the (?:appropriate|proper|correct|right) clinical (?:setting|context)",
    ),
    "negative_before": (
        r"no(?=\b)(?! longer)",
        r"not\b",
        r"without\b",
        r"neither",
        r"nor\b",
        r"never",
        r"negative for",
        r"free (?:of|from)",
        r"clear of",
        r"absence of",
        r"absent",
        r"lack(?:s|ing)? of",
        r"(?:interval )?(?:resolution|clearing|removal) of",
        r"(?:interval )?resolved",
        r"den(?:y|ies)",
        r"fails? to (?:demonstrate|show|reveal)",
        r"rule[sd] out",
        r"rather than",
        r"exclude[sd]?",
        r"unlikely(?: to be| for)?",
        r"removed",
        r"no longer",
    ),
    "not_now": (
        r"history of",
        r"h/o",
        r"evaluat(?:e|ion) (?:for|of)",
        r"assess(?:ment)? (?:for|of)",
        r"obscure",
        r"correlat\w+(?: clinically)? (?:for|with)",
        r"rule[- ]out\b",
        r"to (?:identify|detect)",
        r"sensitive (?:in|for|to)",
        r"indication",
        r"screening",
        r"status post (?:removal|resection)",
        r"follow[- ]?up for",
        r"treated for",
    ),
    "negative_after": (
        (
            r"(?:is|are|was|were|has been|have been)? ?(?:not|no longer)(?: clearly| definitely| convincingly| well)"
            r"? (?:seen|identified|present|visuali[sz]ed|evident|appreciated|demonstrated|noted|apparent|observed|"
            r"detected|suspected|found|visible|enlarged|well[- ]seen)(?! on (?:the |a )?(?:lateral|frontal|pa|prior|"
            r"previous))"
        ),
        r"(?:has|have|had)(?: now| since| completely| nearly)? (?:resolved|cleared|been removed)",
        r"(?:is|are) (?:absent|unlikely|ruled out|excluded|negative)",
        r"ruled out",
        r"interval(?:ly)? resol\w+",
        r"resolved",
    ),
    "stop": (
        r"but\b",
        r"however",
        r"although",
        r"though\b",
        r"except(?:ing)?\b",
        r"apart from",
        r"aside from",
        r"other than",
        r"which\b",
        r"there (?:is|are|has|have|was|were)",
        r"(?<!consistent )(?<!compatible )with\b(?! no)",
        r"secondary to",
        r"due to",
        r"because",
        r"(?:seen|identified|noted|demonstrated|present|appreciated|visuali[sz]ed|evident),",
        r", (?:the )?(?:heart|lungs?|cardiac|mediastin\w+|bony|osseous|stable|unchanged)\b",
        (
            r"and (?:the |a )?(?:heart|lungs?"
            r" (?:is|are)|cardiac|mediastin\w+|bony|osseous|stable|unchanged|mild|moderate|small|scattered|calcified)\b"
        ),
        r"[;:]",
    ),
}
"""Kind => patterns. The order of the kinds is the order in which they are tried at one place."""
