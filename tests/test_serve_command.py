"""``matte serve`` as a process: what it prints, and how it ends."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import requests
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.core.imaging.writing import encode
from mattecli.core.serving import running
from mattecli.core.serving.running import Listening, access_of


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well(number):
    command = [sys.executable, "-m", "mattecli", "serve", "--port", "0", "--device", "cpu"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        line = process.stderr.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+/", line)[0]
        with urllib.request.urlopen(f"{address}v1/health", timeout=10) as answer:
            assert answer.status == 200
        process.send_signal(number)
        assert process.wait(30) == 0
        assert process.stderr.read() == ""


def test_a_second_signal_gives_up_what_is_under_way():
    noise = np.random.default_rng(0).integers(0, 256, (1500, 2000, 3), np.uint8)
    command = [sys.executable, "-m", "mattecli", "serve", "--port", "0", "--device", "cpu"]
    with (
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process,
        ThreadPoolExecutor(1) as client,
    ):
        address = re.search(r"http://127\.0\.0\.1:\d+/", process.stderr.readline())[0]
        url = f"{address}v1/alpha?refine=best"
        answer = client.submit(requests.post, url, data=encode(noise, ".png"))
        while "matte_requests_in_progress 1.0" not in requests.get(f"{address}v1/metrics").text:
            assert not answer.done()
        process.send_signal(signal.SIGINT)
        # What comes within a second of the first one counts as the same.
        time.sleep(1.2)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) in (0, 130)
        assert "Traceback" not in process.stderr.read()


@pytest.mark.parametrize("token", [None, "my-secret"])
def test_a_token_is_printed_only_if_it_was_made(token, monkeypatch):
    def serve(options, *_, started, **__):
        started(Listening("http://0.0.0.0:1", access_of(options).token))

    monkeypatch.setattr(running, "serve", serve)
    environment = {"MATTE_TOKEN": token} if token else {}
    result = CliRunner().invoke(app, ["serve", "--host", "0.0.0.0"], env=environment)
    assert result.exit_code == 0
    assert ("token=" in result.stderr) == (token is None)
    assert "my-secret" not in result.output


@pytest.mark.parametrize("arguments", [["--port", "70000"], ["--queue", "0"], ["--timeout", "nan"]])
def test_wrong_limits_are_refused(arguments):
    assert CliRunner().invoke(app, ["serve", *arguments]).exit_code == 2


@pytest.mark.parametrize("host", ["192.0.2.1", "a..b"])
def test_an_address_that_is_not_here_is_said(host):
    result = CliRunner().invoke(app, ["serve", "--host", host, "--token", "x"])
    assert result.exit_code == 1
    assert f"cannot listen on {host}" in str(result.exception)
    assert "choose another one with --host" in str(result.exception)
