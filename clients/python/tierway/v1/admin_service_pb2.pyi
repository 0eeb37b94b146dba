import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from tierway.v1 import router_service_pb2 as _router_service_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BreakerSetting(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BREAKER_SETTING_UNSPECIFIED: _ClassVar[BreakerSetting]
    BREAKER_SETTING_AUTOMATIC: _ClassVar[BreakerSetting]
    BREAKER_SETTING_CLOSED: _ClassVar[BreakerSetting]
    BREAKER_SETTING_OPEN: _ClassVar[BreakerSetting]
BREAKER_SETTING_UNSPECIFIED: BreakerSetting
BREAKER_SETTING_AUTOMATIC: BreakerSetting
BREAKER_SETTING_CLOSED: BreakerSetting
BREAKER_SETTING_OPEN: BreakerSetting

class ResetStatsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ResetStatsResponse(_message.Message):
    __slots__ = ("count_start_time",)
    COUNT_START_TIME_FIELD_NUMBER: _ClassVar[int]
    count_start_time: _timestamp_pb2.Timestamp
    def __init__(self, count_start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SetBreakerRequest(_message.Message):
    __slots__ = ("deployment", "setting")
    DEPLOYMENT_FIELD_NUMBER: _ClassVar[int]
    SETTING_FIELD_NUMBER: _ClassVar[int]
    deployment: str
    setting: BreakerSetting
    def __init__(self, deployment: _Optional[str] = ..., setting: _Optional[_Union[BreakerSetting, str]] = ...) -> None: ...

class SetBreakerResponse(_message.Message):
    __slots__ = ("deployment",)
    DEPLOYMENT_FIELD_NUMBER: _ClassVar[int]
    deployment: _router_service_pb2.DeploymentStats
    def __init__(self, deployment: _Optional[_Union[_router_service_pb2.DeploymentStats, _Mapping]] = ...) -> None: ...
