import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from ingest.storage import (
    SourceLocationError,
    StorageError,
    StoredObject,
    fetch,
    list_objects,
    open_stream,
)

KEYS = (
    "a.csv",
    "exports/2026/01/b.csv.gz",
    "exports/2026/01/.hidden.csv",
    "exports/2026/01/notes.txt",
    "exports/2026/02/c d ü.csv",
    "exports/.staging/e.csv",
    "exports/f.csv",
    "exports-old/g.csv",
    "odd [1]/h.csv",
    "odd 1/i.csv",
)
LOCATIONS = (
    "a.csv",
    "exports",
    "exports/",
    "exports/*.csv",
    "exports/*",
    "exports/**",
    "exports/**/*.csv",
    "exports/**/*.csv*",
    "exports/20?6/0[!2]/*",
    "exports/.staging/*",
    "**/[a-f].csv",
    "exports/2026/**/01/*",
    "odd [1]/h.csv",
    "odd [1]/*.csv",
    "nothing/*.csv",
    "**",
    "**/2026/**",
    "exports/**/**/*.csv",
    "exports*/?.csv",
)


def write_local(folder: Path) -> None:
    for key in KEYS:
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_text(key)


# --- local -----------------------------------------------------------------------------------------------------------


def test_local_objects_are_listed_by_path_with_size_etag_and_utc_time(tmp_path: Path):
    (tmp_path / "in put ü.csv").write_text("12345")
    (stored,) = list_objects("in put ü.csv", {}, tmp_path)
    status = (tmp_path / "in put ü.csv").stat()
    assert (stored.uri, stored.path) == ("in put ü.csv", tmp_path / "in put ü.csv")
    assert (stored.size_bytes, stored.etag) == (5, f"5-{status.st_mtime_ns}")
    assert stored.modified_at.tzinfo is UTC
    assert abs(stored.modified_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_the_etag_of_a_rewritten_file_changes(tmp_path: Path):
    file = tmp_path / "a.csv"
    file.write_text("one")
    (before,) = list_objects("a.csv", {}, tmp_path)
    file.write_text("two")
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1_000))
    (after,) = list_objects("a.csv", {}, tmp_path)
    assert before.etag != after.etag


def test_a_pattern_in_the_homes_own_path_is_taken_literally(tmp_path: Path):
    folder = tmp_path / "company [eu] *"
    folder.mkdir()
    write_local(folder)
    assert len(list_objects("exports/*.csv", {}, folder)) == 1
    assert len(list_objects("exports", {}, folder)) == 4


