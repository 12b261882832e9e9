from decimal import Decimal

import pytest

from ingest.config import ConfigError, Policies, load_policies, load_sources, load_watch_policies
from ingest.home import Home
from ingest.kinds import KINDS


def read_problems(home: Home, sources_yml: str) -> list[str]:
    home.sources_path.write_text(sources_yml, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_sources(home, KINDS)
    assert str(caught.value).startswith(f"{home.sources_path}: {len(caught.value.problems)} problem")
    return list(caught.value.problems)


def test_a_new_homes_config_is_valid_and_has_no_source(home: Home):
    assert load_sources(home, KINDS).sources == ()


def test_the_commented_examples_of_a_new_home_are_valid(home: Home):
    text = home.sources_path.read_text().replace("sources: []", "sources:").replace("\n#  ", "\n  ")
    home.sources_path.write_text(text)
    loaded = load_sources(home, KINDS)
    assert [source.name for source in loaded.sources] == [
        "aws-focus",
        "aws-cur",
        "gcp",
        "azure",
        "oci",
        "neocloud",
        "cluster",
        "gpus",
        "more-gpus",
        "openshift",
        "pods",
        "gangs",
        "workloads",
        "price-check",
        "budgets",
        "grid",
        "power-market",
        "jobs",
        "managed-jobs",
        "ray",
        "pod-states",
        "serving",
        "gateway",
        "proxy",
        "openai",
    ]
    policies = "\n".join(line.removeprefix("# ") for line in home.policies_path.read_text().splitlines()[1:])
    expected = load_policies(home)
    home.policies_path.write_text(policies)
    assert load_policies(home) == expected


def test_a_source_keeps_common_options_and_its_kinds_own(home: Home):
    home.sources_path.write_text(
        "sources:\n"
        '  - {name: gateway, kind: litellm, location: "s3://logs/litellm/",'
        " options: {region: eu-west-1, log_format: spend_logs, step_seconds: 15}}\n"
    )
    loaded = load_sources(home, KINDS)
    assert loaded.reporting_currency == "USD"
    assert loaded.sources[0].location == "s3://logs/litellm/"
    assert loaded.sources[0].options == {"region": "eu-west-1", "log_format": "spend_logs", "step_seconds": 15}


def test_every_problem_is_named_at_once_with_key_line_found_and_allowed(home: Home):
    problems = read_problems(
        home,
        "reporting_curency: USD\n"
        "sources:\n"
        "  - {name: AWS Focus, kind: focsu, location: x}\n"
        "  - name: gateway\n"
        "    kind: litellm\n"
        "    locatoin: x\n"
        "  - {name: yes, kind: focus, location: ''}\n",
    )
    assert len(problems) == 7
    text = "\n".join(problems)
    for expected in (
        "reporting_curency (line 1): found an unknown key; allowed: reporting_currency, sources; "
        "did you mean reporting_currency?",
        "sources[0].name (line 3): found 'AWS Focus'; allowed: lower-case",
        f"sources[0].kind (line 3): found 'focsu'; allowed: {', '.join(sorted(KINDS))}; did you mean focus?",
        "sources[1].location (line 4): found nothing; allowed: this key is required",
        "sources[1].locatoin (line 6): found an unknown key; allowed: kind, location, name, options; "
        "did you mean location?",
        "sources[2].name (line 7): found True; allowed: a text",
        "sources[2].location (line 7): found ''",
    ):
        assert expected in text


def test_two_sources_of_one_name_are_refused(home: Home):
    problems = read_problems(
        home, "sources:\n- {name: a, kind: focus, location: x}\n- {name: a, kind: litellm, location: y}\n"
    )
    assert problems == ["sources[1].name (line 3): found 'a'; allowed: a name of its own; sources[0] has this one"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("{regoin: eu-west-1}", "region, not regoin"),
        ("{region: 4}", "region as a text"),
        ("{profile: ''}", "profile as a text"),
        ("{endpoint_url: 'localhost:9000'}", "endpoint_url as http"),
        ("{endpoint_url: 'https://user:hunter2@store'}", "no user or password"),
        ("{aws_secret_access_key: hunter2}", "keys come from the environment"),
        ("{aws_session_token: hunter2}", "keys come from the environment"),
        ("{connection_string: 'AccountKey=hunter2'}", "keys come from the environment"),
        ("{endpoint_url: 'https://account.blob.core.windows.net?sig=hunter2'}", "no user or password or signature"),
        ("[region]", "a mapping of keys to values"),
    ],
)
def test_a_wrong_option_is_named_and_a_secret_is_never_repeated(home: Home, options: str, expected: str):
    problems = read_problems(home, f"sources:\n- {{name: a, kind: focus, location: x, options: {options}}}\n")
    assert len(problems) == 1
    assert problems[0].startswith("sources[0].options (line 2): found ")
    assert expected in problems[0]
    assert "hunter2" not in problems[0]


@pytest.mark.parametrize("location", ["abfss://bucket/x", "http://host/x"])
def test_a_scheme_that_is_not_read_is_refused(home: Home, location: str):
    assert (
        "no other scheme" in read_problems(home, f"sources:\n- {{name: a, kind: focus, location: '{location}'}}\n")[0]
    )


