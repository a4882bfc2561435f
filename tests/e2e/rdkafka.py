"""The few questions and orders for a Kafka cluster that its command line tools would take a Java machine each for: topics made,
deleted and grown, records deleted, ends asked for. librdkafka's admin calls through ctypes; every call blocks for a bounded time."""

import contextlib
import ctypes

from harness import Failure

TIMEOUT_MS = 15_000
UNKNOWN_TOPIC = 3
_TEXT_BYTES = 512

_POINTERS = """rd_kafka_conf_new rd_kafka_new rd_kafka_queue_new rd_kafka_queue_poll rd_kafka_event_error_string rd_kafka_NewTopic_new rd_kafka_DeleteTopic_new
rd_kafka_NewPartitions_new rd_kafka_DeleteRecords_new rd_kafka_topic_partition_list_new rd_kafka_topic_partition_list_add
rd_kafka_event_CreateTopics_result rd_kafka_event_DeleteTopics_result rd_kafka_event_CreatePartitions_result rd_kafka_topic_result_error_string""".split()
_lib = None


def _library():
    global _lib
    if _lib is None:
        _lib = ctypes.CDLL("librdkafka.so.1")
        for name in _POINTERS:
            getattr(_lib, name).restype = ctypes.c_void_p
        for name in ("CreateTopics", "DeleteTopics", "CreatePartitions"):
            getattr(_lib, f"rd_kafka_{name}_result_topics").restype = ctypes.POINTER(ctypes.c_void_p)
    return _lib


def _pointer(value):
    return ctypes.c_void_p(value)


def _said(text):
    return ctypes.string_at(text).decode() if text else "no reason given"


class Admin:
    """One handle, for `with Admin(brokers) as admin`."""

    def __init__(self, brokers):
        lib, text = _library(), ctypes.create_string_buffer(_TEXT_BYTES)
        conf = _pointer(lib.rd_kafka_conf_new())
        lib.rd_kafka_conf_set(conf, b"bootstrap.servers", brokers.encode(), text, _TEXT_BYTES)
        lib.rd_kafka_conf_set(conf, b"log_level", b"0", text, _TEXT_BYTES)
        handle = lib.rd_kafka_new(0, conf, text, _TEXT_BYTES)
        if not handle:
            raise Failure(f"librdkafka: {text.value.decode()}")
        self._handle = _pointer(handle)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        _library().rd_kafka_destroy(self._handle)

    def create_topic(self, topic, partitions, settings=None, replicas=None):
        """`replicas`: the brokers of each partition; one broker of the cluster's choice each when it is not given."""
        lib, text = _library(), ctypes.create_string_buffer(_TEXT_BYTES)
        made = _pointer(lib.rd_kafka_NewTopic_new(topic.encode(), partitions, -1 if replicas else 1, text, _TEXT_BYTES))
        for partition, brokers in enumerate(replicas or []):
            ids = (ctypes.c_int32 * len(brokers))(*brokers)
            lib.rd_kafka_NewTopic_set_replica_assignment(made, partition, ids, ctypes.c_size_t(len(brokers)), text, _TEXT_BYTES)
        for name, value in (settings or {}).items():
            lib.rd_kafka_NewTopic_set_config(made, name.encode(), str(value).encode())
        self._order("CreateTopics", made, f"cannot create {topic}")
        lib.rd_kafka_NewTopic_destroy(made)

    def delete_topic(self, topic, missing_ok=False):
        gone = _pointer(_library().rd_kafka_DeleteTopic_new(topic.encode()))
        self._order("DeleteTopics", gone, f"cannot delete {topic}", (UNKNOWN_TOPIC,) if missing_ok else ())
        _library().rd_kafka_DeleteTopic_destroy(gone)

    def grow_topic(self, topic, partitions):
        text = ctypes.create_string_buffer(_TEXT_BYTES)
        grown = _pointer(_library().rd_kafka_NewPartitions_new(topic.encode(), ctypes.c_size_t(partitions), text, _TEXT_BYTES))
        self._order("CreatePartitions", grown, f"cannot grow {topic}")
        _library().rd_kafka_NewPartitions_destroy(grown)

    def delete_records(self, topic, partition, below):
        """Deletes the records of the partition below that offset."""
        lib = _library()
        offsets = _pointer(lib.rd_kafka_topic_partition_list_new(1))
        lib.rd_kafka_topic_partition_list_add(offsets, topic.encode(), partition)
        lib.rd_kafka_topic_partition_list_set_offset(offsets, topic.encode(), partition, ctypes.c_int64(below))
        order = _pointer(lib.rd_kafka_DeleteRecords_new(offsets))
        lib.rd_kafka_topic_partition_list_destroy(offsets)
        self._order("DeleteRecords", order, f"cannot delete records of {topic}")
        lib.rd_kafka_DeleteRecords_destroy(order)
        low, _ = self.bounds(topic, partition)
        if low != below:
            raise Failure(f"partition {partition} of {topic} begins at {low}, not at {below}")

    def bounds(self, topic, partition):
        """The first offset that is kept and the next one that will be given."""
        low, high = ctypes.c_int64(), ctypes.c_int64()
        code = _library().rd_kafka_query_watermark_offsets(self._handle, topic.encode(), partition, ctypes.byref(low), ctypes.byref(high), TIMEOUT_MS)
        if code:
            raise Failure(f"the bounds of partition {partition} of {topic} are not known: error {code}")
        return low.value, high.value

    def _order(self, name, what, sentence, fine=()):
        lib = _library()
        queue = _pointer(lib.rd_kafka_queue_new(self._handle))
        orders = (ctypes.c_void_p * 1)(what)
        getattr(lib, f"rd_kafka_{name}")(self._handle, orders, ctypes.c_size_t(1), None, queue)
        event = _pointer(lib.rd_kafka_queue_poll(queue, TIMEOUT_MS))
        with contextlib.ExitStack() as stack:
            stack.callback(lib.rd_kafka_queue_destroy, queue)
            if not event:
                raise Failure(f"{sentence}: no answer within {TIMEOUT_MS} ms")
            stack.callback(lib.rd_kafka_event_destroy, event)
            if lib.rd_kafka_event_error(event):
                raise Failure(f"{sentence}: {_said(lib.rd_kafka_event_error_string(event))}")
            if name == "DeleteRecords":  # says it by partition; the caller looks at the bounds
                return
            count = ctypes.c_size_t()
            answer = _pointer(getattr(lib, f"rd_kafka_event_{name}_result")(event))
            topics = getattr(lib, f"rd_kafka_{name}_result_topics")(answer, ctypes.byref(count))
            for i in range(count.value):
                code = lib.rd_kafka_topic_result_error(_pointer(topics[i]))
                if code and code not in fine:
                    raise Failure(f"{sentence}: {_said(lib.rd_kafka_topic_result_error_string(_pointer(topics[i])))} ({code})")
