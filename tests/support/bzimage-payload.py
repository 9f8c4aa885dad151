#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""bzimage-payload.py BZIMAGE OUT - unpacks the ELF kernel of an x86 bzImage.

The setup header (Linux Documentation/x86/boot.rst) says where the compressed payload lies; its first bytes say how it
is compressed. The result carries the PVH note and so boots with `qemu -kernel` without the slow unpacking in the guest.
"""
import lzma
import struct
import subprocess
import sys
import zlib


def filter_through(*command):
    # The payload ends in four bytes of length that the tools complain about; only the output matters.
    return lambda data: subprocess.run(command, input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                       check=False).stdout


UNPACKERS = {
    b"\x1f\x8b": lambda data: zlib.decompressobj(31).decompress(data),
    b"\xfd7zXZ\0": lambda data: lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(data),
    b"\x02\x21\x4c\x18": filter_through("lz4", "-dc"),
    b"\x28\xb5\x2f\xfd": filter_through("zstd", "-dcq"),
}


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: bzimage-payload.py BZIMAGE OUT")
    with open(sys.argv[1], "rb") as source:
        image = source.read()
    if image[0x202:0x206] != b"HdrS":
        sys.exit(f"{sys.argv[1]}: no x86 setup header")
    start, length = struct.unpack_from("<II", image, 0x248)
    start += (image[0x1f1] + 1) * 512
    payload = image[start:start + length]
    for magic, unpack in UNPACKERS.items():
        if payload.startswith(magic):
            elf = unpack(payload)
            break
    else:
        sys.exit(f"{sys.argv[1]}: payload of unknown compression {payload[:6].hex()}")
    if not elf.startswith(b"\x7fELF"):
        sys.exit(f"{sys.argv[1]}: the payload is no ELF file")
    with open(sys.argv[2], "wb") as out:
        out.write(elf)


main()
