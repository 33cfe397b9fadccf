#!/usr/bin/env python3
"""Opens what Sluice sealed, from docs/formats.md alone.

Python's standard library and nothing else: no code of Sluice's, no libsodium. It is here so that an auditor can check the
formats, and so that sealed data outlives the program that sealed it. It is slow, its arithmetic is not constant-time and it
keeps keys in ordinary memory: for checking and for emergencies. It leaves no entry in the access log.

  open_field.py field  --recovery-key FILE --box FILE --public-key HEX --sealed-dek HEX
                       --table user_logins --column ip_sealed --day 2026-11-24 --event-id UUID --sealed HEX
  open_field.py body   --transit-key FILE --message-id UUID --sent-at MILLISECONDS --sealed HEX
  open_field.py token  --pepper FILE --epoch 1 --field ip --value 203.0.113.9
  open_field.py check  vectors.json

Exit code 1, and one line on standard error, when something does not open.
"""

import argparse
import base64
import hashlib
import hmac
import json
import struct
import sys
import uuid


class DoesNotOpen(Exception):
    pass


# -- X25519 (RFC 7748) -------------------------------------------------------------------------------------------------

P = 2**255 - 19


def x25519(scalar: bytes, point: bytes) -> bytes:
    k = bytearray(scalar)
    k[0] &= 248
    k[31] = (k[31] & 127) | 64
    n = int.from_bytes(k, "little")
    x1 = int.from_bytes(point, "little") & (2**255 - 1)
    x2, z2, x3, z3, swapped = 1, 0, x1, 1, 0
    for t in reversed(range(255)):
        bit = (n >> t) & 1
        if swapped ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swapped = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % P, b * b % P, d * a % P, c * b % P
        e = aa - bb
        x3, z3 = pow(da + cb, 2, P), x1 * pow(da - cb, 2, P) % P
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swapped:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


BASE_POINT = (9).to_bytes(32, "little")


# -- Salsa20 and ChaCha20 cores ----------------------------------------------------------------------------------------

SIGMA = struct.unpack("<4I", b"expand 32-byte k")


def rotated(value: int, bits: int) -> int:
    value &= 0xFFFFFFFF
    return ((value << bits) | (value >> (32 - bits))) & 0xFFFFFFFF


def salsa20_rounds(words: list) -> list:
    x = list(words)

    def quarter(a, b, c, d):
        x[b] ^= rotated(x[a] + x[d], 7)
        x[c] ^= rotated(x[b] + x[a], 9)
        x[d] ^= rotated(x[c] + x[b], 13)
        x[a] ^= rotated(x[d] + x[c], 18)

    for _ in range(10):
        for q in ((0, 4, 8, 12), (5, 9, 13, 1), (10, 14, 2, 6), (15, 3, 7, 11)):
            quarter(*q)
        for q in ((0, 1, 2, 3), (5, 6, 7, 4), (10, 11, 8, 9), (15, 12, 13, 14)):
            quarter(*q)
    return x


def salsa20_state(key: bytes, block: bytes) -> list:
    k, i = struct.unpack("<8I", key), struct.unpack("<4I", block)
    return [SIGMA[0], *k[:4], SIGMA[1], *i, SIGMA[2], *k[4:], SIGMA[3]]


def hsalsa20(key: bytes, block: bytes) -> bytes:
    x = salsa20_rounds(salsa20_state(key, block))
    return struct.pack("<8I", x[0], x[5], x[10], x[15], x[6], x[7], x[8], x[9])


def salsa20_block(key: bytes, nonce: bytes, counter: int) -> bytes:
    state = salsa20_state(key, nonce + struct.pack("<Q", counter))
    return struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(state, salsa20_rounds(state))))


