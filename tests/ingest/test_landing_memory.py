"""A bill larger than what landing may hold in memory lands all the same."""

import os
import subprocess
import sys
from pathlib import Path

from ingest import lake
from ingest.contracts import FOCUS_CHARGES
from ingest.home import Home

REPOSITORY = Path(__file__).resolve().parents[2]
_HEADER = (
    "ProviderName,BillingAccountId,BillingCurrency,BillingPeriodStart,ChargePeriodStart,ChargePeriodEnd,"
    "ChargeCategory,BilledCost,EffectiveCost,ResourceId,Tags\n"
)
_LAND = """
import resource, sys
from pathlib import Path
from ingest.home import open_home
from ingest.landing import land

def peak_mib():
    # A new process takes over the peak of its parent in ru_maxrss, but not in VmHWM, which only Linux has.
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return next(int(line.split()[1]) // 1024 for line in status.open() if line.startswith("VmHWM"))

before = peak_mib()
report = land(open_home(sys.argv[1]))
assert not report.has_refusals, report
print(before, peak_mib())
"""


def land_apart(home: Home) -> int:
    """Growth of the peak memory of one landing in a process of its own, in MiB."""
    done = subprocess.run(
        [sys.executable, "-c", _LAND, str(home.path)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=True,
    )
    before, after = map(int, done.stdout.split())
    return after - before


def write_bill(home: Home, row_count: int) -> int:
    """Size in MiB. Long tags pack well on disk but not in memory, so that a reader which holds the file would show."""
    note = "x" * 1_900
    with (home.path / "bill.csv").open("w") as file:
        file.write(_HEADER)
        for number in range(row_count):
            file.write(
                "AWS,a,USD,2026-05-01T00:00:00Z,2026-05-02T00:00:00Z,2026-05-03T00:00:00Z,Usage,1.5,1.25,"
                f'i-{number},"{{""team"": ""search"", ""note"": ""{note}""}}"\n'
            )
    return (home.path / "bill.csv").stat().st_size >> 20


def test_four_times_the_bill_does_not_take_four_times_the_memory(home: Home) -> None:
    home.sources_path.write_text("sources:\n  - {name: bills, kind: focus, location: bill.csv}\n")
    assert write_bill(home, 60_000) > 110
    small_mib = land_apart(home)
    assert write_bill(home, 240_000) > 440
    large_mib = land_apart(home)
    print(f"117 MiB took {small_mib} MiB, 468 MiB took {large_mib} MiB")
    assert large_mib < 2 * small_mib
    assert sum(file.row_count for file in lake.list_files(home, FOCUS_CHARGES)) == 240_000