@pytest.mark.parametrize("text", ["sources:\n", "sources: 5\n", "sources: {name: a}\n"])
def test_sources_that_are_no_list_are_refused(home: Home, text: str):
    (problem,) = read_problems(home, text)
    assert problem.endswith("allowed: a list")


def test_a_location_with_a_control_character_is_refused(home: Home):
    (problem,) = read_problems(home, 'sources:\n- {name: a, kind: focus, location: "a\\0b"}\n')
    assert problem.startswith("sources[0].location (line 2): found 'a\\x00b'")


def test_another_reporting_currency_is_refused(home: Home):
    assert read_problems(home, "reporting_currency: EUR\nsources: []\n") == [
        "reporting_currency (line 1): found 'EUR'; allowed: 'USD'"
    ]


def test_a_key_written_twice_is_refused(home: Home):
    problems = read_problems(home, "sources:\n- name: a\n  kind: focus\n  location: x\n  location: y\n")
    assert problems == ["sources[0].location (line 5): found a second time; allowed: once"]


@pytest.mark.parametrize("text", ["sources: [\n", "sources:\n\t- a\n", "a: b: c\n"])
def test_broken_yaml_is_an_error_with_its_line(home: Home, text: str):
    problems = read_problems(home, text)
    assert len(problems) == 1
    assert problems[0].startswith("line ")
    assert "not YAML" in problems[0]


@pytest.mark.parametrize("text", ["- a\n", "just text\n", "7\n"])
def test_a_file_that_is_no_mapping_is_refused(home: Home, text: str):
    assert "a mapping with the keys reporting_currency, sources" in read_problems(home, text)[0]


def test_a_file_that_is_not_utf8_is_refused(home: Home):
    home.sources_path.write_bytes(b"sources: [\xff]\n")
    with pytest.raises(ConfigError, match="cannot be read as UTF-8"):
        load_sources(home, KINDS)


def test_missing_sources_say_how_to_make_them(home: Home):
    home.sources_path.unlink()
    with pytest.raises(ConfigError, match="wattledger init"):
        load_sources(home, KINDS)


def test_policies_are_flat_and_exact_with_defaults_where_the_file_is_silent(home: Home):
    home.policies_path.write_text("unpriced_exposure_usd_per_mtok: {output: 20.10}\ngpu_idle_activity_share: 0.1\n")
    assert load_policies(home) == {
        "unpriced_exposure_usd_per_mtok.input": "3",
        "unpriced_exposure_usd_per_mtok.output": "20.1",
        "gpu_idle_activity_share": "0.1",
        "gpu_sample_gap_multiple": "3",
        "restatement_materiality_usd": "1",
        "restatement_materiality_share": "0.001",
    }


def test_policies_hold_without_a_file(home: Home):
    home.policies_path.unlink()
    assert load_policies(home)["gpu_idle_activity_share"] == "0.05"
    assert Policies().gpu_sample_gap_multiple == Decimal(3)


@pytest.mark.parametrize("text", ["0.1000000001", "1e-30", ".inf", "'x'", "[1]", "2026-01-01"])
def test_a_policy_that_is_no_rate_of_nine_places_is_refused(home: Home, text: str):
    home.policies_path.write_text(f"gpu_idle_activity_share: {text}\n")
    with pytest.raises(ConfigError, match=r"gpu_idle_activity_share \(line 1\): found .*; allowed: "):
        load_policies(home)


def test_a_policy_keeps_every_digit(home: Home):
    home.policies_path.write_text(
        "gpu_idle_activity_share: 0.100000001\nunpriced_exposure_usd_per_mtok: {input: 123456789.123456789}\n"
    )
    policies = load_policies(home)
    assert policies["gpu_idle_activity_share"] == "0.100000001"
    assert policies["unpriced_exposure_usd_per_mtok.input"] == "123456789.123456789"


def test_wrong_policies_are_all_named(home: Home):
    home.policies_path.write_text(
        "gpu_idle_activity_share: 5\n"
        "gpu_sample_gap_multiple: .nan\n"
        "gpu_idle_share: 0.05\n"
        "unpriced_exposure_usd_per_mtok:\n"
        "  input: -1\n"
        "  outptu: 15\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_policies(home)
    text = str(caught.value)
    assert len(caught.value.problems) == 5
    assert "gpu_idle_activity_share (line 1): found 5; allowed: less than or equal to 1" in text
    assert "gpu_sample_gap_multiple (line 2): found '.nan'" in text
    assert "gpu_idle_share (line 3): found an unknown key" in text
    assert "did you mean gpu_idle_activity_share?" in text
    assert "unpriced_exposure_usd_per_mtok.input (line 5): found -1; allowed: greater than or equal to 0" in text
    assert "unpriced_exposure_usd_per_mtok.outptu (line 6): found an unknown key; allowed: input, output; " in text


def test_policies_of_landing_and_the_doctor_reach_no_model(home: Home):
    home.policies_path.write_text("landing: {shrink_share: 0.2}\n")
    landing, doctor = load_watch_policies(home)
    assert (landing.shrink_share, doctor.untagged_share) == (Decimal("0.2"), Decimal("0.05"))
    assert not any(key.startswith(("landing", "doctor")) for key in load_policies(home))
    home.policies_path.write_text("landing: {shrink_share: 5}\n")
    with pytest.raises(ConfigError, match=r"landing\.shrink_share \(line 1\): found 5"):
        load_watch_policies(home)