def chacha20_rounds(words: list) -> list:
    x = list(words)

    def quarter(a, b, c, d):
        x[a] = (x[a] + x[b]) & 0xFFFFFFFF
        x[d] = rotated(x[d] ^ x[a], 16)
        x[c] = (x[c] + x[d]) & 0xFFFFFFFF
        x[b] = rotated(x[b] ^ x[c], 12)
        x[a] = (x[a] + x[b]) & 0xFFFFFFFF
        x[d] = rotated(x[d] ^ x[a], 8)
        x[c] = (x[c] + x[d]) & 0xFFFFFFFF
        x[b] = rotated(x[b] ^ x[c], 7)

    for _ in range(10):
        for q in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)):
            quarter(*q)
        for q in ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
            quarter(*q)
    return x


def hchacha20(key: bytes, block: bytes) -> bytes:
    x = chacha20_rounds([*SIGMA, *struct.unpack("<8I", key), *struct.unpack("<4I", block)])
    return struct.pack("<8I", *x[:4], *x[12:])


def chacha20_block(key: bytes, nonce: bytes, counter: int) -> bytes:
    state = [*SIGMA, *struct.unpack("<8I", key), counter, *struct.unpack("<3I", nonce)]
    return struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(state, chacha20_rounds(state))))


def xored(data: bytes, stream: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(data, stream))


# -- Poly1305 (RFC 8439) -----------------------------------------------------------------------------------------------


def poly1305(key: bytes, message: bytes) -> bytes:
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    s = int.from_bytes(key[16:], "little")
    total = 0
    for start in range(0, len(message), 16):
        total = (total + int.from_bytes(message[start : start + 16] + b"\x01", "little")) * r % (2**130 - 5)
    return ((total + s) & (2**128 - 1)).to_bytes(16, "little")


# -- libsodium's constructions -----------------------------------------------------------------------------------------


def box_seal_open(sealed: bytes, public: bytes, private: bytes) -> bytes:
    """crypto_box_seal_open: ephemeral public key | XSalsa20-Poly1305 box, nonce = BLAKE2b-192(ephemeral | recipient)."""
    ephemeral, tag, ciphertext = sealed[:32], sealed[32:48], sealed[48:]
    nonce = hashlib.blake2b(ephemeral + public, digest_size=24).digest()
    shared = hsalsa20(x25519(private, ephemeral), bytes(16))
    subkey = hsalsa20(shared, nonce[:16])
    blocks = (32 + len(ciphertext) + 63) // 64
    stream = b"".join(salsa20_block(subkey, nonce[16:], i) for i in range(blocks))
    if not hmac.compare_digest(poly1305(stream[:32], ciphertext), tag):
        raise DoesNotOpen("the sealed box does not open with this key")
    return xored(ciphertext, stream[32:])


def xchacha20_poly1305_open(sealed: bytes, nonce: bytes, aad: bytes, key: bytes) -> bytes:
    """crypto_aead_xchacha20poly1305_ietf_decrypt."""
    ciphertext, tag = sealed[:-16], sealed[-16:]
    subkey, short = hchacha20(key, nonce[:16]), bytes(4) + nonce[16:]

    def padded(data: bytes) -> bytes:
        return data + bytes(-len(data) % 16)

    authenticated = padded(aad) + padded(ciphertext) + struct.pack("<QQ", len(aad), len(ciphertext))
    if not hmac.compare_digest(poly1305(chacha20_block(subkey, short, 0)[:32], authenticated), tag):
        raise DoesNotOpen("the value does not open: another key, another place, or altered")
    blocks = (len(ciphertext) + 63) // 64
    stream = b"".join(chacha20_block(subkey, short, 1 + i) for i in range(blocks))
    return xored(ciphertext, stream)


# -- Sluice's formats --------------------------------------------------------------------------------------------------


def day_private_key(box: bytes, recovery_key: bytes, public_key: bytes) -> bytes:
    """A day's private key, from the box in the vault and the recovery key."""
    private = box_seal_open(box, x25519(recovery_key, BASE_POINT), recovery_key)
    if x25519(private, BASE_POINT) != public_key:
        raise DoesNotOpen("the box holds the private key of another day")
    return private


