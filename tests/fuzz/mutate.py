"""Mutations of files: of single bytes, and of the structure inside, with lengths and checksums corrected afterwards."""

import io
import json
import pickletools
import zipfile
from collections.abc import Callable
from copy import deepcopy
from itertools import pairwise

import numpy as np

NUMBERS = [0, 1, 2, 7, 127, 128, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1, -1]

NAMES = [
    ("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode"), ("builtins", "bytes"), ("builtins", "eval"),
    ("numpy._core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "scalar"), ("numpy._core.numeric", "_frombuffer"),
    ("numpy.core.multiarray", "_reconstruct"), ("numpy.core.numeric", "_frombuffer"), ("os", "system"),
]  # fmt: skip
TEXTS = ["O8", "O", "V8", "f4", "f8", "f2", "g", "c16", "i8", "U3", "S0", "U999999", "M8[s]", "<", ">", "|", "=", "latin1"]
TEXTS += ["punycode", "hex", "zlib", "C", "F", "K", "A", "b", "__defaults__", "S1", "Walking 1", "\u00e9\U0001f600", ""]

HEADERS = [
    "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
    "{'descr': '<f4', 'fortran_order': True, 'shape': (1099511627776, 0), }",
    "{'descr': [('a', '<f4'), ('b', '|O')], 'fortran_order': False, 'shape': (), }",
    "{'descr': '<U3', 'fortran_order': False, 'shape': (4,), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }",
    "{" * 5000,
]


def snippet(random: np.random.Generator) -> bytes:
    """A piece of a pickle: one or a few opcodes with arguments worth trying."""
    number = int(random.choice(NUMBERS[:-1], shuffle=False)) if random.random() < 0.5 else int(random.integers(0, 40))
    text = TEXTS[random.integers(len(TEXTS))].encode()
    module, name = NAMES[random.integers(len(NAMES))]
    choices = [
        f"c{module}\n{name}\n".encode(),
        b"\x8c" + bytes([len(text)]) + text,
        b"C" + bytes([len(text)]) + text,
        b"K" + bytes([number % 256]),
        b"\x8a\x09" + (number % 2**64).to_bytes(9, "little"),
        b"\x8e" + (number % 2**64).to_bytes(8, "little"),
        b"\x96" + (number % 2**64).to_bytes(8, "little"),
        b"j" + (number % 2**32).to_bytes(4, "little"),
        b"r" + (number % 2**32).to_bytes(4, "little"),
        b"h" + bytes([number % 256]),
        b"q" + bytes([number % 256]),
        b"I%d\n" % number,
        b"G\x7f\xf0\x00\x00\x00\x00\x00\x00",
        b"P1\n", b"\x82\x01", b"\x97", b"i" + f"{module}\n{name}\n".encode(), b"\x92", b"o", b"\x81",
        *(bytes([code]) for code in b"()]}.NRbtasue0120d2l\x85\x86\x87\x88\x89\x94\x93"),
    ]  # fmt: skip
    return choices[random.integers(len(choices))]


def mutated_bytes(data: bytes, random: np.random.Generator) -> bytes:
    """One to four changes at random places."""
    data = bytearray(data)
    for _ in range(random.integers(1, 5)):
        at, length = int(random.integers(0, len(data) + 1)), int(random.integers(1, 33))
        width = int(random.choice([1, 2, 4, 8]))
        number = NUMBERS[random.integers(len(NUMBERS))] % 256**width
        match random.integers(8):
            case 0 if at < len(data):
                data[at] ^= 1 << int(random.integers(8))
            case 1 if at < len(data):
                data[at] = int(random.integers(256))
            case 2:
                data[at : at + width] = number.to_bytes(width, "little")
            case 3:
                del data[at : at + length]
            case 4:
                data[at:at] = data[at : at + length]
            case 5:
                data[at:at] = random.bytes(length)
            case 6 if random.random() < 0.3:
                del data[at:]
            case 7:
                data[at : at + length] = bytes(length)
    return bytes(data)


def mutated_pickle(data: bytes, random: np.random.Generator) -> bytes:
    """Opcodes left out, doubled, swapped, replaced and put in."""
    starts = [position for _, _, position in pickletools.genops(data)] + [len(data)]
    pieces = [data[start:stop] for start, stop in pairwise(starts)]
    for _ in range(random.integers(1, 5)):
        at, other = (int(random.integers(len(pieces))) for _ in range(2))
        match random.integers(6):
            case 0 if len(pieces) > 1:
                del pieces[at]
            case 1:
                pieces.insert(at, pieces[at])
            case 2:
                pieces[at], pieces[other] = pieces[other], pieces[at]
            case 3:
                pieces[at] = snippet(random)
            case 4:
                pieces.insert(at, snippet(random))
            case 5:
                pieces[at:at] = [snippet(random) for _ in range(random.integers(1, 20))]
    return b"".join(pieces)


def mutated_npy(data: bytes, random: np.random.Generator) -> bytes:
    """A .npy member: its pickle, if it has one, its header, or its bytes."""
    length = 10 + int.from_bytes(data[8:10], "little")
    kind = random.random()
    if kind < 0.7 and b"|O" in data[:length]:
        return data[:length] + mutated_pickle(data[length:], random)
    if kind < 0.8:
        header = HEADERS[random.integers(len(HEADERS))].encode() + b"\n"
        return data[:8] + len(header).to_bytes(2, "little") + header + data[length:]
    return mutated_bytes(data, random)


def mutated_zip(data: bytes, random: np.random.Generator, mutated_member=mutated_bytes) -> bytes:
    """Mutate the archive's own bytes, or one member, packed again with its right size and checksum."""
    if random.random() < 0.3:
        return mutated_bytes(data, random)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
    return repacked(data, names[random.integers(len(names))], lambda member: mutated_member(member, random))


def repacked(data: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    """An archive with one member changed, packed again with its right size and checksum."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for other in old.namelist():
            content = old.read(other)
            new.writestr(other, change(content) if other == name else content)
    return packed.getvalue()


def mutated_json(text: str, random: np.random.Generator) -> str:
    """Values replaced, keys renamed or left out anywhere in the tree."""
    tree = json.loads(text)
    values = [None, True, "", "x" * 1000, [], {}, [[]], -1, 0, 1e308, float("nan"), float("inf"), 2**70, 10**5, 0.5]
    for _ in range(random.integers(1, 4)):
        place = tree
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = keys[random.integers(len(keys))]
            if isinstance(place[key], dict | list) and place[key] and random.random() < 0.7:
                place = place[key]
                continue
            match random.integers(4):
                case 0:
                    del place[key]
                case 1 if isinstance(place, dict):
                    place[f"{key}x"] = place.pop(key)
                case _:
                    place[key] = deepcopy(values[random.integers(len(values))])
            break
    return json.dumps(tree)


def mutated_safetensors(data: bytes, random: np.random.Generator) -> bytes:
    """The header as JSON, the settings in it as JSON, or the bytes."""
    length = int.from_bytes(data[:8], "little")
    header, body = data[8 : 8 + length], data[8 + length :]
    kind = random.random()
    if kind < 0.3:
        return mutated_bytes(data, random)
    if kind < 0.4:
        return data[: 8 + length] + mutated_bytes(body, random)
    if kind < 0.6:
        header = mutated_json(header.decode(), random).encode()
    else:
        tree = json.loads(header)
        tree["__metadata__"]["settings"] = mutated_json(tree["__metadata__"]["settings"], random)
        header = json.dumps(tree).encode()
    return len(header).to_bytes(8, "little") + header + body
