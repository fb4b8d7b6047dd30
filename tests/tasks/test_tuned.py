import pytest
from tuners import EXTRACTOR, TAGGER, TOPICS

import xlmr
from xlmr.errors import BadCheckpoint
from xlmr.tasks import tuned as heads


def test_what_is_made_of_a_head_is_made_once(tuned):
    model, seen = xlmr.load(tuned(TAGGER, TOPICS), threads=1), []

    def make(head, weights):
        seen.append((head.task, sorted(weights)))
        return len(seen)

    assert [heads.find(model, heads.TAGGING, make) for _ in range(3)] == [1, 1, 1]
    assert seen == [("token classification", ["task.out.bias", "task.out.weight"])]


def test_a_head_that_no_command_runs_is_named(tuned, tmp_path):
    folder = tuned("XLMRobertaForMultipleChoice")
    with pytest.raises(
        BadCheckpoint, match="head is for multiple choice, and no command runs it; wanted one for question answering, which"
    ):
        xlmr.load(folder, threads=1).answer("a", "b")


@pytest.mark.parametrize(("task", "command"), heads.COMMANDS.items())
def test_a_model_without_a_head_names_the_command_that_makes_one(tiny, task, command):
    with pytest.raises(BadCheckpoint, match=rf"no head for {task}.*xlmr finetune {command} --train FILE --dev FILE --output DIR"):
        heads.find(xlmr.load(tiny, threads=1), task, lambda head, weights: None)


def test_each_task_asks_for_its_own_head(tuned):
    model = xlmr.load(tuned(EXTRACTOR), threads=1)
    for call, task in (
        (lambda: model.tag("a"), "token"),
        (lambda: model.tag_words([["a"]]), "token"),
        (lambda: model.classify("a"), "seq"),
    ):
        with pytest.raises(BadCheckpoint, match=f"head is for question answering, and it is for `xlmr answer`; wanted one for {task}"):
            call()
