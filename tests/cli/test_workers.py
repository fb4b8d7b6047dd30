"""Several processes answer as one does."""

import json
import os
import signal
import time

import pytest
from calls import shell, started

from xlmr.batching import PAUSE
from xlmr.cli.jobs import Job
from xlmr.cli.workers import PARCEL, parcels, run, threads
from xlmr.errors import BadInput, XlmrError

TEXT = "the cat <mask> water"


def test_parcels_grow_and_hold_every_text_in_order():
    texts = [str(number) for number in range(2000)]
    sent = list(parcels(iter(texts)))
    assert [text for parcel in sent for text in parcel] == texts
    assert [len(parcel) for parcel in sent[:4]] == [1, 2, 4, 8]
    assert max(map(len, sent)) == PARCEL


def test_parcels_are_bounded_by_their_characters_too():
    assert max(map(len, parcels(["x" * 60_000] * 20))) == 2


def test_a_pause_sends_what_is_there_and_asks_to_wait_for_it():
    assert list(parcels(["a", "b", PAUSE, "c", PAUSE, PAUSE])) == [["a"], ["b"], [], ["c"], [], []]


def test_what_was_read_before_an_error_is_sent():
    def texts():
        yield from "abc"
        raise BadInput("broken off")

    sent = []
    with pytest.raises(BadInput, match="broken off"):
        sent.extend(parcels(texts()))
    assert sent == [["a"], ["b", "c"], []]


def test_threads_are_shared_out():
    assert threads(1) >= threads(2) >= threads(64) == 1


def test_workers_answer_what_one_process_answers_in_order(tiny, tmp_path):
    lines = [f"{word} <mask>" if word != "dog" else "no mask" for word in "the cat dog кошка water house 水".split() * 6]
    (tmp_path / "lines.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = f"xlmr fill-mask --model $MODEL --threads 1 --json --top 2 --input {tmp_path}/lines.txt"
    one, two = shell(tiny, command), shell(tiny, f"{command} --workers 2")
    assert (one.code, two.code, two.err) == (1, 1, "")
    assert [line.get("text") for line in two.lines] == [line.get("text") for line in one.lines]
    for of_one, of_two in zip(one.lines, two.lines, strict=True):
        assert of_one.get("error") == of_two.get("error")
        for filling, other in zip(of_one.get("fillings", []), of_two.get("fillings", []), strict=True):
            assert filling["score"] == pytest.approx(other["score"], rel=1e-4)


def test_an_error_of_a_worker_is_that_of_the_command(tiny):
    done = shell(tiny, "xlmr fill-mask --model $MODEL --script Qwxz --workers 2 'the <mask>'")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("xlmr: script 'Qwxz' is not known; wanted one of ")
    assert done.err.count("\n") == 1


def hears(model, **options):
    return lambda texts: (str(signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])) for _ in texts)


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="the system has no signal masks")
def test_a_worker_is_deaf_to_ctrl_c_from_its_first_moment(tiny):
    """What it would print if it were interrupted in its imports cannot be caught there."""
    job = Job({"source": str(tiny), "threads": 1}, hears, {}, answered)
    assert list(run(job, 1)([TEXT])) == ["False"]
    assert hears(None)([TEXT]).__next__() == "True"


def answered(text: str, answer: str) -> str:
    return answer


def dies(model, **options):
    def answers(texts):
        os.kill(os.getpid(), signal.SIGKILL)

    return answers


def test_a_worker_that_dies_is_told(tiny):
    job = Job({"source": str(tiny), "threads": 1}, dies, {}, str)
    with pytest.raises(XlmrError, match="one of 2 worker processes ended before its time; was it killed for want of memory"):
        list(run(job, 2)([TEXT] * 3))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_line_that_is_waited_for_is_answered_at_once(tiny, workers):
    with started(tiny, "--workers", str(workers)) as process:
        for number in range(6):
            process.stdin.write(f"{number} <mask>\n".encode())
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["text"] == f"{number} <mask>"
        process.stdin.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_a_closed_pipe_ends_all_processes_quietly(tiny, tmp_path):
    (tmp_path / "many.txt").write_text(f"{TEXT}\n" * 5000)
    with started(tiny, "--workers", "2", "--input", str(tmp_path / "many.txt")) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""  # which ends when the last process that could write to it has ended
    assert process.returncode != 0


def test_ctrl_c_ends_all_processes_quietly(tiny):
    with started(tiny, "--workers", "2") as process:
        process.stdin.write(f"{TEXT}\n".encode())
        process.stdin.flush()
        process.stdout.readline()
        begin = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.stderr.read().strip() == b""
        assert process.stdout.read() == b""
        assert time.monotonic() - begin < 60
    assert process.returncode == 130


def test_a_command_that_is_killed_takes_its_workers_along(tiny):
    with started(tiny, "--workers", "2") as process:
        process.stdin.write(f"{TEXT}\n".encode())
        process.stdin.flush()
        process.stdout.readline()
        process.kill()
        out, _ = process.communicate(timeout=60)  # which waits for all that could write to it
        assert out == b""
