"""The systemd service: the unit's promises, what installs it, and that feedd runs under its rules."""

import itertools
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from forked import forker

from feedd import service
from feedd.cli.installing import BOOTED, this_program
from feedd.errors import UsageError
from feedd.service import FILES, Outcome, check_executable, install, install_config, rendered
from feedd.settings import load

analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)
PROGRAM = "/usr/bin/env"  # one that exists; verify looks


def unit(**values: str) -> str:
    wanted = {"executable": PROGRAM, "user": "feedd", "config": service.DEFAULT_CONFIG} | values
    return rendered(**wanted)["feedd.service"]  # type: ignore[arg-type]


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return forker().run(arguments, os.environ | environ)


def test_every_line_of_the_unit_has_its_reason_above_it() -> None:
    for before, line in itertools.pairwise(unit().splitlines()):
        if line and not line.startswith(("# ", "[")):
            assert before.startswith("# "), f"{line} stands below {before!r}"


@analyze
def test_the_unit_is_what_systemd_understands(tmp_path: Path) -> None:
    path = tmp_path / "feedd.service"
    path.write_text(unit())
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", path], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@analyze
def test_the_unit_gives_away_almost_nothing(tmp_path: Path) -> None:
    path = tmp_path / "feedd.service"
    path.write_text(unit())
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=12", path],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    exposure = re.search(r"exposure level for feedd.service: ([\d.]+)", done.stdout)
    assert exposure is not None
    assert float(exposure[1]) <= 1.2


def test_the_unit_leaves_names_and_networks_to_feedd() -> None:
    """A denied 169.254/16 would cut off the resolver of a cloud, a denied 10/8 the feeds of an own network."""
    assert not re.search(r"^IPAddress(Deny|Allow)=", unit(), re.MULTILINE)


def test_the_unit_is_that_of_the_installation() -> None:
    text = unit(executable="/opt/feedd/bin/feedd", user="shop", config=Path("/etc/shop.toml"))  # type: ignore[arg-type]
    assert "ExecStart=/opt/feedd/bin/feedd --config /etc/shop.toml run\n" in text
    assert "\nUser=shop\n" in text
    assert "\nGroup=shop\n" in text
    others = rendered(executable=PROGRAM, user="shop", config=service.DEFAULT_CONFIG)
    assert "\nu shop - " in others["feedd.sysusers.conf"]
    assert "d /var/lib/feedd 0700 shop shop\n" in others["feedd.tmpfiles.conf"]


