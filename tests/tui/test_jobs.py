"""A job and its questions."""

from __future__ import annotations

import threading

import pytest
from textual.message import Message
from textual.message_pump import MessagePump

from screens.jobs import Job, Reply, Stopped


class Nobody(MessagePump):
    """A screen that has gone."""

    def post_message(self, message: Message) -> bool:
        """Nobody hears it."""
        return False


def test_a_stopped_job_waits_for_no_further_answer() -> None:
    job = Job("apply", Nobody())
    job.answer(Reply.STOP)
    with pytest.raises(Stopped):
        job.ask(Message(), within=0.1)


class Late(MessagePump):
    """A screen whose key comes just when the time of a question is over."""

    def __init__(self) -> None:
        super().__init__()
        self.job = Job("login", self)
        self.asked = 0

    def post_message(self, message: Message) -> bool:
        """The first question is over by the time it is answered; the second gets its own answer, which comes later."""
        self.asked += 1
        first = self.job._replies
        if self.asked == 1:
            self.first = first
        else:
            self.first.put(Reply.YES)
            threading.Timer(0.2, self.job.answer, (Reply.NO,)).start()
        return True


def test_a_late_answer_is_none_to_the_next_question() -> None:
    late = Late()
    assert late.job.ask(Message(), within=0.01) is Reply.NO
    assert late.job.ask(Message(), within=10) is Reply.NO
