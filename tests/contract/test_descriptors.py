"""Names, numbers and types of the contract, frozen: what is once released is never renumbered."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, FileDescriptor

from tests.contract.golden import assert_same_text
from tierway.v1 import admin_service_pb2, router_service_pb2, types_pb2
from tierway_server.rpc import router_service

FILES = (types_pb2.DESCRIPTOR, router_service_pb2.DESCRIPTOR, admin_service_pb2.DESCRIPTOR)
_TYPES = {
    value: name.removeprefix("TYPE_").lower()
    for name, value in vars(FieldDescriptor).items()
    if name.startswith("TYPE_")
}


def lines(file: FileDescriptor) -> Iterator[str]:
    for service in file.services_by_name.values():
        for method in service.methods:
            streams = " (stream)" if method.server_streaming else ""
            assert not method.client_streaming
            yield f"rpc {service.full_name}/{method.name}: {method.input_type.full_name} -> {method.output_type.full_name}{streams}"
    for message in file.message_types_by_name.values():
        yield from message_lines(message)
    for enum in file.enum_types_by_name.values():
        yield from enum_lines(enum)


def message_lines(message: Descriptor) -> Iterator[str]:
    if not message.fields:
        yield f"{message.full_name}: empty"
    for field in sorted(message.fields, key=lambda field: field.number):
        named = field.message_type or field.enum_type
        kind = named.full_name if named else _TYPES[field.type]
        oneof = field.containing_oneof
        is_optional = oneof is not None and oneof.name.startswith("_")
        label = "repeated " if field.is_repeated else "optional " if is_optional else ""
        group = f" (oneof {oneof.name})" if oneof is not None and not is_optional else ""
        yield f"{field.full_name} = {field.number}: {label}{kind}{group}"


def enum_lines(enum: EnumDescriptor) -> Iterator[str]:
    for value in enum.values:
        yield f"{enum.full_name}.{value.name} = {value.number}"


def test_nothing_of_the_contract_has_changed() -> None:
    assert_same_text("contract", "".join(f"{line}\n" for file in FILES for line in lines(file)))


def test_each_enum_begins_with_an_unspecified_zero_and_prefixes_its_values() -> None:
    for enum in (enum for file in FILES for enum in file.enum_types_by_name.values()):
        prefix = (
            "".join(f"_{letter}" if letter.isupper() else letter.upper() for letter in enum.name).lstrip("_").upper()
        )
        assert enum.values_by_number[0].name == f"{prefix}_UNSPECIFIED"
        assert all(value.name.startswith(f"{prefix}_") for value in enum.values)


def test_what_each_chunk_of_a_stream_carries_has_numbers_of_one_byte() -> None:
    for name in ("StreamResponse", "StreamDelta"):
        assert all(field.number <= 15 for field in router_service_pb2.DESCRIPTOR.message_types_by_name[name].fields)


def test_the_servicer_is_named_as_the_contract_names_it() -> None:
    assert router_service.NAME == "tierway.v1.RouterService"
