"""What a company configured: HOME/config/sources.yml and policies.yml, checked with pydantic.

Every problem of a file is named at once: file, line, key, what was found, what is allowed.
"""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictStr

from ingest.allocation_policies import AllocationPolicy, list_default_rows
from ingest.home import Home
from ingest.server_options import check_server_options
from ingest.source import ChecksOptions, OptionProblem, SourceKind
from ingest.validity import Validity, find_overlaps
from ingest.wording import list_names
from ingest.yaml_document import ConfigError, YamlDocument

STORAGE_OPTIONS: Final = ("region", "endpoint_url", "profile")
"""Options of every kind of source; a kind may read more of its own."""

LANDING_OPTIONS: Final = ("withdrawn",)
"""Options of every source of logs or telemetry that comes as objects; none changes how one is read."""

WITHDRAWN_CHOICES: Final = ("keep", "remove")

SERVER_SCHEMES: Final = ("http", "https", "postgresql", "bigquery", "cloudbilling", "billingbudgets")
"""What a location that is asked and not listed starts with."""

_PLACES: Final = "a path, a glob, a folder, s3://bucket/prefix, gs://bucket/prefix, az://container/prefix"
_SECRET_PATTERN: Final = re.compile(
    r"(?:secret|password|access_key|account_key|connection_string)(?!_env$|_file$)|token$", re.IGNORECASE
)
_CONTROL_PATTERN: Final = re.compile(r"[\x00-\x1f\x7f]")
_NAME_PATTERN: Final = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*")


def _check_name(name: str) -> str:
    if not _NAME_PATTERN.fullmatch(name):
        raise ValueError("lower-case letters and digits, joined by - or _, such as aws-focus")
    return name


def _check_location(location: str) -> str:
    if not location.strip() or _CONTROL_PATTERN.search(location):
        raise ValueError(_PLACES)
    scheme, separator, _ = location.partition("://")
    if separator and scheme not in ("s3", "gs", "az") and scheme not in SERVER_SCHEMES:
        raise ValueError(f"{_PLACES} or a server; no other scheme is read")
    return location


def is_server(location: str) -> bool:
    """True for the address of a server, which is asked and not listed."""
    scheme, separator, _ = location.partition("://")
    return bool(separator) and scheme in SERVER_SCHEMES


def _check_options(options: dict[str, Any]) -> dict[str, Any]:
    problems: list[str] = []
    for name, value in options.items():
        near = difflib.get_close_matches(name, STORAGE_OPTIONS, n=1, cutoff=0.8)
        if name in STORAGE_OPTIONS and not (isinstance(value, str) and value):
            problems.append(f"{name} as a text that is not empty")
        elif _SECRET_PATTERN.search(name):
            problems.append(f"no {name}: keys come from the environment or from files, never from here")
        elif near and name not in STORAGE_OPTIONS:
            # A kind's own options are the kind's to judge, but a slip in a common one would pass unseen.
            problems.append(f"{near[0]}, not {name}")
    endpoint = options.get("endpoint_url")
    if isinstance(endpoint, str) and endpoint:
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.netloc or "@" in parts.netloc or parts.query:
            problems.append("endpoint_url as http(s)://host[:port], with no user or password or signature in it")
    if problems:
        raise ValueError("; ".join(problems))
    return options


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceConfig(_Strict):
    """One source of sources.yml. `options` has the storage options and whatever else its kind reads."""

    name: Annotated[StrictStr, AfterValidator(_check_name)]
    kind: StrictStr
    location: Annotated[StrictStr, AfterValidator(_check_location)]
    options: Annotated[dict[str, Any], AfterValidator(_check_options)] = Field(
        default_factory=dict, validate_default=True
    )


class SourcesFile(_Strict):
    """sources.yml."""

    reporting_currency: Literal["USD"] = "USD"
    sources: tuple[SourceConfig, ...] = ()


_RATE: Final = Field(max_digits=18, decimal_places=9)  # as rates are held in the warehouse


class UnpricedExposure(_Strict):
    """USD per million tokens assumed for tokens without a known price: shown as exposure, never as cost."""

    input: Annotated[Decimal, _RATE, Field(ge=0)] = Decimal(3)
    output: Annotated[Decimal, _RATE, Field(ge=0)] = Decimal(15)


