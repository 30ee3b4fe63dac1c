"""open_clip's own tokenizer in the form of the package `tokenizers`: the same ids, no PyTorch.

Gets: open_clip's `SimpleTokenizer`. Gives: a `tokenizers.Tokenizer` for texts that were cleaned.
Touches: nothing. Never: a text.

Two things don't come over by themselves. What is a letter, a digit or a sign is spelt out as
ranges: the two libraries know different versions of Unicode, and `regex` has quirks of its own
where case doesn't count (U+0345 is none of the three, so it is left out). And open_clip takes
``<end_of_text>`` in a text for its mark only where it doesn't follow punctuation; elsewhere a blank
breaks it up.
"""

from __future__ import annotations

from typing import Any

_LAST = 0x110000
_SURROGATES = range(0xD800, 0xE000)


def simple_tokenizer(theirs: Any) -> Any:
    """A tokenizer that gives the ids of `theirs` with the marks around them, of any length."""
    from tokenizers import (
        AddedToken,
        Regex,
        Tokenizer,
        models,
        normalizers,
        pre_tokenizers,
        processors,
    )

    merges = sorted(theirs.bpe_ranks, key=theirs.bpe_ranks.get)
    tokenizer = Tokenizer(
        models.BPE(vocab=dict(theirs.encoder), merges=merges, end_of_word_suffix="</w>")
    )
    letters, digits, signs = map(_ranges, (r"[\p{L}]", r"[\p{N}]", r"[^\s\p{L}\p{N}]"))
    start, end = (theirs.decoder[number] for number in theirs.all_special_ids[:2])
    marks = "|".join(mark[1:] for mark in (start, end))
    tokenizer.normalizer = normalizers.Replace(
        Regex(rf"(?<=[{signs}])(?<!{start})(?<!{end})<(?={marks})"), "< "
    )
    words = rf"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[{letters}]+|[{digits}]|[{signs}]+"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(words), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.add_special_tokens(
        [AddedToken(mark, normalized=True, special=True) for mark in (start, end)]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}",
        special_tokens=[(mark, theirs.encoder[mark]) for mark in (start, end)],
    )
    return tokenizer


def _ranges(pattern: str) -> str:
    """The characters that a pattern of `regex` matches, whatever their case, as ranges."""
    import regex

    matches = regex.compile(pattern, regex.IGNORECASE).match
    ranges: list[list[int]] = []
    for code in range(_LAST):
        if code in _SURROGATES or matches(chr(code)) is None:
            continue
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(rf"\x{{{first:x}}}-\x{{{last:x}}}" for first, last in ranges)
