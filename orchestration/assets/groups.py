"""Groups of assets in Dagster's graph: a folder, or a subject inside a folder that is too large to look at.

The subject is a word of the model's name; docs/naming.md lists the groups.
"""

import re
from typing import Final

_SUBJECTS: Final = {
    "intermediate_charges": (
        ("owned", "depreciation|energy_lines|owned_lines|power_lines|hosts"),
        ("commitments", "commitment|unused|references|accruals|zero_sum"),
        ("bills", "lines|items|bills|invoice|gcp_|conformance|slices|current|dimensions|refusals|set_aside|drafts"),
        ("moves", "moves|idle_|policy_|gifts|shared_|rate_card|named_pots|quota_shares"),
        ("owners", "owner|teams|subjects|bearers|direct"),
        ("nodes", "node|hours|held|heard|allocat|takers|api_days|shares"),
    ),
    "intermediate_tokens": (
        ("bills", "bill|provider|scope"),
        ("prices", "price|rates"),
    ),
    "staging": (
        ("config", "stg_config"),
        ("books", "stg_books"),
        ("bills", "stg_(aws|azure|focus|gcp|oci|invoice)"),
        ("tokens", "stg_(litellm|llm|provider)"),
    ),
    "landing": (
        ("config", "^config_"),
        ("bills", "charges|line|rows"),
        ("gpus", "samples|kube|allocations|jobs|job_"),
    ),
}
"""By folder: subjects, and what a name of each has in it. The first that fits wins; the rest stays with the folder."""


def name_group(folder: str, name: str) -> str:
    """`intermediate_charges` and `int_charges__aws_lines` make `intermediate_charges_bills`."""
    subject_part = name.partition("__")[2] if folder.startswith("intermediate") else name
    for subject, pattern in _SUBJECTS.get(folder, ()):
        if re.search(pattern, subject_part):
            return f"{folder}_{subject}"
    return folder
