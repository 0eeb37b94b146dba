"""Vocabulary as the scan looks it up: from tokens to what they are evidence of."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from tierway_core.text import tokens
from tierway_core.vocabulary import BUILT_IN, MAX_TERM_TOKENS, Category, Term

__all__ = ["build_terms", "parse_term"]


def build_terms(governance_terms: Iterable[str] = ()) -> Mapping[Term, Category]:
    """Joins the built-in vocabulary with the configured governance terms.

    Raises:
        ValueError: a term has no token, or more than four.
    """
    terms: dict[Term, Category] = {}
    for category, texts in (*BUILT_IN.items(), (Category.GOVERNANCE, tuple(governance_terms))):
        for text in texts:
            term = parse_term(text)
            terms[term] = terms.get(term, Category(0)) | category
    return MappingProxyType(terms)


def parse_term(text: str) -> Term:
    """Splits a term into its tokens.

    Raises:
        ValueError: it has none, or more than four.
    """
    term = tuple(tokens(text))
    if not 1 <= len(term) <= MAX_TERM_TOKENS:
        raise ValueError(f"a term has 1 to {MAX_TERM_TOKENS} words, this one has {len(term)}: {text!r}")
    return term
