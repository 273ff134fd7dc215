"""The parts of a running gateway, opened in order and closed in the opposite one."""

import logging
import os
import signal
import sys
import threading
import time
import traceback
from contextlib import ExitStack
from types import FrameType, TracebackType
from typing import Final, NoReturn, Self

import numpy as np
import simplejpeg

from runtime import metrics
from runtime.cpus import usable_cpus
from runtime.decision import Decisions
from runtime.errors import EngineError, FrameError, FramegateError
from runtime.gateway import Gateway
from runtime.health import HealthServer
from runtime.pipeline import Pipeline, open_pipeline
from runtime.replies import Replies, Topics
from runtime.settings import Settings
from stream.client import Cluster
from stream.delivery import AtLeastOnce, Delivery, ExactlyOnce
from stream.errors import StreamError
from stream.hanging import end_hanging_transactions
from stream.record import Record
from stream.source import Source
from stream.topics import message_limits, require_room, require_topics

log = logging.getLogger("framegate")

CLOSE_S: Final = 10.0
"""How long a gateway that failed may take to leave: a batch may still be on a device that does not answer."""


class Service:
    """A gateway with its engines, its clients and its health server. Use it in a ``with`` statement.

    Raises:
        ConfigError, EngineError, TopicError, ClientOptionError: the operator's fault, before the first frame.
        StreamError: no broker answers.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        with ExitStack() as stack:
            cluster = _cluster(settings)
            pipeline = _pipeline(settings, stack)
            _require_topics(settings, cluster)
            self._gateway = Gateway(
                pipeline,
                _replies(settings, pipeline),
                max_batch=settings.max_batch,
                max_wait_ms=settings.max_wait_ms,
                in_flight=settings.in_flight,
            )
            source = self._source(cluster, stack)
            delivery = _delivery(settings, cluster, source)
            stack.callback(delivery.close)
            self._gateway.attach(source, delivery, budget_s=settings.broker_timeout_s)
            if settings.metrics_port != "off":
                health = HealthServer(
                    settings.metrics_host,
                    settings.metrics_port,
                    live=lambda: self._gateway.alive,
                    ready=lambda: source.joined,
                )
                stack.callback(health.close)
                log.info("metrics and health at http://%s:%d", settings.metrics_host, health.port)
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if error is None:
            self._stack.close()
            return
        closing = threading.Thread(target=self._stack.close, daemon=True)  # leaves the group; may wait for the device
        closing.start()
        closing.join(CLOSE_S)
        if closing.is_alive():
            _leave(error)

    def run(self) -> None:
        """Serve until a signal, or until drained where that was asked for."""
        settings = self._settings
        log.info(
            "serving %s -> %s, %s, with %s",
            settings.input_topic,
            settings.output_topic,
            settings.delivery,
            ", ".join(str(path) for path in settings.engine),
        )
        self._gateway.run(until_drained=settings.exit_when_drained)
        log.info("stopped: everything polled is delivered and committed")

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Finish what is in hand and leave; a second signal ends the process at once."""
        log.info("%s: finishing the batches in hand", signal.Signals(number).name)
        signal.signal(number, signal.SIG_DFL)
        self._gateway.stop()

    def _source(self, cluster: Cluster, stack: ExitStack) -> Source:
        settings = self._settings
        source = Source(
            cluster,
            settings.input_topic,
            settings.group,
            offset_reset=settings.offset_reset,
            on_revoked=self._gateway.finish_in_hand,
            on_hidden=lambda: end_hanging_transactions(cluster, settings.group, _replied(settings)),
            on_gone=metrics.GONE.inc,
        )
        stack.callback(source.close)
        return source


def _leave(error: BaseException) -> NoReturn:
    """End the process in spite of threads that do not: Python would wait for them, before a word was said."""
    if isinstance(error, FramegateError | StreamError):
        print(f"framegate: {error}", file=sys.stderr, flush=True)
        os._exit(error.exit_code)
    traceback.print_exception(error)
    os._exit(1)


def dry_run(settings: Settings) -> bytes:
    """Push one grey frame through every stage, look at the topics, publish nothing.

    Returns:
        The frame's decision, as it would be published.

    Raises:
        As ``Service``.
    """
    with ExitStack() as stack:
        pipeline = _pipeline(settings, stack)
        grey = simplejpeg.encode_jpeg(np.full((720, 1280, 3), 114, np.uint8))
        record = Record(settings.input_topic, 0, 0, int(time.time() * 1000), b"dry-run", grey)
        began_s = time.monotonic()
        [outcome] = pipeline.judge([grey])
        if isinstance(outcome, FrameError):
            raise EngineError(f"the engines cannot judge a plain grey frame: {outcome}")
        [reply, *_] = _replies(settings, pipeline).to(record, outcome, began_s)
        _require_topics(settings, _cluster(settings))
    assert reply.value is not None
    return reply.value


def _cluster(settings: Settings) -> Cluster:
    return Cluster(settings.brokers, settings.kafka_options, settings.broker_timeout_s)


def _pipeline(settings: Settings, stack: ExitStack) -> Pipeline:
    pipeline = open_pipeline(
        settings.engine,
        provider=settings.provider,
        threads=settings.threads or usable_cpus(),
        max_batch=settings.max_batch,
        in_flight=settings.in_flight,
        max_pixels=settings.max_pixels,
        decode=settings.decode,
        asked=settings.asked,
        aspect=settings.aspect,
    )
    stack.callback(pipeline.close)
    return pipeline


def _replies(settings: Settings, pipeline: Pipeline) -> Replies:
    decisions = Decisions([engine.manifest for engine in pipeline.engines], pipeline.policy)
    return Replies(decisions, Topics(settings.output_topic, settings.dead_letter_topic, settings.kept_topic))


def _require_topics(settings: Settings, cluster: Cluster) -> None:
    require_topics(cluster, [settings.input_topic, *_replied(settings)], create=settings.create_topics)
    if settings.kept_topic:
        require_room(cluster, settings.input_topic, settings.kept_topic)


def _replied(settings: Settings) -> list[str]:
    """The topics that replies go to."""
    topics = [settings.output_topic, settings.dead_letter_topic, settings.kept_topic]
    return [topic for topic in topics if topic]


def _delivery(settings: Settings, cluster: Cluster, source: Source) -> Delivery:
    limits = message_limits(cluster, _replied(settings))
    if settings.delivery == "at-least-once":
        return AtLeastOnce(cluster, source, limits)
    timeout_ms = settings.transaction_timeout_ms
    return ExactlyOnce(cluster, source, limits, group=settings.group, transaction_timeout_ms=timeout_ms)
