"""Writes docs/data_dictionary.md from the models' yml: `python docs/data_dictionary.py`.

The tests run `render()` and compare, so that the page is never older than the models.
"""

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "data_dictionary.md"
FAMILIES = {
    "chargeback": "Chargeback",
    "unit_economics": "Unit economics",
    "tco": "Energy and total cost of ownership",
    "waste": "Waste",
    "govern": "Governance",
}
HEADER = """# Data dictionary

Every table that `published/marts.duckdb` and `published/parquet/` hold. Generated from the models' yml by
`make docs`; edit there.
"""


def render() -> str:
    """The page as Markdown: families in the order above, models and columns as their yml lists them."""
    parts = [HEADER]
    for folder, title in FAMILIES.items():
        parts.append(f"\n## {title}\n")
        for file in sorted((ROOT / "dbt_project" / "models" / "marts" / folder).glob("_*__models.yml")):
            for model in yaml.safe_load(file.read_text())["models"]:
                parts.append(f"\n### {model['name']}\n\n{_one_line(model['description'])}\n")
                parts.append("\n| column | type | meaning |\n|---|---|---|")
                parts.extend(
                    f"\n| `{column['name']}` | {column['data_type']} | {_one_line(column['description'])} |"
                    for column in model["columns"]
                )
                parts.append("\n")
    return "".join(parts)


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(render())
