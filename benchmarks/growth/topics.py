"""Creates topics, so many in a request, until there are enough or the input ends.

python -m benchmarks.growth.topics PORT COUNT
"""

from __future__ import annotations

import select
import sys
import time

from confluent_kafka.admin import NewTopic

from benchmarks.growth.grow import create
from pylog.bench import suite

A_REQUEST = 50


def main() -> None:
    port, count = map(int, sys.argv[1:])
    admin = suite.admin_of("127.0.0.1", port)
    print("ready", flush=True)
    started = time.perf_counter()
    created = 0
    while created < count and not select.select([sys.stdin], [], [], 0)[0]:
        create(admin, [NewTopic(f"new-{created + i}", 1, 1) for i in range(A_REQUEST)])
        created += A_REQUEST
    taken = time.perf_counter() - started
    print(f"{created:,} topics in {taken:.1f} s, {taken / created * 1000:.2f} ms each")


if __name__ == "__main__":
    main()
