from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class Request(_message.Message):
    __slots__ = ("kind", "tensors", "config")
    KIND_FIELD_NUMBER: _ClassVar[int]
    TENSORS_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    kind: str
    tensors: bytes
    config: str
    def __init__(self, kind: _Optional[str] = ..., tensors: _Optional[bytes] = ..., config: _Optional[str] = ...) -> None: ...

class Answer(_message.Message):
    __slots__ = ("tensors", "values")
    TENSORS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    tensors: bytes
    values: str
    def __init__(self, tensors: _Optional[bytes] = ..., values: _Optional[str] = ...) -> None: ...
