"""How fast sources land, beside the floor: what DuckDB alone takes to copy the same file to Parquet.

    python benchmarks/land.py --rows 100000

Writes one FOCUS CSV.gz and four LiteLLM JSON lines files (gzip) of that many rows each into a temporary home, lands
each source, and prints rows per second, the peak memory of the process and of its largest reader, and how many times
the floor it took. The floor is `COPY (FROM read_…) TO … (FORMAT parquet)` of the same files in the same run: no types
checked, no quarantine, no slices, no commit. Run it on an idle machine; compare ratios rather than seconds.
"""

import argparse
import gzip
import json
import resource
import tempfile
import time
from pathlib import Path

import duckdb

from ingest.home import Home, create_home
from ingest.landing import land

_GATEWAY_FILES = 4
_BILL_HEADER = (
    "ProviderName,BillingAccountId,BillingCurrency,BillingPeriodStart,BillingPeriodEnd,ChargePeriodStart,"
    "ChargePeriodEnd,ChargeCategory,ServiceName,ResourceId,BilledCost,EffectiveCost,ListCost,Tags\n"
)


def write_bill(path: Path, row_count: int) -> None:
    """One month of hourly charges."""
    path.parent.mkdir(parents=True)
    with gzip.open(path, "wt", compresslevel=1) as file:
        file.write(_BILL_HEADER)
        for row in range(row_count):
            day, hour = row % 30 + 1, row % 23
            file.write(
                f"AWS,123456789012,USD,2026-06-01T00:00:00Z,2026-07-01T00:00:00Z,2026-06-{day:02d}T{hour:02d}:00:00Z,"
                f"2026-06-{day:02d}T{hour + 1:02d}:00:00Z,Usage,Amazon EC2,i-{row % 5000:017x},0.{row % 99991:08d},"
                f'0.{row % 89989:08d},0.{row % 99991:08d},"{{""team"": ""team-{row % 20}""}}"\n'
            )


def write_gateway_logs(folder: Path, row_count: int) -> None:
    """Requests of four days, a file a day."""
    folder.mkdir(parents=True)
    for day in range(1, _GATEWAY_FILES + 1):
        with gzip.open(folder / f"2026-06-{day:02d}.jsonl.gz", "wt", compresslevel=1) as file:
            for row in range(day - 1, row_count, _GATEWAY_FILES):
                at = 1_780_272_000 + (day - 1) * 86_400 + row % 86_000
                record = {
                    "id": f"chatcmpl-{row:024x}",
                    "call_type": "acompletion",
                    "status": "success",
                    "model": "gpt-4o",
                    "custom_llm_provider": "openai",
                    "startTime": at + 0.25,
                    "endTime": at + 1.5,
                    "prompt_tokens": row % 4000 + 1,
                    "completion_tokens": row % 700 + 1,
                    "total_tokens": row % 4000 + row % 700 + 2,
                    "response_cost": row % 97 / 10_000,
                    "request_tags": [f"app:app-{row % 12}"],
                    "metadata": {"user_api_key_hash": f"{row % 40:064x}", "user_api_key_team_id": f"team-{row % 20}"},
                }
                file.write(json.dumps(record) + "\n")


def copy_to_parquet(scan: str, target: Path) -> float:
    """Seconds that the engine alone takes."""
    began_at = time.perf_counter()
    with duckdb.connect() as engine:
        engine.execute(f"copy (from {scan}) to '{target}' (format parquet, compression zstd)")
    return time.perf_counter() - began_at


def land_source(home: Home, name: str) -> tuple[int, float]:
    """(rows landed, seconds)."""
    began_at = time.perf_counter()
    (report,) = land(home, only_sources=[name]).sources
    seconds = time.perf_counter() - began_at
    if report.deliveries_refused or report.is_stale:
        raise SystemExit(f"{name}: {'; '.join(report.messages)}")
    return report.rows_landed, seconds


def main() -> None:
    """Generate, land, compare, print."""
    parser = argparse.ArgumentParser(description="Land generated sources and compare with the engine's own copy.")
    parser.add_argument("--rows", type=int, default=100_000, help="rows of each source (default 100000)")
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        home = create_home(Path(folder) / "home")
        write_bill(home.path / "bills" / "2026-06" / "focus.csv.gz", rows)
        write_gateway_logs(home.path / "logs", rows)
        home.sources_path.write_text(
            "sources:\n"
            "  - {name: bills, kind: focus, location: bills/*/*.csv.gz}\n"
            "  - {name: gateway, kind: litellm, location: logs/*.jsonl.gz}\n"
        )
        scans = {
            "bills": f"read_csv('{home.path}/bills/*/*.csv.gz', all_varchar = true)",
            "gateway": f"read_json('{home.path}/logs/*.jsonl.gz', format = 'newline_delimited')",
        }
        for name, scan in scans.items():
            landed, seconds = land_source(home, name)
            floor_seconds = copy_to_parquet(scan, Path(folder) / f"{name}.parquet")
            print(
                f"{name:8} {landed:>9} rows  {seconds:6.2f} s  {landed / seconds:>9.0f} rows/s  "
                f"floor {floor_seconds:5.2f} s  ratio {seconds / floor_seconds:5.1f}"
            )
    own_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    reader_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
    print(f"peak memory: {own_mib} MiB here, {reader_mib} MiB the largest reader")


if __name__ == "__main__":
    main()
