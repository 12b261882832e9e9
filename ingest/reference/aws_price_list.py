"""Prices of machines in AWS's price list of Amazon EC2, its offer file as CSV or JSON.

Source: pricing.us-east-1.amazonaws.com, `offers/v1.0/aws/AmazonEC2/current[/<region>]/index.csv` or `.json`. Of each
machine what its hour costs as everyone rents it: Linux, shared tenancy, nothing preinstalled; on demand, or reserved
for one or three years without paying ahead. A region's file has some hundred thousand lines, most of them other
things; the CSV is read line by line, the JSON into memory without what is not asked for.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from ingest.payload import iterate_csv, read_payload
from ingest.reference.gpu_price_layouts import PriceError, read_price, read_size
from ingest.source import ObjectRefusedError, RowSink, SourceObject

_FAMILIES: Final = ("Compute Instance", "Compute Instance (bare metal)")
_AS_EVERYONE_RENTS: Final = {
    "Operating System": "Linux",
    "Tenancy": "Shared",
    "CapacityStatus": "Used",
    "Pre Installed S/W": "NA",
}
_COMMITMENTS: Final = {"1yr": "commit_1y", "3yr": "commit_3y"}
_MEMORY: Final = re.compile(r"([\d.,]+)\s*(GiB|TiB)")
_GIB: Final = {"GiB": 1, "TiB": 1024}
_SPELLED: Final = {
    "operatingSystem": "Operating System",
    "tenancy": "Tenancy",
    "capacitystatus": "CapacityStatus",
    "preInstalledSw": "Pre Installed S/W",
    "instanceType": "Instance Type",
    "regionCode": "Region Code",
    "vcpu": "vCPU",
    "memory": "Memory",
    "gpu": "GPU",
}
"""Attributes of the JSON by the CSV's names."""

Prices = Iterator[tuple[int, Sequence[Mapping[str, Any]] | PriceError]]


class _Product(msgspec.Struct):
    productFamily: str = ""
    attributes: dict[str, str] = msgspec.field(default_factory=dict)


class _Dimension(msgspec.Struct):
    unit: str = ""
    description: str = ""
    pricePerUnit: dict[str, str] = msgspec.field(default_factory=dict)


class _Term(msgspec.Struct):
    effectiveDate: str = ""
    priceDimensions: dict[str, _Dimension] = msgspec.field(default_factory=dict)
    termAttributes: dict[str, str] = msgspec.field(default_factory=dict)


class _Offer(msgspec.Struct):
    offerCode: str
    publicationDate: str = ""
    products: dict[str, _Product] = msgspec.field(default_factory=dict)
    terms: dict[str, dict[str, dict[str, _Term]]] = msgspec.field(default_factory=dict)


def is_price_list(first_line: bytes) -> bool:
    """True for the first line of an offer file in CSV."""
    return first_line.lstrip().startswith((b'"FormatVersion"', b"FormatVersion"))


def iterate_price_lines(source_object: SourceObject, sink: RowSink) -> Prices:
    """Yield (line, prices of it or what is wrong with it). Raises `ObjectRefusedError` for another offer."""
    lines = iterate_csv(source_object, sink)
    about: dict[str, str] = {}
    header: list[str] = []
    for _, cells in lines:
        if "SKU" in cells:
            header = cells
            break
        about |= {cells[0]: cells[1]} if len(cells) == 2 else {}
    _check_offer(about.get("OfferCode"), header)
    as_of = _read_time(about.get("Publication Date"))
    for position, cells in lines:
        line = dict(zip(header, cells, strict=False))
        if _is_plain(line.get("Product Family", ""), line):
            yield position, _try(line, as_of)


