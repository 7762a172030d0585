"""Keys of texts: their laws, for any text; tables of names are with the patients' search."""

import unicodedata

import idna
import pytest
from chassis.inputs import Email
from chassis.text import email_identity, like_pattern, search_key, search_words, sort_key
from hypothesis import assume, example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

ADDRESS: TypeAdapter[str] = TypeAdapter(Email)
ODD = st.text("aAßẞſıİIΣςσﬁﬀéÉäÄǅᾈᾀ１ａＡªµμÅ-.", min_size=1, max_size=6)
TEXT = st.text(max_size=40) | st.text("aA ßıİ'’‘-‐–´` éÉłŁøÆةهأا\u200b\u00ad\u0301ｶﾞカ゛王", max_size=20)


def addresses() -> st.SearchStrategy[str]:
    domains = st.sampled_from(["x.de", "faß.de", "fass.de", "bücher.de", "xn--bcher-kva.de", "βόλος.gr", "βόλοσ.gr"])
    return st.tuples(ODD, domains, st.booleans()).map(lambda given: _cased(f"{given[0]}@{given[1]}", given[2]))


def _cased(text: str, upper: bool) -> str:
    return text.replace("x", "X").replace("f", "F").replace("ü", "Ü") if upper else text


@pytest.mark.contract("P17")
@given(addresses(), addresses())
@example("straße@x.de", "strasse@x.de")
@example("a@FAß.de", "a@faß.de")
def test_an_identity_never_joins_what_the_order_parts(one: str, other: str) -> None:
    """So the constraint of the release before, which was on the order, never let in what this one refuses."""
    try:
        first, second = ADDRESS.validate_python(one), ADDRESS.validate_python(other)
    except ValidationError:
        assume(False)
    if email_identity(first) == email_identity(second):
        assert sort_key(first) == sort_key(second)
    assert email_identity(email_identity(first)) == email_identity(first)


@pytest.mark.contract("P17")
def test_the_identity_is_simple_folding_and_the_domains_u_label() -> None:
    alike = [("A@X.de", "a@x.de"), ("a@BÜCHER.de", "A@XN--BCHER-KVA.DE"), ("Ä@x.de", "ä@x.de"), ("Σ@x.de", "ς@x.de")]
    alike += [("e\u0301@x.de", "é@x.de"), ("ẞ@x.de", "ß@x.de"), ("ᾈ@x.de", "ᾀ@x.de"), ("a@ｘ.de", "a@x.de")]
    for one, other in alike:
        assert email_identity(one) == email_identity(other)
    for one, other in [("a@faß.de", "a@fass.de"), ("ß@x.de", "ss@x.de"), ("ａ@x.de", "a@x.de"), ("ı@x.de", "i@x.de")]:
        assert email_identity(one) != email_identity(other)
    assert idna.encode(email_identity("a@FAß.de").partition("@")[2]) == b"xn--fa-hia.de"
    assert email_identity("Ü@under_score.de") == "ü@under_score.de"  # no domain of IDNA, and still an address


@pytest.mark.contract("Z06")
@given(TEXT)
def test_a_name_is_found_by_itself_and_by_each_of_its_words(name: str) -> None:
    key = search_key(name)
    assert search_key(key) == key
    assert key == " ".join(key.split())
    assert all(word in key for word in search_words(name))
    for other in (
        unicodedata.normalize("NFD", name),
        unicodedata.normalize("NFC", name),
        name.casefold(),
        f" {name}  ",
    ):
        assert search_key(other) == key


def test_no_letter_but_a_latin_one_becomes_a_latin_one() -> None:
    """A transliteration would find every Wang for one of the characters that are read so."""
    for number in (*range(0x370, 0x1D00), *range(0x2E80, 0xA640), *range(0xAC00, 0xD7A4), *range(0x20000, 0x20100)):
        if not unicodedata.category(chr(number)).startswith("L"):
            continue
        key = search_key(chr(number))
        assert not any(letter.isascii() and letter.isalpha() for letter in key), hex(number)


def test_the_marks_that_make_another_letter_stay() -> None:
    for name in ("सुमन", "が", "ป่า", "김"):
        assert search_key(name) == unicodedata.normalize("NFC", name)


@given(TEXT)
def test_a_pattern_escapes_what_like_reads(part: str) -> None:
    inner = like_pattern(part)[1:-1]
    assert inner.replace("\\\\", "\0").replace("\\%", "%").replace("\\_", "_").replace("\0", "\\") == part.replace(
        "\0", "\\"
    )