@pytest.mark.parametrize(
    ("tool", "name"),
    [("systemd-sysusers", "feedd.sysusers.conf"), ("systemd-tmpfiles", "feedd.tmpfiles.conf")],
)
def test_users_and_directories_are_what_systemd_makes_of_them(
    tool: str, name: str, tmp_path: Path
) -> None:
    if shutil.which(tool) is None or os.geteuid() != 0:
        pytest.skip(f"needs {tool} and root")
    (tmp_path / "etc").mkdir()
    path = tmp_path / name
    path.write_text(rendered(executable=PROGRAM, user="feedd", config=service.DEFAULT_CONFIG)[name])
    command = [tool, f"--root={tmp_path}"]
    if tool == "systemd-tmpfiles":  # in another root the user must be known there
        (tmp_path / "etc" / "passwd").write_text(
            "root:x:0:0::/:/bin/sh\nfeedd:x:123:123::/:/bin/sh\n"
        )
        (tmp_path / "etc" / "group").write_text("root:x:0:\nfeedd:x:123:\n")
        command.append("--create")
    done = subprocess.run([*command, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    if tool == "systemd-sysusers":
        assert re.search(r"^feedd:", (tmp_path / "etc" / "passwd").read_text(), re.MULTILINE)
    else:
        assert (tmp_path / "var/lib/feedd").stat().st_uid == 123
        assert (tmp_path / "etc/feedd/credentials").stat().st_mode & 0o777 == 0o700


def test_the_first_configuration_can_be_used(tmp_path: Path) -> None:
    path, outcome = install_config(Path("/etc/feedd/feedd.toml"), root=tmp_path)
    assert outcome is Outcome.WRITTEN
    settings = load(path, environ={}, cwd=tmp_path)
    assert str(settings.state_dir) == "/var/lib/feedd"
    assert str(settings.socket) == "/run/feedd/feedd.sock"
    everything = re.sub(r"^# (?=\[|\w+ = )", "", path.read_text(), flags=re.MULTILINE)
    assert set(tomllib.loads(everything)["feeds"]) == {"shop"}
    path.write_text("mine = 1\n")
    assert install_config(Path("/etc/feedd/feedd.toml"), root=tmp_path)[1] is Outcome.THERE
    assert path.read_text() == "mine = 1\n"


def test_installing_again_changes_nothing_and_what_a_person_changed_is_kept(tmp_path: Path) -> None:
    arguments = ["install-service", "--root", str(tmp_path), "--executable", "/usr/bin/feedd"]
    first = run(*arguments)
    assert first.returncode == 0, first.stderr
    assert first.stdout.count("  written\n") == len(FILES) + 1
    path = tmp_path / "etc/systemd/system/feedd.service"
    assert path.stat().st_mode & 0o777 == 0o644

    again = run(*arguments)
    assert again.stdout.count("  is up to date\n") == len(FILES)
    assert "feedd.toml  is there already" in again.stdout

    other = run(*arguments[:-1], "/opt/feedd/bin/feedd")  # ours, from another time
    assert f"{path}  updated\n" in other.stdout
    assert "ExecStart=/opt/feedd/bin/feedd " in path.read_text()

    path.write_text(path.read_text().replace("WatchdogSec=60", "WatchdogSec=90"))
    kept = run(*arguments)
    assert kept.returncode == 0
    assert f"{path}  kept: it was changed by hand" in kept.stdout
    assert "WatchdogSec=90" in path.read_text()

    assert f"{path}  replaced" in run(*arguments, "--force").stdout
    assert "WatchdogSec=60" in path.read_text()
    assert "WatchdogSec=90" in path.with_name("feedd.service.old").read_text()


def test_packages_have_their_own_places(tmp_path: Path) -> None:
    run("install-service", "--root", str(tmp_path), "--packaged", "--executable", "/usr/bin/feedd")
    found = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert found == {file.packaged for file in FILES} | {"etc/feedd/feedd.toml"}


def test_what_is_installed_is_what_systemd_and_shells_read(tmp_path: Path) -> None:
    run("install-service", "--root", str(tmp_path), "--executable", PROGRAM)
    if shutil.which("systemd-analyze"):
        path = tmp_path / "etc/systemd/system/feedd.service"
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", path], capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")
    bash = tmp_path / "usr/local/share/bash-completion/completions/feedd"
    subprocess.run(["bash", "-n", bash], check=True)
    zsh = (tmp_path / "usr/local/share/zsh/site-functions/_feedd").read_text()
    assert zsh.startswith("#compdef feedd\n")


def test_print_shows_the_unit_and_writes_nothing() -> None:
    done = run("install-service", "--print", "--executable", "/usr/bin/feedd")
    assert done.returncode == 0
    assert done.stdout == unit(executable="/usr/bin/feedd")


@pytest.mark.parametrize(
    "path", ["/home/alice/.venv/bin/feedd", "/root/feedd", "/tmp/feedd", "/run/user/1000/feedd"]
)
def test_a_program_that_the_service_would_not_see_is_refused(path: str) -> None:
    done = run("install-service", "--print", "--executable", path)
    assert done.returncode == 2
    assert "which the service does not see" in done.stderr
    assert "/opt/feedd" in done.stderr


def test_a_unit_that_is_only_shown_comes_with_a_word_about_such_a_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.executable", "/tmp/nowhere/bin/python3")
    assert this_program(here=False) == "/tmp/nowhere/bin/python3 -m feedd"
    assert "which the service does not see" in capsys.readouterr().err
    with pytest.raises(UsageError, match="which the service does not see"):
        this_program(here=True)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--executable", "feedd"], "not an absolute path"),
        (["--executable", "/opt/my feedd/feedd"], "characters"),
        (["--executable", "/opt/feedd", "--user", "a%n"], "characters"),
    ],
)
def test_what_a_unit_cannot_name_is_refused(arguments: list[str], told: str) -> None:
    done = run("install-service", "--print", *arguments)
    assert done.returncode == 2
    assert told in done.stderr


def test_the_state_directory_is_the_units_to_say(tmp_path: Path) -> None:
    done = run("--state-dir", str(tmp_path), "install-service", "--print", "--executable", PROGRAM)
    assert done.returncode == 2
    assert "/var/lib/feedd" in done.stderr


@pytest.mark.skipif(BOOTED.is_dir(), reason="this machine is run by systemd")
def test_a_machine_without_systemd_is_told_what_else_there_is() -> None:
    done = run("install-service", "--executable", PROGRAM)
    assert done.returncode == 1
    assert "not run by systemd" in done.stderr
    assert "--print" in done.stderr


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "etc").write_text("a file")
    done = run("install-service", "--root", str(tmp_path), "--executable", PROGRAM)
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_link_in_a_files_place_is_replaced_not_followed(tmp_path: Path) -> None:
    aim = tmp_path / "aim"
    texts = {file.name: "text" for file in FILES}
    path = tmp_path / FILES[0].place
    path.parent.mkdir(parents=True)
    path.symlink_to(aim)
    install(texts, root=tmp_path, packaged=False, force=False)
    assert not aim.exists()
    assert not path.is_symlink()


def test_a_word_with_a_meaning_is_refused() -> None:
    with pytest.raises(UsageError):
        check_executable(Path("/opt/$HOME/feedd"))