def iterate_json(source_object: SourceObject) -> Prices:
    """Yield (running number of the product, its prices or what is wrong with one); raises as `iterate_price_lines`."""
    try:
        offer = msgspec.json.decode(read_payload(source_object), type=_Offer)
    except msgspec.DecodeError as error:
        raise ObjectRefusedError(f"not an offer file of AWS's price list: {error}") from error
    _check_offer(offer.offerCode, ["SKU"])
    as_of = _read_time(offer.publicationDate)
    for number, (sku, product) in enumerate(offer.products.items(), 1):
        spelled = {_SPELLED[name]: value for name, value in product.attributes.items() if name in _SPELLED}
        if not _is_plain(product.productFamily, spelled):
            continue
        for term_type, terms in offer.terms.items():
            for term in terms.get(sku, {}).values():
                for dimension in term.priceDimensions.values():
                    yield number, _try(spelled | {"SKU": sku} | _spell_term(term_type, term, dimension), as_of)


def _spell_term(term_type: str, term: _Term, dimension: _Dimension) -> dict[str, str]:
    currency, price = next(iter(dimension.pricePerUnit.items()), ("", ""))
    return {
        "TermType": term_type,
        "EffectiveDate": term.effectiveDate,
        "Unit": dimension.unit,
        "PriceDescription": dimension.description,
        "Currency": currency,
        "PricePerUnit": price,
        "LeaseContractLength": term.termAttributes.get("LeaseContractLength", ""),
        "PurchaseOption": term.termAttributes.get("PurchaseOption", ""),
        "OfferingClass": term.termAttributes.get("OfferingClass", ""),
    }


def _check_offer(offer_code: str | None, header: Sequence[str]) -> None:
    if offer_code != "AmazonEC2" or not header:
        raise ObjectRefusedError("expected the offer of AmazonEC2", field="OfferCode", found=str(offer_code))


def _is_plain(family: str, line: Mapping[str, str]) -> bool:
    return family in _FAMILIES and all(line.get(name) == value for name, value in _AS_EVERYONE_RENTS.items())


def _try(line: Mapping[str, str], as_of: datetime | None) -> Sequence[Mapping[str, Any]] | PriceError:
    try:
        return _read_line(line, as_of)
    except PriceError as error:
        return error


def _read_line(line: Mapping[str, str], as_of: datetime | None) -> Sequence[Mapping[str, Any]]:
    kind = _name_kind(line)
    if kind is None or line.get("Unit") not in ("Hrs", "Hours"):
        return []
    if line.get("Currency") != "USD":
        raise PriceError("Currency", "expected USD", line.get("Currency", ""))
    price = read_price("PricePerUnit", line.get("PricePerUnit", ""))
    if not price:
        return []  # what a host or a reservation has paid for already
    memory = _MEMORY.match(line.get("Memory", ""))
    return [
        {
            "catalogue": "aws_price_list",
            "provider": "aws",
            "region": line.get("Region Code") or None,
            "instance_type": line.get("Instance Type") or None,
            "sku_id": line.get("SKU"),
            "description": line.get("PriceDescription") or None,
            "price_kind": kind,
            "priced_part": "instance",
            "gpu_count": read_size(line.get("GPU")),
            "vcpu_count": read_size(line.get("vCPU")),
            "memory_gib": (read_size(memory[1].replace(",", "")) or 0) * _GIB[memory[2]] if memory else None,
            "tier_start_units": 0.0,
            "usd_per_hour": price,
            "effective_at": _read_time(line.get("EffectiveDate")),
            "as_of": as_of,
        }
    ]


def _name_kind(line: Mapping[str, str]) -> str | None:
    """How it is bought; None of what is paid ahead, and of convertible reservations, which cost other prices."""
    if line.get("TermType") == "OnDemand":
        return "on_demand"
    if (line.get("PurchaseOption"), line.get("OfferingClass")) != ("No Upfront", "standard"):
        return None
    return _COMMITMENTS.get(line.get("LeaseContractLength", "").replace(" ", ""))


def _read_time(text: str | None) -> datetime | None:
    """UTC, naive; a day alone is its midnight. Raises `PriceError`."""
    if not text:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise PriceError("EffectiveDate", "not a time: expected 2026-10-01", text[:64]) from None
    return instant.astimezone(UTC).replace(tzinfo=None) if instant.tzinfo else instant