def open_field(sealed: bytes, table: str, column: str, day: str, event_id: str, dek: bytes) -> str:
    """01 | suite 01 | dek_id 8 | nonce 24 | ciphertext | tag 16"""
    if sealed[:2] != b"\x01\x01" or len(sealed) < 50:
        raise DoesNotOpen("not a sealed field")
    aad = b"\x01\x01" + f"{table}\0{column}\0{day}".encode() + uuid.UUID(event_id).bytes
    return xchacha20_poly1305_open(sealed[34:], sealed[10:34], aad, dek).decode()


def open_body(sealed: bytes, message_id: str, sent_at_ms: int, transit_key: bytes) -> bytes:
    """01 | suite 01 | day 4 | nonce 24 | ciphertext | tag 16"""
    if sealed[:2] != b"\x01\x01" or len(sealed) < 46:
        raise DoesNotOpen("not a sealed body")
    aad = sealed[:6] + struct.pack(">q", sent_at_ms) + message_id.encode("ascii")
    return xchacha20_poly1305_open(sealed[30:], sealed[6:30], aad, transit_key)


def token(field: str, value: str, epoch: int, pepper: bytes) -> str:
    digest = hashlib.blake2b(f"{field}\0{value}".encode(), digest_size=16, key=pepper).digest()
    return f"t{epoch}:" + base64.urlsafe_b64encode(digest).decode().rstrip("=")


# -- Command line ------------------------------------------------------------------------------------------------------


def check(path: str) -> None:
    """Recomputes every known answer in a file of vectors."""
    with open(path, encoding="utf-8") as file:
        vectors = json.load(file)
    h = bytes.fromhex
    key = vectors["day_key"]
    private = day_private_key(h(key["box"]), h(key["recovery_key"]), h(key["public_key"]))
    dek = box_seal_open(h(key["sealed_dek"]), h(key["public_key"]), private)
    results = {"day_key": private.hex() == key["private_key"], "data_key": dek.hex() == key["dek"]}
    for i, v in enumerate(vectors["fields"]):
        plain = open_field(h(v["sealed"]), v["table"], v["column"], v["day"], v["event_id"], dek)
        results[f"fields[{i}]"] = plain == v["plain"]
        try:
            open_field(h(v["sealed"]), v["table"], v["column"], "2026-11-23", v["event_id"], dek)
            results[f"fields[{i}] in another row"] = False
        except DoesNotOpen:
            results[f"fields[{i}] in another row does not open"] = True
    for i, v in enumerate(vectors["bodies"]):
        body = open_body(h(v["sealed"]), v["message_id"], v["sent_at"], h(v["transit_key"]))
        results[f"bodies[{i}]"] = body.decode() == v["plain"]
    for i, v in enumerate(vectors["tokens"]):
        results[f"tokens[{i}]"] = token(v["field"], v["value"], v["epoch"], h(v["pepper"])) == v["token"]
    for name, right in results.items():
        print(f"{'right' if right else 'WRONG'}  {name}")
    if not all(results.values()):
        raise DoesNotOpen("a known answer differs")


def read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    options = {
        "field": "recovery-key box public-key sealed-dek table column day event-id sealed",
        "body": "transit-key message-id sent-at sealed",
        "token": "pepper epoch field value",
    }
    for command, names in options.items():
        sub = commands.add_parser(command)
        for name in names.split():
            sub.add_argument(f"--{name}", required=True)
    commands.add_parser("check").add_argument("vectors")
    a = parser.parse_args()
    h = bytes.fromhex
    if a.command == "field":
        public = h(a.public_key)
        private = day_private_key(read(a.box), read(a.recovery_key), public)
        dek = box_seal_open(h(a.sealed_dek), public, private)
        print(open_field(h(a.sealed), a.table, a.column, a.day, a.event_id, dek))
    elif a.command == "body":
        print(open_body(h(a.sealed), a.message_id, int(a.sent_at), read(a.transit_key)).decode())
    elif a.command == "token":
        print(token(a.field, a.value, int(a.epoch), read(a.pepper)))
    else:
        check(a.vectors)


if __name__ == "__main__":
    try:
        main()
    except (DoesNotOpen, OSError, ValueError) as error:
        print(f"open_field.py: {error}", file=sys.stderr)
        sys.exit(1)
