"""Questions with one right answer, written for this project: what a small model knows of the world, and what it can work out.

Facts come from short lists, sums from a generator with a fixed seed. Each kind is a handful of phrasings, so that what is learned from
the answers can be judged by leaving whole kinds out.
"""

import random
import re
from collections.abc import Iterator
from typing import NamedTuple

_CAPITALS = """France Paris|Germany Berlin|Italy Rome|Spain Madrid|Portugal Lisbon|Japan Tokyo|China Beijing|Russia Moscow|Egypt Cairo
Kenya Nairobi|Canada Ottawa|Australia Canberra|Brazil Brasilia,Brasília|Argentina Buenos-Aires|Chile Santiago|Peru Lima
Cuba Havana|Norway Oslo|Sweden Stockholm|Finland Helsinki|Denmark Copenhagen|Poland Warsaw|Austria Vienna|Hungary Budapest
Greece Athens|Turkey Ankara|Iran Tehran|Iraq Baghdad|India New-Delhi|Nepal Kathmandu|Thailand Bangkok|Vietnam Hanoi
Indonesia Jakarta|Ghana Accra|Ireland Dublin|Iceland Reykjavik|Mongolia Ulaanbaatar,Ulan-Bator|Uruguay Montevideo
Paraguay Asuncion,Asunción|Bhutan Thimphu|Latvia Riga|Slovenia Ljubljana|Zambia Lusaka|Senegal Dakar|Kazakhstan Astana"""
_SYMBOLS = """gold Au|silver Ag|iron Fe|sodium Na|potassium K|lead Pb|tin Sn|copper Cu|mercury Hg|helium He|oxygen O|carbon C|tungsten W
antimony Sb|nitrogen N|chlorine Cl|calcium Ca|magnesium Mg|zinc Zn|uranium U"""
_OPPOSITES = """hot cold|big small,little|up down|early late|empty full|rich poor|strong weak|young old|wet dry|dark light,bright
noisy quiet,silent|ancient modern|victory defeat,loss|expand contract,shrink|arrive leave,depart
generous stingy,selfish,greedy,mean|brave cowardly,coward,fearful"""
_AUTHORS = """Hamlet Shakespeare|War-and-Peace Tolstoy|Don-Quixote Cervantes|Oliver-Twist Dickens|Pride-and-Prejudice Austen
The-Odyssey Homer|1984 Orwell|Moby-Dick Melville|The-Metamorphosis Kafka|Faust Goethe|Ulysses Joyce|Frankenstein Shelley
Dracula Stoker|The-Divine-Comedy Dante|Crime-and-Punishment Dostoevsky,Dostoyevsky|The-Trial Kafka|Emma Austen
Les-Misérables Hugo|Walden Thoreau"""
_CONTINENTS = """Egypt Africa|Brazil South-America|Japan Asia|Italy Europe|Kenya Africa|India Asia|Canada North-America|Peru South-America
Norway Europe|Vietnam Asia|Morocco Africa|Mexico North-America|Chile South-America|Poland Europe|Mali Africa|Laos Asia
Croatia Europe|Bolivia South-America"""
_SPANISH = """water agua|house casa|dog perro|cat gato|red rojo|book libro|milk leche|night noche|friend amigo|bread pan|snow nieve
table mesa|knife cuchillo|bridge puente|window ventana|apple manzana|shoe zapato|eight ocho|Thursday jueves
butterfly mariposa"""
_FACTS = (
    ("How many days are in a week?", "7|seven"),
    ("How many months are in a year?", "12|twelve"),
    ("How many legs does a spider have?", "8|eight"),
    ("How many sides does a hexagon have?", "6|six"),
    ("How many minutes are in an hour?", "60|sixty"),
    ("How many planets are in the solar system?", "8|eight"),
    ("Which planet is closest to the Sun?", "Mercury"),
    ("Which planet is known as the Red Planet?", "Mars"),
    ("What is the largest planet in the solar system?", "Jupiter"),
    ("What is the largest ocean on Earth?", "Pacific"),
    ("What is the longest river in South America?", "Amazon"),
    ("At how many degrees Celsius does water boil at sea level?", "100"),
    ("What gas do plants take in from the air for photosynthesis?", "carbon dioxide|CO2"),
    ("Which organ pumps blood through the body?", "heart"),
    ("What colour do you get when you mix blue and yellow?", "green"),
    ("Who painted the Mona Lisa?", "Leonardo|da Vinci"),
    ("Who developed the theory of general relativity?", "Einstein"),
    ("In which year did the Second World War end?", "1945"),
    ("In which year did the first human land on the Moon?", "1969"),
    ("What is the square root of 144?", "12|twelve"),
    ("How many strings does a standard violin have?", "4|four"),
    ("How many bones does an adult human have?", "206"),
    ("What is the hardest natural substance?", "diamond"),
    ("What is the smallest prime number?", "2|two"),
    ("Which language has the most native speakers?", "Mandarin|Chinese"),
    ("How many players of one team are on the field in football (soccer)?", "11|eleven"),
    ("What is the freezing point of water in degrees Fahrenheit?", "32"),
    ("Which metal is liquid at room temperature?", "mercury"),
    ("How many squares are on a chessboard?", "64"),
    ("Which country gave the Statue of Liberty to the United States?", "France"),
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_WORDS = (
    "apple",
    "river",
    "candle",
    "garden",
    "music",
    "winter",
    "rocket",
    "school",
    "silver",
    "bottle",
    "planet",
    "orange",
)


class Question(NamedTuple):
    """A question and how its answer is told."""

    kind: str
    text: str
    right: str
    """Regular expression, of alternatives of which one stands in a right answer, as words of their own."""

    def is_right(self, answer: str) -> bool:
        """Whether an answer is right: it says so in its first two lines, without thousands' separators."""
        said = re.sub(r"(?<=\d),(?=\d{3})", "", "\n".join(answer.strip().splitlines()[:2]))
        return re.search(rf"(?<![\w.-])(?:{self.right})(?![\w-]|\.\d)", said, re.IGNORECASE) is not None


def questions(seed: int = 0, sums: int = 40) -> list[Question]:
    """All of them, in a stable order; `sums` of each kind of arithmetic."""
    return [*_known(), *_worked_out(random.Random(seed), sums)]


def _known() -> Iterator[Question]:
    listed = (
        ("capital", "What is the capital of {}?", _CAPITALS),
        ("symbol", "What is the chemical symbol of {}? Answer with the symbol only.", _SYMBOLS),
        ("opposite", 'What is the opposite of "{}"? Answer with one word.', _OPPOSITES),
        ("author", 'Who wrote "{}"?', _AUTHORS),
        ("continent", "On which continent is {}?", _CONTINENTS),
        ("spanish", 'What is "{}" in Spanish? Answer with one word.', _SPANISH),
    )
    for kind, phrase, pairs in listed:
        for pair in pairs.replace("\n", "|").split("|"):
            about, _, right = pair.rpartition(" ")
            yield Question(kind, phrase.format(about.replace("-", " ")), right.replace("-", " ").replace(",", "|"))
    for text, right in _FACTS:
        yield Question("fact", text, right)


def _worked_out(chance: random.Random, sums: int) -> Iterator[Question]:
    for number in range(sums):
        most = (9, 30, 99, 999)[number % 4]
        one, other = chance.randint(2, most), chance.randint(2, most)
        yield Question("sum", f"What is {one} + {other}?", str(one + other))
        one, other = sorted((chance.randint(2, most), chance.randint(2, most)))
        yield Question("difference", f"What is {other} - {one}?", str(other - one))
        one, other = chance.randint(2, min(most, 40)), chance.randint(2, 12)
        yield Question("product", f"What is {one} times {other}?", str(one * other))
        one, other = chance.sample(range(most + 20), 2)
        yield Question(
            "larger", f"Which number is larger, {one} or {other}? Answer with the number only.", str(max(one, other))
        )
        day, later = chance.choice(_DAYS), chance.randint(1, 3)
        following = _DAYS[(_DAYS.index(day) + later) % 7]
        yield Question("day", f"Which day comes {later} day{'s' * (later > 1)} after {day}?", following)
        word = chance.choice(_WORDS)
        place = chance.randint(1, 4)
        ordinal = ("first", "second", "third", "fourth")[place - 1]
        yield Question("letter", f'What is the {ordinal} letter of the word "{word}"?', f'"?{word[place - 1]}"?')