def test_absolute_paths_home_folders_and_parents_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_local(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    expected = [str(tmp_path / "exports/f.csv")]
    for location in (f"{tmp_path}/exports/f.csv", "~/exports/f.csv", "../exports/f.csv", "~/exports/*.csv"):
        assert [item.uri for item in list_objects(location, {}, elsewhere)] == expected


def test_a_missing_file_is_an_error_that_says_where_it_was_looked_for(tmp_path: Path):
    with pytest.raises(SourceLocationError) as caught:
        list_objects("exports/missing.csv", {}, tmp_path)
    assert str(tmp_path / "exports/missing.csv") in str(caught.value)
    assert "sources.yml" in str(caught.value)


def test_an_empty_folder_and_an_unmatched_glob_have_no_objects(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    assert list_objects("empty", {}, tmp_path) == []
    assert list_objects("absent/*.csv", {}, tmp_path) == []


def test_an_empty_file_is_an_object(tmp_path: Path):
    (tmp_path / "empty.csv").write_bytes(b"")
    (stored,) = list_objects("*.csv", {}, tmp_path)
    assert stored.size_bytes == 0
    with open_stream(stored, {}) as stream:
        assert stream.read() == b""


def test_a_file_with_two_names_is_one_object_and_a_dangling_link_is_none(tmp_path: Path):
    (tmp_path / "b.csv").write_text("1")
    (tmp_path / "a-link.csv").symlink_to(tmp_path / "b.csv")
    (tmp_path / "hard.csv").hardlink_to(tmp_path / "b.csv")
    (tmp_path / "dead.csv").symlink_to(tmp_path / "gone.csv")
    (tmp_path / "loop").symlink_to(tmp_path)
    for location in ("*.csv", ".", "**", "**/*.csv"):
        assert len(list_objects(location, {}, tmp_path)) == 1, location
    (tmp_path / "hard.csv").unlink()
    assert [Path(item.uri).name for item in list_objects("*.csv", {}, tmp_path)] == ["b.csv"]
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "linked").symlink_to(tmp_path)
    (stored,) = list_objects("linked/b.csv", {}, tmp_path / "elsewhere")
    assert stored.uri == "linked/b.csv"


@pytest.fixture
def ordinary_user_dir(tmp_path: Path) -> Iterator[Path]:
    """A folder all may enter, and, where the tests run as root, the rights of nobody: root reads every folder."""
    if os.geteuid() != 0:
        yield tmp_path
        return
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        os.seteuid(65534)
        yield Path(folder)
        os.seteuid(0)


@pytest.mark.parametrize("mode", [0o000, 0o300, 0o600])
@pytest.mark.parametrize("location", ["exports", "exports/**", "exports/2026/01/*.gz", "exports/2026/*/*"])
def test_a_folder_that_cannot_be_read_is_an_error_and_not_an_absence(ordinary_user_dir: Path, location: str, mode: int):
    write_local(ordinary_user_dir)
    closed = ordinary_user_dir / "exports/2026/01"
    closed.chmod(mode)
    try:
        with pytest.raises(StorageError, match=r"2026/01.*[Cc]heck|2026/01.*rights of the folder"):
            list_objects(location, {}, ordinary_user_dir)
    finally:
        closed.chmod(0o700)


@pytest.mark.parametrize("location", ["~no-such-user-here/a.csv", f"{'x' * 5000}.csv"])
def test_a_location_that_cannot_be_looked_up_is_an_error(tmp_path: Path, location: str):
    with pytest.raises(SourceLocationError, match="Correct `location`"):
        list_objects(location, {}, tmp_path)


def test_a_file_deleted_after_listing_is_an_error_with_its_path(tmp_path: Path):
    (tmp_path / "a.csv").write_text("1")
    (stored,) = list_objects("a.csv", {}, tmp_path)
    (tmp_path / "a.csv").unlink()
    with pytest.raises(StorageError, match=r"a\.csv: cannot be read"):
        open_stream(stored, {})


def test_a_file_name_that_is_not_utf8_is_an_error(tmp_path: Path):
    (tmp_path / os.fsdecode(b"bad-\xff.csv")).write_text("1")
    with pytest.raises(StorageError, match="not UTF-8"):
        list_objects("*.csv", {}, tmp_path)


def test_a_local_file_is_fetched_where_it_is(tmp_path: Path):
    (tmp_path / "a.csv").write_text("1")
    (stored,) = list_objects("a.csv", {}, tmp_path)
    assert fetch(stored, {}, tmp_path / "scratch") == tmp_path / "a.csv"
    assert not (tmp_path / "scratch").exists()


# --- S3 --------------------------------------------------------------------------------------------------------------


def test_a_location_means_the_same_on_disk_and_in_s3(
    s3_client: Any, s3_bucket: str, s3_options: dict[str, str], tmp_path: Path
):
    write_local(tmp_path)
    for key in KEYS:
        s3_client.put_object(Bucket=s3_bucket, Key=key, Body=key.encode())
    s3_client.put_object(Bucket=s3_bucket, Key="exports/", Body=b"")
    for location in LOCATIONS:
        local = [item.uri for item in list_objects(location, {}, tmp_path)]
        remote = [
            item.uri.removeprefix(f"s3://{s3_bucket}/")
            for item in list_objects(f"s3://{s3_bucket}/{location}", s3_options, tmp_path)
        ]
        assert sorted(local) == remote, location
    assert len(list_objects(f"s3://{s3_bucket}", s3_options, tmp_path)) == 8


def test_more_keys_than_one_page_are_all_listed_in_order(s3_bucket: str, s3_options: dict[str, str], tmp_path: Path):
    store = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]  # straight into the server: a thousand uploads take ten seconds
    for number in range(1_005):
        store.put_object(s3_bucket, f"logs/{number:05}.jsonl", b"{}")
    listed = list_objects(f"s3://{s3_bucket}/logs/", s3_options, tmp_path)
    assert [item.uri for item in listed] == [f"s3://{s3_bucket}/logs/{number:05}.jsonl" for number in range(1_005)]
    assert len(list_objects(f"s3://{s3_bucket}/logs/*5.jsonl", s3_options, tmp_path)) == 100


def test_an_object_is_streamed_and_fetched_whole(
    s3_client: Any, s3_bucket: str, s3_options: dict[str, str], tmp_path: Path
):
    body = os.urandom(3_500_000)
    s3_client.put_object(Bucket=s3_bucket, Key="big file ü.csv.gz", Body=body)
    (stored,) = list_objects(f"s3://{s3_bucket}/big file ü.csv.gz", s3_options, tmp_path)
    assert stored.size_bytes == len(body)
    with open_stream(stored, s3_options) as stream:
        assert stream.read(10) == body[:10]
        assert stream.readline() == body[10 : body.index(b"\n", 10) + 1]
        assert stream.read() == body[body.index(b"\n", 10) + 1 :]
    path = fetch(stored, s3_options, tmp_path / "scratch")
    assert path.read_bytes() == body
    assert path.name.endswith(".csv.gz")
    assert list((tmp_path / "scratch").iterdir()) == [path]


