"""Every source kind by the name that sources.yml gives it."""

from typing import Final

from ingest.billing.aws_cur import AwsCur
from ingest.billing.azure_cost import AzureCost
from ingest.billing.focus import Focus
from ingest.billing.gcp_billing import GcpBilling
from ingest.billing.invoice_csv import InvoiceCsv
from ingest.billing.oci_cost import OciCost
from ingest.jobs.ray_jobs import RayJobs
from ingest.jobs.skypilot_jobs import SkypilotJobs
from ingest.jobs.slurm_sacct import SlurmSacct
from ingest.reference.carbon_intensity import CarbonIntensity
from ingest.reference.electricity_prices import ElectricityPrices
from ingest.reference.gcp_budgets import GcpBudgets
from ingest.reference.gpu_prices import GpuPrices
from ingest.reference.llm_price_catalogue import LlmPriceCatalogue
from ingest.source import SourceKind
from ingest.telemetry.dcgm_prometheus import DcgmPrometheus
from ingest.telemetry.koku_ocp import KokuOcp
from ingest.telemetry.kube_pods import KubePods
from ingest.telemetry.kube_state_prometheus import KubeStatePrometheus
from ingest.telemetry.kueue import Kueue
from ingest.telemetry.opencost_allocation import OpencostAllocation
from ingest.telemetry.vllm_prometheus import VllmPrometheus
from ingest.telemetry.volcano import Volcano
from ingest.tokens.gateway_log import GatewayLog
from ingest.tokens.langfuse import Langfuse
from ingest.tokens.litellm import Litellm
from ingest.tokens.otel_genai import OtelGenai
from ingest.tokens.provider_costs import ProviderCosts

KINDS: Final[dict[str, SourceKind]] = {
    kind.kind: kind
    for kind in (
        Focus(),
        AwsCur(),
        GcpBilling(),
        AzureCost(),
        OciCost(),
        InvoiceCsv(),
        OpencostAllocation(),
        DcgmPrometheus(),
        KokuOcp(),
        KubePods(),
        Volcano(),
        Kueue(),
        KubeStatePrometheus(),
        VllmPrometheus(),
        Litellm(),
        OtelGenai(),
        Langfuse(),
        GatewayLog(),
        ProviderCosts(),
        GpuPrices(),
        LlmPriceCatalogue(),
        CarbonIntensity(),
        ElectricityPrices(),
        GcpBudgets(),
        SlurmSacct(),
        SkypilotJobs(),
        RayJobs(),
    )
}
