"""What a run prints on the console: one line per event, for people. Dagster's event log keeps every detail."""

import logging

import dagster as dg
from dagster._core.execution.plan.objects import ErrorSource
from dagster._core.utils import coerce_valid_log_level
from dagster_shared.error import SerializableErrorInfo

from pipeline import errors
from pipeline.failures import was_interrupted


class _Line(logging.Formatter):
    """The time, the step and the message; the trace of an error unless the error was written for people."""

    default_time_format = "%H:%M:%S"
    default_msec_format = None

    def format(self, record: logging.LogRecord) -> str:
        facts = getattr(record, "dagster_meta", None)
        if facts is None:
            return f"{self.formatTime(record)} {record.getMessage()}"
        event = facts["dagster_event"]
        error = getattr(event.event_specific_data, "error", None) if event is not None else None
        step = f"{facts['step_key']}: " if facts["step_key"] else ""
        line = f"{self.formatTime(record)} {step}{facts['orig_message']}"
        return line if error is None or explains_itself(error) else f"{line}\n{error.to_string()}"


def _is_news(record: logging.LogRecord) -> bool:
    """Whether an event is about more than an interrupt, which the command reports itself."""
    event = getattr(record, "dagster_meta", {}).get("dagster_event")
    return event is None or not (was_interrupted(event) or _interrupted_step(event))


def _interrupted_step(event: dg.DagsterEvent) -> bool:
    return bool(event.is_step_failure and event.step_failure_data.error_source == ErrorSource.INTERRUPT)


def explains_itself(error: SerializableErrorInfo) -> bool:
    """Whether an error, or one of its causes, is an interrupt or has a message written for people."""
    expected = {"DagsterExecutionInterruptedError", "KeyboardInterrupt", "Interrupted", "DagsterAssetCheckFailedError"}
    typed = {name for name, value in vars(errors).items() if isinstance(value, type)}
    behind = [each for each in (error.cause, error.context) if each is not None]
    return error.cls_name in expected | typed or any(explains_itself(each) for each in behind)


@dg.logger(config_schema={"log_level": dg.Field(str, default_value="INFO")})
def console(context: dg.InitLoggerContext) -> logging.Logger:
    """One line per event, for people, on standard error."""
    # Not registered with `logging`: a second run in this process would add a second handler to it.
    logger = logging.getLoggerClass()("naturewatch", level=coerce_valid_log_level(context.logger_config["log_level"]))
    handler = logging.StreamHandler()
    handler.setFormatter(_Line())
    handler.addFilter(_is_news)
    logger.addHandler(handler)
    return logger