def test_an_overwritten_object_has_another_etag_and_the_old_version_is_never_read_as_the_new(
    s3_client: Any, s3_bucket: str, s3_options: dict[str, str], tmp_path: Path
):
    s3_client.put_object(Bucket=s3_bucket, Key="a.csv", Body=b"one")
    (before,) = list_objects(f"s3://{s3_bucket}/a.csv", s3_options, tmp_path)
    s3_client.put_object(Bucket=s3_bucket, Key="a.csv", Body=b"two")
    (after,) = list_objects(f"s3://{s3_bucket}/a.csv", s3_options, tmp_path)
    assert before.etag != after.etag
    with pytest.raises(StorageError, match="replaced after it was listed"):
        fetch(before, s3_options, tmp_path / "scratch")
    assert fetch(after, s3_options, tmp_path / "scratch").read_bytes() == b"two"


def test_an_empty_object_is_listed_and_read(s3_client: Any, s3_bucket: str, s3_options: dict[str, str], tmp_path: Path):
    s3_client.put_object(Bucket=s3_bucket, Key="empty.csv", Body=b"")
    (stored,) = list_objects(f"s3://{s3_bucket}/*.csv", s3_options, tmp_path)
    assert fetch(stored, s3_options, tmp_path / "scratch").read_bytes() == b""


def test_the_endpoint_of_the_environment_is_used(
    s3_client: Any, s3_bucket: str, s3_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    s3_client.put_object(Bucket=s3_bucket, Key="a.csv", Body=b"one")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    assert len(list_objects(f"s3://{s3_bucket}/", {}, tmp_path)) == 1


def test_credentials_of_a_named_profile_are_used(
    s3_client: Any, s3_bucket: str, s3_options: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    s3_client.put_object(Bucket=s3_bucket, Key="a.csv", Body=b"one")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    (tmp_path / "aws-credentials").write_text("[finops]\naws_access_key_id = k\naws_secret_access_key = hunter2\n")
    assert len(list_objects(f"s3://{s3_bucket}/", s3_options | {"profile": "finops"}, tmp_path)) == 1
    with pytest.raises(StorageError, match=r"absent.*options\.profile"):
        list_objects(f"s3://{s3_bucket}/", s3_options | {"profile": "absent"}, tmp_path)


def test_missing_credentials_are_an_error_that_says_what_to_set(
    s3_bucket: str, s3_options: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StorageError, match=rf"s3://{s3_bucket}/logs/.*AWS_ACCESS_KEY_ID"):
        list_objects(f"s3://{s3_bucket}/logs/", s3_options, tmp_path)


def test_a_wrong_bucket_is_an_error_with_bucket_cause_and_mend(s3_options: dict[str, str], tmp_path: Path):
    with pytest.raises(StorageError) as caught:
        list_objects("s3://no-such-bucket-here/logs/", s3_options, tmp_path)
    assert "s3://no-such-bucket-here/logs/: NoSuchBucket" in str(caught.value)
    assert "Correct the bucket" in str(caught.value)
    assert "test-secret" not in str(caught.value)


def test_a_missing_object_is_an_error_and_an_empty_prefix_is_not(
    s3_bucket: str, s3_options: dict[str, str], tmp_path: Path
):
    with pytest.raises(SourceLocationError, match=r"no such object.*sources\.yml"):
        list_objects(f"s3://{s3_bucket}/logs/one.jsonl", s3_options, tmp_path)
    assert list_objects(f"s3://{s3_bucket}/logs/", s3_options, tmp_path) == []
    assert list_objects(f"s3://{s3_bucket}/logs/*.jsonl", s3_options, tmp_path) == []


def test_a_location_without_a_bucket_is_an_error(s3_options: dict[str, str], tmp_path: Path):
    with pytest.raises(SourceLocationError, match="no bucket name"):
        list_objects("s3:///logs", s3_options, tmp_path)


def test_a_full_scratch_folder_is_an_error_that_says_where(
    s3_client: Any, s3_bucket: str, s3_options: dict[str, str], tmp_path: Path
):
    s3_client.put_object(Bucket=s3_bucket, Key="a.csv", Body=b"one")
    (stored,) = list_objects(f"s3://{s3_bucket}/a.csv", s3_options, tmp_path)
    (tmp_path / "scratch").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="cannot be copied to"):
        fetch(stored, s3_options, tmp_path / "scratch")


def test_a_hand_made_object_is_local_unless_it_is_in_s3():
    now = datetime.now(UTC)
    assert StoredObject("/data/a.csv", 1, "x", now).is_local
    assert not StoredObject("s3://bucket/a.csv", 1, "x", now).is_local
