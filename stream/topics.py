"""The topics that must be there before the first record moves."""

import logging
from collections.abc import Iterable
from contextlib import suppress

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError, TopicAlreadyExistsError

from stream.client import Cluster
from stream.errors import StreamError, TopicError

log = logging.getLogger("framegate.stream")


def require_topics(cluster: Cluster, topics: Iterable[str], *, create: bool, partitions: int = 4) -> None:
    """See to it that every topic is there.

    Args:
        cluster: where to look.
        topics: their names; a name may come twice.
        create: make what is missing, with ``partitions`` partitions and the broker's own replication.
        partitions: of a topic made here.

    Raises:
        TopicError: a topic is missing and ``create`` is off; the text holds the command that makes it.
        StreamError: the broker does not answer.
    """
    wanted = list(dict.fromkeys(topics))
    admin = cluster.admin()
    try:
        missing = [topic for topic in wanted if topic not in set(admin.list_topics())]
        if missing and not create:
            raise TopicError(_remedy(missing, cluster.brokers, partitions))
        for topic in missing:
            _create(admin, topic, partitions)
    except KafkaError as error:
        raise StreamError(f"cannot look up the topics at {cluster.brokers}: {error}") from error
    finally:
        admin.close()


def _remedy(missing: list[str], brokers: str, partitions: int) -> str:
    commands = "\n".join(
        f"  kafka-topics.sh --bootstrap-server {brokers} --create --topic {topic} --partitions {partitions}"
        for topic in missing
    )
    names = ", ".join(missing)
    return f"missing at {brokers}: {names}. Create what is missing with --create-topics, or by hand:\n{commands}"


def _create(admin: KafkaAdminClient, topic: str, partitions: int) -> None:
    with suppress(TopicAlreadyExistsError):  # another member was faster
        admin.create_topics({topic: {"num_partitions": partitions}}, wait_for_metadata=True)


def message_limits(cluster: Cluster, topics: Iterable[str]) -> dict[str, int]:
    """The ``max.message.bytes`` of each topic; none where the broker does not tell, which is said in the log."""
    admin = cluster.admin()
    try:
        return {topic: _max_message_bytes(admin, topic) for topic in topics}
    except KafkaError as error:
        log.warning(
            "%s does not tell its topics' limits (%s): a record that it finds too large will stop the gateway. "
            "The limits are read with the right DescribeConfigs on the topics",
            cluster.brokers,
            error,
        )
        return {}
    finally:
        admin.close()


def require_room(cluster: Cluster, source: str, target: str) -> None:
    """See to it that ``target`` takes every record that ``source`` holds, before one is found that it does not.

    Raises:
        TopicError: its ``max.message.bytes`` is smaller; the text holds the command that raises it.
    """
    limits = message_limits(cluster, (source, target))
    if limits and limits[target] < limits[source]:
        raise TopicError(
            f"{target} takes records of {limits[target]} bytes, {source} holds up to {limits[source]}: a frame "
            f"between the two could not be forwarded. Raise the limit:\n  kafka-configs.sh --bootstrap-server "
            f"{cluster.brokers} --alter --topic {target} --add-config max.message.bytes={limits[source]}"
        )


def _max_message_bytes(admin: KafkaAdminClient, topic: str) -> int:
    resource = ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": None})
    described = admin.describe_configs([resource], config_filter="all")
    return int(described["topic"][topic]["max.message.bytes"]["value"])