class LandingPolicies(_Strict):
    """What landing holds back for a person to accept."""

    shrink_share: Annotated[Decimal, _RATE, Field(ge=0, le=1)] = Decimal("0.05")
    """A newer delivery of a bill whose charges come to less by more than this share is held back."""


class DoctorPolicies(_Strict):
    """From where on the doctor asks to look."""

    untagged_share: Annotated[Decimal, _RATE, Field(ge=0, le=1)] = Decimal("0.05")
    """A month with more than this share of its cost untagged is named."""


class Policies(_Strict):
    """policies.yml, with what holds where it is silent."""

    unpriced_exposure_usd_per_mtok: UnpricedExposure = UnpricedExposure()
    gpu_idle_activity_share: Annotated[Decimal, _RATE, Field(ge=0, le=1)] = Decimal("0.05")
    """A held GPU with less activity than this is idle."""

    gpu_sample_gap_multiple: Annotated[Decimal, _RATE, Field(ge=1)] = Decimal(3)
    """A gap between samples of more than this many usual steps is unknown time."""

    restatement_materiality_usd: Annotated[Decimal, _RATE, Field(ge=0)] = Decimal(1)
    """A closed statement that changed by less is listed, and need not be sent again."""

    restatement_materiality_share: Annotated[Decimal, _RATE, Field(ge=0, le=1)] = Decimal("0.001")
    """The same, as a share of the statement; the greater of the two holds."""

    allocation: tuple[AllocationPolicy, ...] = ()
    """Who pays for what nobody owns alone."""

    landing: LandingPolicies = LandingPolicies()
    doctor: DoctorPolicies = DoctorPolicies()


def load_sources(home: Home, known_kinds: Mapping[str, SourceKind]) -> SourcesFile:
    """sources.yml, each source of one of `known_kinds`, with options that its server reads. Raises `ConfigError`."""
    document = YamlDocument(home.sources_path, SourcesFile)
    problems = list(document.problems)
    first_position: dict[str, int] = {}
    for position, source in enumerate(document.list_at("sources")):
        name, kind = (source.get("name"), source.get("kind")) if isinstance(source, dict) else (None, None)
        if isinstance(kind, str) and kind not in known_kinds:
            key = ("sources", position, "kind")
            problems.append(document.describe(key, repr(kind), list_names(kind, known_kinds)))
        if isinstance(name, str) and first_position.setdefault(name, position) != position:
            taken = f"a name of its own; sources[{first_position[name]}] has this one"
            problems.append(document.describe(("sources", position, "name"), repr(name), taken))
    for position, source in enumerate(document.value.sources if document.value and not problems else ()):
        for problem in (
            *_check_server(source, known_kinds[source.kind]),
            *_check_kind(source, known_kinds[source.kind]),
        ):
            key = ("sources", position, *problem.name.split("."))
            problems.append(document.describe(key, problem.found, problem.allowed))
        scope = source.options.get("scope", "all")
        is_name = isinstance(scope, str) and bool(scope.strip())
        if known_kinds[source.kind].refuses_whole_deliveries and not is_name:
            allowed = "a name for the part of the billing account that the export covers, such as research"
            problems.append(document.describe(("sources", position, "options", "scope"), repr(scope), allowed))
    if problems or document.value is None:
        raise ConfigError(home.sources_path, problems)
    return document.value


def _check_server(source: SourceConfig, kind: SourceKind) -> Iterator[OptionProblem]:
    """What is wrong with a location that is a server's address, and with its options, by dotted key."""
    if not is_server(source.location):
        return
    schemes = () if kind.server is None else kind.server.schemes
    parts = urlsplit(source.location)
    if kind.server is None or parts.scheme not in schemes:
        allowed = _PLACES + "".join(f", {scheme}://host" for scheme in schemes)
        yield OptionProblem("location", repr(parts.scheme), f"{allowed}; no other scheme is read by {kind.kind}")
        return
    if not parts.netloc or "@" in parts.netloc or parts.query or parts.fragment:
        allowed = f"{parts.scheme}://host[:port][/path] with no user, password or query in it"
        yield OptionProblem("location", "another address", allowed)
    is_http = parts.scheme in ("http", "https")
    for problem in (
        *check_server_options(source.options, is_http=is_http),
        *kind.server.check_options(source.options),
    ):
        yield OptionProblem(f"options.{problem.name}", problem.found, problem.allowed)


