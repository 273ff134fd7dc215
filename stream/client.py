"""Kafka clients with the options that delivery stands on, and the operator's own options beside them."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import KafkaConfigurationError, KafkaError, KafkaTimeoutError

from stream import header_names
from stream.errors import ClientOptionError, StreamError

header_names.install()

Client = TypeVar("Client")

OWNED = frozenset(
    {
        "acks",
        "auto_offset_reset",
        "bootstrap_servers",
        "compression_type",
        "delivery_timeout_ms",
        "enable_auto_commit",
        "enable_idempotence",
        "group_id",
        "isolation_level",
        "key_deserializer",
        "key_serializer",
        "max_poll_records",
        "partition_assignment_strategy",
        "partitioner",
        "retries",
        "transaction_timeout_ms",
        "transactional_id",
        "value_deserializer",
        "value_serializer",
    }
)
"""Options that framegate sets itself: delivery or order would break with other values."""

TEXT = ("client_", "group_", "sasl_", "ssl_")
"""How client options begin that stay text where they look like a number: a user may be called 007."""
PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
KNOWN = frozenset(
    KafkaConsumer.DEFAULT_CONFIG.keys() | KafkaProducer.DEFAULT_CONFIG.keys() | KafkaAdminClient.DEFAULT_CONFIG.keys()
)


@dataclass(frozen=True)
class Cluster:
    """Where the brokers are, and how to talk to them.

    Args:
        brokers: ``host:port``, several separated by commas.
        options: kafka-python's own client options (security, TLS, SASL, time-outs), by its names.
        budget_s: how long a broker that does not answer is waited for before the process gives up.

    Raises:
        ClientOptionError: an option is unknown or one of ``OWNED``.
    """

    brokers: str
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)  # it may hold passwords
    budget_s: float = 120.0

    def __post_init__(self) -> None:
        for name in self.options:
            if name in OWNED:
                raise ClientOptionError(f"[kafka] {name}: framegate sets this one itself; leave it out")
            if name not in KNOWN:
                raise ClientOptionError(
                    f"[kafka] {name}: kafka-python's clients have no such option; its names are listed at "
                    "KafkaConsumer and KafkaProducer in kafka-python's documentation"
                )
        _check_security(self.options)

    def consumer(self, **options: Any) -> KafkaConsumer:
        """A consumer without auto-commit that sees no record of an aborted transaction.

        The fetch limits bound the memory: at most ``fetch_max_bytes`` are on the wire and as many wait here.
        """
        defaults = {
            "enable_auto_commit": False,
            "isolation_level": "read_committed",
            "session_timeout_ms": 10_000,
            "fetch_max_wait_ms": 100,
            "fetch_max_bytes": 2 << 20,
            "max_partition_fetch_bytes": 512 << 10,
            # A group's leader that has not heard of a new topic yet assigns none of it, until it looks again.
            "metadata_max_age_ms": 10_000,
            "allow_auto_create_topics": False,
            "metrics_enabled": False,
        }
        return self._open(KafkaConsumer, defaults, options)

    def producer(self, **options: Any) -> KafkaProducer:
        """An idempotent producer that waits for all in-sync replicas and keeps the order of each partition."""
        defaults = {
            "acks": "all",
            "enable_idempotence": True,
            "compression_type": None,  # frames are compressed already, and decisions are small
            "linger_ms": 1,
            "batch_size": 1 << 17,
            "max_request_size": 1 << 30,  # the broker knows its own limit; ours would only hide it
            "delivery_timeout_ms": int(self.budget_s * 1000),
            "max_block_ms": int(self.budget_s * 1000),
            "request_timeout_ms": min(30_000, int(self.budget_s * 500)),
            "allow_auto_create_topics": False,
            "metrics_enabled": False,
        }
        return self._open(KafkaProducer, defaults, options)

    def admin(self) -> KafkaAdminClient:
        """A client for topics and their settings."""
        return self._open(KafkaAdminClient, {}, {})

    def _open(self, client: Callable[..., Client], defaults: Mapping[str, Any], options: Mapping[str, Any]) -> Client:
        known = client.DEFAULT_CONFIG  # type: ignore[attr-defined]
        own = {name: value for name, value in self.options.items() if name in known}
        waits = {
            "bootstrap_timeout_ms": int(self.budget_s * 1000),
            # With kafka-python's 30 s the group would have given us up when we notice that the broker is back.
            "reconnect_backoff_max_ms": 1000,
        }
        try:
            return client(bootstrap_servers=self.brokers.split(","), **{**waits, **defaults, **own, **options})
        except KafkaTimeoutError as error:
            raise StreamError(
                f"no broker answers at {self.brokers}: is it running, is the address right (--brokers), and do the "
                "[kafka] security options fit it?"
            ) from error
        except (KafkaConfigurationError, AssertionError, TypeError, ValueError) as error:
            raise ClientOptionError(
                f"kafka-python refuses these options: {error}. They are --brokers {self.brokers} and [kafka] "
                f"{', '.join(sorted(own)) or 'without options'}"
            ) from error
        except (KafkaError, OSError) as error:
            raise StreamError(f"no client for {self.brokers}: {type(error).__name__}: {error}") from error


def typed_option(name: str, value: Any) -> Any:
    """A client option as its type: flags and the environment bring numbers and booleans as text."""
    if not isinstance(value, str):
        return value
    if value.lower() in {"true", "false"}:
        return value.lower() == "true"
    if not name.startswith(TEXT):
        for number in (int, float):
            with suppress(ValueError):
                return number(value)
    return value


def _check_security(options: Mapping[str, Any]) -> None:
    """What kafka-python would notice on connecting only, and report as a broker that does not answer."""
    protocol = options.get("security_protocol", "PLAINTEXT")
    if protocol not in PROTOCOLS:
        raise ClientOptionError(f"[kafka] security_protocol: {protocol!r}; there are {', '.join(PROTOCOLS)}")
    for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile", "ssl_crlfile"):
        path = options.get(name)
        if path and not Path(path).is_file():
            raise ClientOptionError(f"[kafka] {name}: {path}: no such file")


def close_producer(producer: KafkaProducer, timeout_s: float) -> None:
    """Close a producer, giving up what it could not send within ``timeout_s``.

    kafka-python's own ``close`` raises in that case, and leaves its thread running.
    """
    try:
        producer.close(timeout=timeout_s)
    except KafkaTimeoutError:
        producer._sender.force_close()
        producer._sender.join(5)
        producer.close(timeout=0)
