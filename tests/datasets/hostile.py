"""Pickles that mean harm, put together opcode by opcode; each did harm to readers that unpickle real NumPy objects."""

import struct


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def text(value: str) -> bytes:
    data = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(data)) + data


def raw(data: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(data)) + data


def number(value: int) -> bytes:
    return b"\x8a\x09" + value.to_bytes(9, "little", signed=True)


def group(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def mapping(key: bytes, value: bytes) -> bytes:
    return b"}" + key + value + b"s"


def called(function: bytes, *arguments: bytes) -> bytes:
    return function + group(*arguments) + b"R"


def built(target: bytes, state: bytes) -> bytes:
    return target + state + b"b"


NONE, YES, NO = b"N", b"\x88", b"\x89"
NDARRAY, DTYPE = name("numpy", "ndarray"), name("numpy", "dtype")
RECONSTRUCT, SCALAR = name("numpy.core.multiarray", "_reconstruct"), name("numpy.core.multiarray", "scalar")
FROMBUFFER, ENCODE = name("numpy.core.numeric", "_frombuffer"), name("_codecs", "encode")
SHELL = called(RECONSTRUCT, NDARRAY, group(number(0)), raw(b"b"))


def dtype(code: str, order: str = "<", names=NONE, fields=NONE, size: int = -1, flags: int = 0) -> bytes:
    state = group(number(3), text(order), NONE, names, fields, number(size), number(1 if size > 0 else -1), number(flags))
    return built(called(DTYPE, text(code), NO, YES), state)


OBJECTS = dtype("O8", "|", flags=63)


def array(kind: bytes, shape: bytes, data: bytes) -> bytes:
    return built(SHELL, group(number(1), shape, kind, NO, data))


def whole(content: bytes) -> bytes:
    """The pickle of a 0-d object array that holds the content."""
    return array(OBJECTS, b")", b"]" + content + b"a") + b"."


def doubled(levels: int, pair: bytes = b"\x86") -> bytes:
    """Pairs of one and the same pair, so that 40 levels stand for 2^40 values."""
    return b")" + b"".join(b"r" + struct.pack("<I", k) + b"j" + struct.pack("<I", k) + pair for k in range(levels))


FLOATS = group(number(2)), raw(bytes(8))

CASES = {
    "state of a function": built(FROMBUFFER, group(NONE, mapping(text("__defaults__"), group(number(1))))),
    "attributes of a function": built(RECONSTRUCT, mapping(text("x"), number(1))),
    "state of a class": built(NDARRAY, mapping(text("x"), number(1))),
    "addresses as objects": array(dtype("O8", "|", flags=0), group(number(1)), raw(b"ABCDEFGH")),
    "objects below the top": array(OBJECTS, group(number(1)), b"]" + NONE + b"a"),
    "fields beyond the item": array(
        dtype(
            "V8", "|", group(text("a")), mapping(text("a"), group(dtype("f8"), number(10**6))), size=8, flags=16
        ),
        group(number(1)),
        raw(bytes(8)),
    ),
    "state of a dtype again": array(built(dtype("f4"), group(number(3), text("<"), *[NONE] * 3, *[number(0)] * 3)), *FLOATS),
    "dtype without state": array(called(DTYPE, text("f4"), NO, YES), *FLOATS),
    "pairs as a key": mapping(doubled(40), NONE),
    "pairs as a value": doubled(40),
    "lists within themselves": b"]" + b"q\x00h\x00a",
    "punycode": called(ENCODE, text("\u00e9\u4e00" * 40_000), text("punycode")),
    "hex of hex": (ENCODE + b"(") * 26 + raw(b"a" * 32) + (text("hex") + b"tR") * 26,
    "latin1 over and over": b"("
    + text("a" * 10_000) + b"q\x00" + called(ENCODE, b"h\x00", text("latin1")) * 5_000 + b"l",
    "one buffer for many": b"("
    + raw(bytes(8_000)) + b"q\x00" + dtype("f4") + b"q\x01" + array(b"h\x01", group(number(2_000)), b"h\x00") * 500 + b"t",
    "huge array": called(RECONSTRUCT, NDARRAY, group(number(2**33)), raw(b"b")),
    "uninitialised array": called(RECONSTRUCT, NDARRAY, group(number(4), number(15), number(3)), text("f4")),
    "array without state": SHELL,
    "strides of zero": called(NDARRAY, group(number(2**33)), text("f4"), raw(bytes(4)), number(0), group(number(0))),
    "too little data": array(dtype("f4"), group(number(10**6)), raw(bytes(4))),
    "sizes that overflow": array(dtype("f4"), group(number(2**32), number(2**32), number(0)), raw(b"")),
    "negative size": array(dtype("f4"), group(number(-2), number(-1)), raw(bytes(8))),
    "true as a size": array(dtype("f4"), group(YES), raw(bytes(4))),
    "no size at all": array(dtype("S0", "|"), group(number(10**12)), raw(b"")),
    "impossible letters": array(dtype("U1", size=4, flags=8), group(number(1)), raw(b"\xff" * 4)),
    "axes that are none": called(FROMBUFFER, raw(bytes(8)), dtype("f4"), group(number(2)), text("K"), group(number(7))),
    "scalar object": called(SCALAR, OBJECTS, raw(b"ABCDEFGH")),
    "scalar without data": called(SCALAR, dtype("f8")),
    "class as a value": mapping(text("S1"), NDARRAY),
    "dtype as a value": mapping(text("S1"), group(dtype("f4"))),
    "number as a key": mapping(number(7), NONE),
    "odd dictionary": b"(" + text("a") + b"d",
    "half a letter from an array": mapping(called(SCALAR, dtype("U1", size=4, flags=8), raw(b"\x00\xd8\0\0")), NONE),
    "half a letter": mapping(text("\ud800"), NONE),
    "a mile of digits": b"L" + b"9" * 5_000 + b"L\n",
    "a deep list": b"]" * 9_000 + b"a" * 8_999,
    "persistent id": b"Pabc\n",
    "extension": b"\x82\x01",
    "instance": b"(iposix\nsystem\n",
    "new object": NDARRAY + b")\x81",
    "popped": NONE + b"0",
    "nothing to pop": b"tttt",
}  # fmt: skip

PROGRAMS = {key: whole(content) for key, content in CASES.items()} | {
    "huge memo": b"\x80\x04N" + b"r\xff\xff\xff\xff" + b"0" + whole(NONE),
    "no object array": b"\x80\x04N.",
    "no end": whole(NONE)[:-1],
    "two ends": b"N" + whole(NONE),
    "a length without data": b"\x8e" + b"\xff" * 8,
}