def _check_kind(source: SourceConfig, kind: SourceKind) -> Iterator[OptionProblem]:
    known = STORAGE_OPTIONS
    if not is_server(source.location) and not kind.refuses_whole_deliveries:
        known = (*STORAGE_OPTIONS, *LANDING_OPTIONS)
        if (found := source.options.get("withdrawn", WITHDRAWN_CHOICES[0])) not in WITHDRAWN_CHOICES:
            yield OptionProblem("options.withdrawn", repr(found), " or ".join(WITHDRAWN_CHOICES))
    if isinstance(kind, ChecksOptions) and not is_server(source.location):
        own = {name: value for name, value in source.options.items() if name not in known}
        for problem in kind.check_options(own):
            yield OptionProblem(f"options.{problem.name}", problem.found, problem.allowed)


def load_watch_policies(home: Home) -> tuple[LandingPolicies, DoctorPolicies]:
    """What landing and the doctor judge by; no number of a mart depends on them. Raises `ConfigError`."""
    policies = _load_policies_file(home)[0]
    return policies.landing, policies.doctor


def load_policies(home: Home) -> dict[str, str]:
    """Every number that the models read by dotted key, as plain decimal text (`0.05`, `3`), defaults included.

    Raises `ConfigError`.
    """
    return _flatten_policies(_load_policies_file(home)[0])


def list_built_in_policies() -> dict[str, str]:
    """Every number by dotted key as it is where policies.yml says nothing."""
    return _flatten_policies(Policies())


def load_allocation_policies(home: Home) -> list[dict[str, Any]]:
    """Rows of `config_allocation_policies`, with the line of each entry as `_position`; defaults included, which have
    none. Raises `ConfigError`.
    """
    policies, lines = _load_policies_file(home)
    rows = [
        row | {"_position": line}
        for policy, line in zip(policies.allocation, lines, strict=True)
        for row in policy.to_rows()
    ]
    return rows + list_default_rows(policies.allocation)


def _load_policies_file(home: Home) -> tuple[Policies, list[int]]:
    """policies.yml, and the line of each entry of `allocation`."""
    if not home.policies_path.exists():
        return Policies(), []
    document = YamlDocument(home.policies_path, Policies)
    policies, problems = document.value, list(document.problems)
    lines: list[int] = []
    if policies is not None:
        lines = [document.find_line(("allocation", position)) for position in range(len(policies.allocation))]
        problems += _find_overlapping_policies(document, policies.allocation)
    if problems or policies is None:
        raise ConfigError(home.policies_path, problems)
    return policies, lines


def _find_overlapping_policies(document: YamlDocument[Policies], policies: Sequence[AllocationPolicy]) -> Iterator[str]:
    by_pool: dict[tuple[str, str], list[Validity]] = {}
    for position, policy in enumerate(policies):
        validity = Validity(policy.valid_from, policy.valid_to, position)
        by_pool.setdefault((policy.subject, policy.pool), []).append(validity)
    for (subject, pool), validities in by_pool.items():
        for one, other in find_overlaps(validities):
            later, earlier = (one, other) if one.line > other.line else (other, one)
            line = document.find_line(("allocation", earlier.line))
            allowed = (
                f"one entry at a time for {subject} of {pool}, and allocation[{earlier.line}] (line {line}), "
                f"{policies[earlier.line].policy_id}, holds {earlier}; end one where the other begins"
            )
            found = f"{policies[later.line].policy_id} {later}"
            yield document.describe(("allocation", later.line, "valid_from"), found, allowed)


def _flatten_policies(model: BaseModel, prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name in type(model).model_fields:
        value = getattr(model, name)
        if name in ("allocation", "landing", "doctor"):  # rows of their own, and what no model reads
            continue
        if isinstance(value, BaseModel):
            flat |= _flatten_policies(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = format(value.normalize(), "f")
    return flat
