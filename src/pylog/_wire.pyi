from typing import TypeVar

from pylog.protocol.message import Message

M = TypeVar("M", bound=Message)

class WireError(ValueError): ...

def encode(message: Message, version: int) -> bytes: ...
def decode(cls: type[M], data: bytes | bytearray | memoryview, version: int) -> M: ...
