"""What has landed does not depend on the order in which it came: law 11, where rows enter."""

import shutil
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from ingest.contracts import FOCUS_CHARGES, LITELLM_REQUESTS, QUARANTINE
from ingest.home import Home, create_home, open_home
from ingest.landing import land
from tests.ingest.landed import FOCUS_SOURCE, LOG_SOURCE, bill, configure, query, request, write

pytestmark = [pytest.mark.slow, pytest.mark.long]

ORDERS = 50

OBJECTS: dict[str, tuple[str, int]] = {
    # A bill of two parts, restated twice, the second time with the same rows; versions by the export's own time, which
    # the times of the files contradict. The later ones leave a month out: what only the first told of stands.
    "exports/20260601T0000/part-1.csv": (bill("1.10", "2.20") + bill("8", month=4).partition("\n")[2], 900),
    "exports/20260601T0000/part-2.csv": (bill("3.30"), 100),
    "exports/20260602T0000/all.csv": (bill("1.10", "2.25", "3.30"), 500),
    "exports/20260603T0000/all.csv": (bill("1.10", "2.25", "3.30"), 400),
    # Logs: the same calls under two names, a day that two objects share, a line cut off.
    "logs/a.jsonl": (f"{request('a1')}\n{request('a2', day=2)}\n", 100),
    "logs/again.jsonl": (f"{request('a1')}\n{request('a2', day=2)}\n", 200),
    "logs/b.jsonl": (f"{request('b1', day=2)}\n{request('b2')[:40]}\n{request('b3', day=3)}\n", 300),
}


def land_in_order(home: Home, batches: list[list[str]]) -> dict[str, Counter[tuple]]:
    """What stands in the lake after each batch of objects came and was landed. A charge's audit columns are left out:
    of two deliveries that say the same, the one that came first keeps its rows."""
    for batch in batches:
        for name in batch:
            content, modified_at = OBJECTS[name]
            write(home.path / name, content, modified_at)
        land(home)
    charges = query(home, FOCUS_CHARGES, "* exclude (_object, _position, _delivery_id)")
    requests = query(home, LITELLM_REQUESTS, "* exclude (_delivery_id) replace (parse_filename(_object) as _object)")
    refused = query(home, QUARANTINE, "source_name, parse_filename(object_uri), scope, position, field, reason")
    return {"charges": Counter(charges), "requests": Counter(requests), "refused": Counter(refused)}


def random_batches(random: Random) -> list[list[str]]:
    """All objects in a random order, cut into landings at random; with the last one, two come a second time."""
    names = list(OBJECTS)
    random.shuffle(names)
    cuts = sorted(random.sample(range(1, len(names)), random.randint(1, 2)))
    batches = [names[start:end] for start, end in zip([0, *cuts], [*cuts, len(names)], strict=True)]
    batches[-1] += random.sample(names, 2)
    return batches


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home that landed its price book and nothing else."""
    home = create_home(tmp_path_factory.mktemp("empty") / "home")
    configure(home, FOCUS_SOURCE, LOG_SOURCE)
    land(home)
    return home


@pytest.fixture(scope="module")
def at_once(tmp_path_factory: pytest.TempPathFactory, empty: Home) -> dict[str, Counter[tuple]]:
    """Everything landed at once."""
    path = tmp_path_factory.mktemp("at-once") / "home"
    shutil.copytree(empty.path, path)
    return land_in_order(open_home(path), [list(OBJECTS)])


def test_all_at_once_is_the_newest_version_of_each_slice(at_once: dict[str, Counter[tuple]]) -> None:
    amount = FOCUS_CHARGES.schema.names.index("billed_cost")
    assert sorted(str(round(row[amount], 2)) for row in at_once["charges"].elements()) == [
        "1.10",
        "2.25",
        "3.30",
        "8.00",
    ]
    assert at_once["requests"].total() == 6
    assert [row[1:4] for row in at_once["refused"]] == [("b.jsonl", "row", 2)]


@pytest.mark.parametrize("seed", range(ORDERS))
def test_any_order_of_arrival_lands_the_same_rows(
    tmp_path: Path, empty: Home, at_once: dict[str, Counter[tuple]], seed: int
) -> None:
    shutil.copytree(empty.path, tmp_path / "home")
    batches = random_batches(Random(seed))
    assert land_in_order(open_home(tmp_path / "home"), batches) == at_once, batches
