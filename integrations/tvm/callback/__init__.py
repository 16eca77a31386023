"""What a tuning callback is made of: the state of each task, its log, its table, and the way to stop one."""

from costmodel.integrations.tvm.callback.live_table import LiveTable
from costmodel.integrations.tvm.callback.predictions import Promise, log_times_of
from costmodel.integrations.tvm.callback.round_log import RoundLog
from costmodel.integrations.tvm.callback.stopping import stop_task
from costmodel.integrations.tvm.callback.task_progress import Round, TaskProgress

__all__ = [
    # what a round was like
    "Promise",
    "Round",
    "TaskProgress",
    "log_times_of",
    # where it goes
    "LiveTable",
    "RoundLog",
    # what follows
    "stop_task",
]
