"""The built-in vocabulary: terms that tell what a text is about. Data only; governance terms come from configuration.

A term is one to four tokens (`tierway_core.text` says what a token is). Terms are chosen for precision: a word that
prose uses as often as programmers do is at most a hint. Plurals are listed, for nothing is stemmed.
"""

from collections.abc import Mapping
from enum import IntFlag

__all__ = ["BUILT_IN", "MAX_TERM_TOKENS", "Category", "Term"]


Term = tuple[str, ...]
"""The tokens of a term, lower-cased."""

MAX_TERM_TOKENS = 4
"""The most tokens that a term may have."""


class Category(IntFlag):
    """What a term is evidence of."""

    CODE = 1
    """Program code, without doubt."""
    CODE_HINT = 2
    """Program code, together with other evidence."""
    PLANNING = 4
    """Work that has to be planned."""
    MATH = 8
    """Mathematics."""
    VISION = 16
    """Something to look at."""
    GOVERNANCE = 32
    """Governance of constitutional AI."""


BUILT_IN: Mapping[Category, tuple[str, ...]] = {
    Category.CODE: (
        # Languages and formats whose names mean nothing else.
        "python", "python3", "javascript", "typescript", "kotlin", "cpp", "golang", "haskell", "fortran", "cobol", "matlab",
        "vba", "sql", "mysql", "postgresql", "sqlite", "mongodb", "graphql", "html", "html5", "css", "php", "perl", "powershell",
        "bash script", "shell script", "verilog", "vhdl", "cuda", "opencl", "solidity", "pine script", "pinescript", "latex code",
        "rust code", "rust program", "rust function", "in rust", "java code", "java program", "java class", "java method", "in java",
        "c program", "c code", "c function", "in golang", "ruby on rails", "swift code", "in swift", "r script", "r code",
        # Libraries and tools.
        "numpy", "pandas", "pytorch", "tensorflow", "scikit", "sklearn", "matplotlib", "django", "flask", "fastapi", "nodejs",
        "node js", "reactjs", "react js", "vue js", "vuejs", "angularjs", "jquery", "laravel", "dotnet", "asp net", "arduino",
        "kubernetes", "dockerfile", "makefile", "cmake", "terraform", "webpack", "npm", "leetcode", "stack overflow", "stackoverflow",
        "unit tests", "unit test", "pytest", "junit", "stdin", "stdout", "stdio", "iostream", "printf", "println", "console log",
        # Requests.
        "source code", "write code", "write a code", "write the code", "write some code", "code for", "code to", "code in", "sample code",
        "code snippet", "code snippets", "this code", "following code", "pseudo code", "pseudocode", "code review", "refactor",
        "write a function", "write a program", "write a script", "regex", "regexp", "regular expression",
        "regular expressions", "stack trace", "traceback", "segfault", "segmentation fault", "null pointer", "compile error",
        "compiler error", "syntax error", "syntaxerror", "typeerror", "valueerror", "keyerror", "nullpointerexception",
        "linked list", "binary tree", "binary search tree", "hash map", "hashmap", "hash table", "time complexity", "big o",
        "rest api", "api endpoint", "web scraper", "chrome extension",
        # Text that is code.
        "elif", "def init", "self init", "public static", "public static void", "static void", "public class", "private void",
        "import numpy", "using namespace", "namespace std", "int main", "select from", "insert into", "group by", "inner join",
        "left join", "create table", "async def", "async function", "const function", "foreach", "strlen", "malloc",
        "nullptr", "instanceof", "getelementbyid", "queryselector", "classname", "useeffect", "usestate",
    ),
    Category.CODE_HINT: (
        "code", "coding", "programming", "programmer", "function", "bug", "bugs", "debug", "debugging", "compile", "compiler",
        "algorithm", "algorithms", "array", "arrays", "recursion", "recursive", "integer", "integers", "boolean", "api", "apis", "json",
        "xml", "yaml", "csv", "java", "ruby", "rust", "scala", "backend", "frontend", "database", "git", "github", "docker", "linux",
        "bash", "runtime", "endpoint", "void", "int", "bool", "const", "var", "def", "struct", "enum", "async", "await", "lambda", "null",
        "iterate", "parse", "parser", "excel formula", "spreadsheet formula", "input string", "a string", "a class", "for loop",
        "while loop", "import", "return", "div",
    ),
    Category.PLANNING: (
        "plan", "planning", "planner", "roadmap", "roadmaps", "step by step", "itinerary", "itineraries", "milestone", "milestones",
        "curriculum", "syllabus", "project charter", "work breakdown", "gantt", "blueprint", "architecture", "architect",
        "system design", "design a system", "design and implement", "design and build", "migration strategy", "rollout",
        "organize a", "organise a", "project timeline", "event timeline", "create a schedule", "study schedule", "weekly schedule",
    ),
    Category.MATH: (
        "equation", "equations", "solve for", "integral", "integrals", "derivative", "derivatives", "theorem", "theorems", "lemma",
        "proof", "prove", "polynomial", "polynomials", "matrix", "matrices", "eigenvalue", "eigenvalues", "eigenvector", "probability",
        "probabilities", "algebra", "algebraic", "calculus", "geometry", "trigonometry", "logarithm", "logarithms", "factorial",
        "fraction", "fractions", "divisor", "divisors", "divisible", "modulo", "prime number", "prime numbers", "square root",
        "triangle", "hypotenuse", "perimeter", "arithmetic", "quadratic", "differential equation", "standard deviation", "variance",
        "frac", "sqrt", "mathbb", "cdot", "sin", "cos", "log", "multiply", "multiplied by", "divided by", "calculate", "compute",
        "∑", "∫", "√", "π", "≤", "≥", "≠", "∞",
    ),
    Category.VISION: (
        "screenshot", "screenshots", "image", "images", "visual", "visuals", "diagram", "diagrams", "chart", "charts", "picture",
        "pictures", "photo", "photos", "ui mock up", "ui mock ups", "ui mockup", "ui mockups",
    ),
}  # fmt: skip
"""Terms by category. A term may be in several."""
