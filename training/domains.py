"""What the domain head tells apart, and which subjects of the data sets belong to which domain."""

DOMAINS = (
    "biology",
    "business",
    "chemistry",
    "code",
    "computer science",
    "economics",
    "engineering",
    "general",
    "health",
    "history",
    "law",
    "logic",
    "mathematics",
    "philosophy",
    "physics",
    "psychology",
    "trivia",
    "writing",
)

_SUBJECTS = {
    "biology": "biology college_biology high_school_biology",
    "business": "business marketing management business_ethics professional_accounting public_relations",
    "chemistry": "chemistry college_chemistry high_school_chemistry",
    "code": "crux mbpp human_eval simple-code complex-code debugging testing code-review",
    "computer science": "computer_science college_computer_science high_school_computer_science computer_security "
    "machine_learning system-design architecture ml-pipeline",
    "economics": "economics econometrics high_school_macroeconomics high_school_microeconomics",
    "engineering": "engineering electrical_engineering",
    "general": "other openbook_qa arc_challenge commonsense_qa high_school_geography security_studies sociology us_foreign_policy "
    "high_school_government_and_politics global_facts",
    "health": "health anatomy clinical_knowledge college_medicine human_aging human_sexuality medical_genetics nutrition "
    "professional_medicine virology",
    "history": "history prehistory high_school_european_history high_school_us_history high_school_world_history",
    "law": "law international_law jurisprudence professional_law",
    "logic": "agentverse-logicgrid formal_logic logical_fallacies logic-puzzle formal-logic",
    "mathematics": "math gsm8k gsm math-l5 agentverse-mgsm abstract_algebra college_mathematics elementary_mathematics "
    "high_school_mathematics high_school_statistics formal-proof math-derivation algorithm-proof",
    "philosophy": "philosophy moral_disputes moral_scenarios world_religions",
    "physics": "physics astronomy college_physics conceptual_physics high_school_physics",
    "psychology": "psychology high_school_psychology professional_psychology",
    "trivia": "natural_qa trivia_qa miscellaneous",
    "writing": "commongen greeting creative brainstorming rewrite translation summary",
}
_DOMAIN = {subject: DOMAINS.index(name) for name, subjects in _SUBJECTS.items() for subject in subjects.split()}


def domain_of(subject: str | None) -> int:
    """Index of the domain of a subject; -1 where it tells none (mixed sets such as `mmlu` of ulab)."""
    return _DOMAIN.get((subject or "").replace(" ", "_"), -1)
