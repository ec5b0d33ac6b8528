"""A job and its questions."""

from __future__ import annotations

from collections import deque

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
    job = Job("apply", Nobody(), deque())
    job.answer(Reply.STOP)
    with pytest.raises(Stopped):
        job.ask(Message(), within=0.1)
