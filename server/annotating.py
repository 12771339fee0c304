"""What a spaCy model says of a text, as `budgetmem.backbone.Annotation`.

Relations are read from the dependency parse (spaCy's English labels, after ClearNLP): a clause's
subject, its verb phrase with auxiliaries, negation and particles, and each of its objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import spacy
from spacy.language import Language
from spacy.tokens import Doc, Token

from budgetmem.backbone import Annotation, Entity, Relation
from budgetmem.errors import AssetError

SUBJECTS = frozenset({"nsubj", "nsubjpass"})
OBJECTS = frozenset({"dobj", "obj", "attr", "oprd", "acomp", "dative"})
PREPOSITIONS = frozenset({"prep", "agent", "dative"})
VERB_PARTS = frozenset({"aux", "auxpass", "neg", "prt"})
OUTSIDE_PHRASE = frozenset({"conj", "cc", "punct", "relcl", "appos", "preconj"})
RELATIVE_PRONOUNS = frozenset({"WDT", "WP"})

UNUSED = ("lemmatizer",)
"""No annotation has lemmas, and this part of a pipeline keeps those of every word it ever saw."""


@dataclass(frozen=True)
class Annotator:
    """Tags, parses and finds entities with one spaCy pipeline."""

    nlp: Language

    @classmethod
    def open(cls, folder: Path) -> Annotator:
        """Loads a spaCy model folder. Raises AssetError where it is none, or lacks a parser."""
        try:
            nlp = spacy.load(folder, exclude=UNUSED)
        except (OSError, ValueError) as exc:
            raise AssetError(f"{folder}: not a spaCy model: {exc}") from exc
        missing = {"parser", "ner", "tagger"} - set(nlp.pipe_names)
        if missing:
            raise AssetError(f"{folder}: the spaCy model lacks {', '.join(sorted(missing))}")
        return cls(nlp)

    def annotate(self, texts: Sequence[str]) -> list[Annotation]:
        """One Annotation a text, in the order given. No word of them is kept."""
        # Without a zone spaCy keeps every word that it ever saw; with it some 30 bytes of room in
        # its tables for each, and nothing of the word. A Doc must not outlive its zone: annotations
        # are plain strings and numbers. Zones do not nest: one call at a time.
        with self.nlp.memory_zone():
            return [_annotation(doc) for doc in self.nlp.pipe(texts)]


def _annotation(doc: Doc) -> Annotation:
    return Annotation(
        entities=tuple(Entity(ent.text, ent.label_) for ent in doc.ents),
        relations=tuple(dict.fromkeys(_relations(doc))),
        noun_phrases=tuple(dict.fromkeys(c.text for c in doc.noun_chunks if c.root.pos_ != "PRON")),
        tokens=len(doc),
    )


def _relations(doc: Doc) -> Iterator[Relation]:
    for verb in doc:
        if verb.pos_ not in {"VERB", "AUX"} or verb.dep_ in VERB_PARTS:
            continue
        phrase = _verb_phrase(verb)
        for subject in _subjects(verb):
            for preposition, target in _objects(verb):
                yield Relation(
                    subject=_phrase(_antecedent(subject, verb)),
                    verb=_join([*phrase, *preposition]),
                    object=_phrase(target),
                )


def _subjects(verb: Token) -> list[Token]:
    """The clause's own subjects, or those it shares: of "wants" in "wants to go", for example."""
    own = [child for child in verb.children if child.dep_ in SUBJECTS]
    if own:
        return [token for subject in own for token in _with_conjuncts(subject)]
    if verb.dep_ in {"conj", "xcomp"} and verb.head != verb:
        return _subjects(verb.head)
    return []


def _objects(verb: Token) -> Iterator[tuple[list[Token], Token]]:
    """Objects and attributes, each with the prepositions that lead to it."""
    for child in verb.children:
        if child.dep_ in OBJECTS and child.pos_ != "ADP":
            yield from (([], token) for token in _with_conjuncts(child))
        elif child.dep_ in PREPOSITIONS:
            yield from _prepositional(child, [child])


def _prepositional(preposition: Token, path: list[Token]) -> Iterator[tuple[list[Token], Token]]:
    for child in preposition.children:
        if child.dep_ == "pobj":
            yield from ((path, token) for token in _with_conjuncts(child))
        elif child.dep_ == "prep":
            yield from _prepositional(child, [*path, child])


def _verb_phrase(verb: Token) -> list[Token]:
    """Auxiliaries, negation, verb and particles, after those of a governing "wants to"."""
    own = [child for child in verb.children if child.dep_ in VERB_PARTS]
    shares_subject = not any(child.dep_ in SUBJECTS for child in verb.children)
    before = _verb_phrase(verb.head) if verb.dep_ == "xcomp" and shares_subject else []
    return [*before, *sorted([*own, verb], key=lambda token: token.i)]


def _with_conjuncts(token: Token) -> list[Token]:
    return [token, *(other for other in token.conjuncts if other.i > token.i)]


def _antecedent(subject: Token, verb: Token) -> Token:
    """What a relative pronoun stands for; any other subject, pronouns too, as it is."""
    if subject.tag_ in RELATIVE_PRONOUNS and verb.dep_ == "relcl":
        return verb.head
    return subject


def _phrase(head: Token) -> str:
    return _join(_phrase_tokens(head))


def _phrase_tokens(head: Token) -> list[Token]:
    """The head and what depends on it, less further conjuncts, clauses and punctuation."""
    inner = [
        token
        for child in head.children
        if child.dep_ not in OUTSIDE_PHRASE
        for token in _phrase_tokens(child)
    ]
    return sorted([head, *inner], key=lambda token: token.i)


def _join(tokens: Iterable[Token]) -> str:
    """The tokens' text, with the spaces of the original where they stood together."""
    text = ""
    previous: Token | None = None
    for token in tokens:
        together = previous is not None and token.i == previous.i + 1
        if previous is not None and not (together and not previous.whitespace_):
            text += " "
        text += token.text
        previous = token
    return text
