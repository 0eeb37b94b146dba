from collections import Counter

from ciphers import cipher
from phrases import sentences


def test_every_language_has_phrases_of_all_four_labels():
    labels = {}
    for _, language, label in sentences():
        labels.setdefault(language, set()).add(label)

    assert len(labels) > 25
    assert all(found == {0, 1, 2, 3} for found in labels.values())


def test_phrases_have_no_place_left_for_a_term_and_are_always_the_same():
    assert not [text for text, _, _ in sentences() if "{" in text]
    assert sentences() == sentences()


def test_a_cipher_keeps_the_shape_of_a_text():
    text = "Design a REST API with caching, retries, and limits. Does f(x) = 2 hold?"

    for seed in range(40):
        rewritten = cipher(text, seed)

        assert rewritten == cipher(text, seed)
        assert "caching" not in rewritten
        assert sum(Counter(rewritten)[comma] for comma in ",،、，") == 2  # noqa: RUF001  # commas of other scripts
        assert "2" in rewritten


def test_a_cipher_is_of_many_scripts():
    rewritten = "".join(cipher("Explain how the garbage collector works", seed) for seed in range(60))

    for sign in "жλאब":  # Cyrillic, Greek, Hebrew, Devanagari
        assert sign in rewritten
    assert any("\uac00" <= sign <= "\ud7a3" for sign in rewritten)
    assert any("\u4e00" <= sign <= "\u9fff" for sign in rewritten)
