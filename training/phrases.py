"""Phrases written for the project in many languages, most of them without a labelled text at hand, so that their words are not all strange.

In phrases.txt a line is a language, or a label's initial and its phrases. `{t}` stands for a technical term, which most
languages leave in English. S: a fact or a courtesy. M: to explain, compare, write or mend something small. C: to design or
build something of many parts. R: to prove or derive.
"""

import random
from pathlib import Path

TERMS = (
    "Docker", "TCP", "Redis", "REST API", "Kubernetes", "GraphQL", "DNS", "HTTP", "Python", "SQL", "JSON", "OAuth2", "GPU", "CI/CD", "Git",
    "Linux", "VPN", "TLS", "JWT", "Kafka", "CPU", "API", "FPGA", "IPv6", "WebSocket", "PostgreSQL", "machine learning", "blockchain",
)  # fmt: skip

PHRASES = Path(__file__).with_name("phrases.txt")


def sentences(copies: int = 4) -> list[tuple[str, str, int]]:
    """Texts with language and label; a phrase with terms comes in several copies. Always the same."""
    chance = random.Random(7)
    found = []
    language = ""
    for line in PHRASES.read_text(encoding="utf-8").splitlines():
        if " " not in line:
            language = line
            continue
        for phrase in line[2:].split("|"):
            for _ in range(copies if "{t}" in phrase else 1):
                filled = phrase
                while "{t}" in filled:
                    filled = filled.replace("{t}", chance.choice(TERMS), 1)
                found.append((filled, language, "SMCR".index(line[0])))
    return found
