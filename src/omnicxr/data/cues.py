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
        r"no prior|no previous|no comparison|no other",
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
        r"possib(?:le|ly|ility)\b(?: of)?|question(?:able|ed)?\b(?: of)?",
        (
            r"(?:may|might|could)(?: \w+)?(?: (?:be|represent|reflect|indicate|suggest|relate|have|include|related|due|"
            r"secondary|compatible|consistent|to|with|as|well|potentially|a|an|from)\b)+"
        ),
        r"might|suspicious for|suspicion (?:of|for)|concern(?:ing)? (?:for|of)|worrisome for",
        r"suspect(?:ed)?|equivocal|perhaps|suggest(?:s|ed|ing|ive)?\b(?: of)?",
        r"differential (?:includes?|diagnosis|considerations?)|consider(?:ation)?\b|potential(?:ly)?",
    ),
    "uncertain_near": (r"versus|vs\b\.?|in the (?:appropriate|proper|correct|right) clinical (?:setting|context)",),
    "negative_before": (
        r"no(?=\b)(?! longer)|not\b|without\b|neither|nor\b|never|negative for|free (?:of|from)|clear of",
        r"absence of|absent|lack(?:s|ing)? of|(?:interval )?(?:resolution|clearing|removal) of",
        r"(?:interval )?resolved|den(?:y|ies)|fails? to (?:demonstrate|show|reveal)|rule[sd] out",
        r"rather than|exclude[sd]?|unlikely(?: to be| for)?|removed|no longer",
    ),
    "not_now": (
        r"history of|h/o|evaluat(?:e|ion) (?:for|of)|assess(?:ment)? (?:for|of)|obscure",
        r"correlat\w+(?: clinically)? (?:for|with)|rule[- ]out\b|to (?:identify|detect)",
        r"sensitive (?:in|for|to)|indication|screening|status post (?:removal|resection)|follow[- ]?up for",
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
        r"(?:is|are) (?:absent|unlikely|ruled out|excluded|negative)|ruled out|interval(?:ly)? resol\w+",
        r"resolved",
    ),
    "stop": (
        r"but\b|however|although|though\b|except(?:ing)?\b|apart from|aside from|other than|which\b",
        r"there (?:is|are|has|have|was|were)|(?<!consistent )(?<!compatible )with\b(?! no)|secondary to",
        r"due to|because|(?:seen|identified|noted|demonstrated|present|appreciated|visuali[sz]ed|evident),",
        r", (?:the )?(?:heart|lungs?|cardiac|mediastin\w+|bony|osseous|stable|unchanged)\b",
        (
            r"and (?:the |a )?(?:heart|lungs?"
            r" (?:is|are)|cardiac|mediastin\w+|bony|osseous|stable|unchanged|mild|moderate|small|scattered|calcified)\b"
        ),
        r"[;:]",
    ),
}
"""Kind => patterns. The order of the kinds is the order in which they are tried at one place."""
