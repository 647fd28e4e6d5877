#!/usr/bin/env python3
"""Known answers for encoded and encrypted numbers by the rules of python-paillier, in plain Python integers.

An independent oracle: it shares no code with the product and needs no package. Deterministic: every number is drawn from
SHA-256 in counter mode.

    python_paillier.py                          write python_paillier.json beside this script
    python_paillier.py --check                  exit with 1 unless python_paillier.json is what would be written

It also reads and writes the files of python-paillier's command line, for tests of the program against it:

    python_paillier.py key BITS                 a private key, of primes that are not safe
    python_paillier.py extract PRIVATE
    python_paillier.py encrypt PUBLIC NUMBER    at exponent -32 or below
    python_paillier.py decrypt PRIVATE FILE     prints a whole number, or a float as repr does
"""
import base64
import fractions
import json
import math
import pathlib
import secrets
import sys

import generate

BASE = 16
FRACTION = fractions.Fraction


class Overflow(Exception):
    pass


class Key:
    def __init__(self, p, q=None):
        self.p, self.q = p, q
        self.n = p * q if q else p
        self.n2 = self.n**2
        self.max_int = self.n // 3 - 1

    # Encoding

    def wrap(self, mantissa):
        if abs(mantissa) > self.max_int:
            raise Overflow
        return mantissa % self.n

    def encode(self, scalar, precision=None, max_exponent=None):
        if precision is not None:
            exponent = floor_log16(precision)
        elif isinstance(scalar, int):
            exponent = 0
        else:
            exponent = (math.frexp(scalar)[1] - sys.float_info.mant_dig) // 4
        if max_exponent is not None:
            exponent = min(exponent, max_exponent)
        return self.encode_at(scalar, exponent), exponent

    def encode_at(self, scalar, exponent):
        return self.wrap(round(FRACTION(scalar) * FRACTION(BASE)**-exponent))  # ties to even

    def mantissa(self, m):
        if m <= self.max_int:
            return m
        if m >= self.n - self.max_int:
            return m - self.n
        raise Overflow

    def decode(self, m, exponent):
        return self.mantissa(m) * FRACTION(BASE)**exponent

    def lower_encoded(self, number, exponent):
        return self.wrap(self.mantissa(number[0]) * BASE**(number[1] - exponent)), exponent

    # Encryption

    def encrypt(self, m, r):
        return (1 + m * self.n) * pow(r, self.n, self.n2) % self.n2

    def decrypt(self, c):
        totient = (self.p - 1) * (self.q - 1)
        return (pow(c, totient, self.n2) - 1) // self.n * pow(totient, -1, self.n) % self.n

    def multiply(self, number, by):
        (c, exponent), (m, m_exponent) = number, by
        if m >= self.n - self.max_int:
            c, m = pow(c, -1, self.n2), self.n - m
        return pow(c, m, self.n2), exponent + m_exponent

    def lower(self, number, exponent):
        return pow(number[0], BASE**(number[1] - exponent), self.n2), exponent

    def add(self, a, b):
        exponent = min(a[1], b[1])
        return self.lower(a, exponent)[0] * self.lower(b, exponent)[0] % self.n2, exponent

    def add_encoded(self, a, b):
        exponent = min(a[1], b[1])
        return self.lower(a, exponent)[0] * (1 + self.lower_encoded(b, exponent)[0] * self.n) % self.n2, exponent


def floor_log16(x):
    x = FRACTION(x)
    exponent = 0
    while FRACTION(BASE)**exponent > x:
        exponent -= 1
    while FRACTION(BASE)**(exponent + 1) <= x:
        exponent += 1
    # python-paillier takes the floor of a float logarithm. No vector lies where that differs.
    assert exponent == math.floor(math.log(x, BASE)), x
    return exponent


def decimal(value):
    """All digits of a fraction whose denominator is a power of two."""
    places = value.denominator.bit_length() - 1
    digits = str(abs(value.numerator) * 5**places).rjust(places + 1, "0")
    whole, fraction = digits[:len(digits) - places], digits[len(digits) - places:].rstrip("0")
    return ("-" if value < 0 else "") + whole + ("." + fraction if fraction else "")


def plain_prime(draw, bits):
    """A prime of `bits` bits for which (p − 1)/2 is not prime, with the second bit not set."""
    while True:
        candidate = draw.bits(bits - 2) | 1 << (bits - 1) | 1 << (bits - 3) | 1 << (bits - 4) | 1
        if generate.is_prime(candidate) and not generate.is_prime(candidate >> 1):
            return candidate


def write(operation, **fields):
    def text(value):
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, float):
            return value.hex()
        return value if isinstance(value, (str, list)) else str(value)
    return {"operation": operation} | {name: text(value) for name, value in fields.items()}


def scalar_fields(scalar):
    return {"kind": "float" if isinstance(scalar, float) else "whole", "scalar": scalar}


FLOATS = [0.0, 1.0, -1.0, 0.1, -0.1, 3.141592653589793, -2.5, 0.5, 1e-10, -1e-10, 123456.789, 2.0**52 + 1, -2.0**53,
          16.0**-14, 5e-324, -2.2250738585072014e-308, 4.9406564584124654e-310, 1e22]
WHOLES = [0, 1, -1, 7, -7, 15, 16, 17, 255, -256, 2**31, -2**31 - 1, 2**53 + 1, 2**63 - 1, -2**63, 10**19, -10**30]


def encode_vectors(key, name, draw):
    def attempt(operation, scalar, encode, **options):
        try:
            m, exponent = encode()
        except Overflow:
            return write(operation, key=name, overflow=True, **scalar_fields(scalar), **options)
        return write(operation, key=name, m=m, exponent=exponent, **scalar_fields(scalar), **options)

    extremes = [key.max_int, -key.max_int, key.max_int + 1, -key.max_int - 1, key.n]
    randoms = [math.ldexp(draw.bits(53) - 2**52, draw.below(120) - 110) for _ in range(8)]
    for scalar in FLOATS + WHOLES + extremes + randoms:
        yield attempt("encode", scalar, lambda: key.encode(scalar))
    for scalar in (0.1, -123.456, 1e-9, 1000, -17, 8, 24, 40):
        for precision in (1e-3, 1e-20, 0.3, 17.0, 300.0):
            yield attempt("encode", scalar, lambda: key.encode(scalar, precision), precision=precision)
    for scalar in (0.1, -123.456, 5, -5):
        for max_exponent in (-20, -5, 0, 3, -200):
            yield attempt("encode", scalar, lambda: key.encode(scalar, None, max_exponent), max_exponent=max_exponent)
        yield attempt("encode", scalar, lambda: key.encode(scalar, 1e-3, -8), precision=1e-3, max_exponent=-8)
    for scalar in (0.1, -0.1, 2.5, 40.0, -24.0, 8, 24, 1e-300, 7):
        for exponent in (-32, -14, 0, 1):
            exact = FRACTION(scalar) * FRACTION(BASE)**-exponent
            yield attempt("encode_at", scalar, lambda: (key.encode_at(scalar, exponent), exponent),
                          at=exponent, exact=exact.denominator == 1)


def decode_vectors(key, name, draw):
    limits = [0, 1, key.max_int - 1, key.max_int, key.max_int + 1, key.n // 2, key.n - key.max_int - 1,
              key.n - key.max_int, key.n - 1]
    numbers = [(m, e) for m in limits for e in (-40, 0, 3)]
    # Half-way between doubles, next to it, and subnormal ones.
    numbers += [(2**53 + 1, 0), (2**54 + 6, -3), (2**54 + 7, -3), (2**80 + 2**27, -10), (2**80 + 2**27 + 1, -10),
                (3 * 2**50 + 1, -281), (2**30 + 2**29 + 1, -275), (1, -269), (3, -269), (9, -269), (7, -300), (1, 255),
                (15, 255), (2**54 - 1, 242), (2**54 - 2, 242), (2**54 - 1, 243), (1, 300)]
    numbers += [(draw.below(key.n), -draw.below(80)) for _ in range(8)]
    for m, e in numbers:
        try:
            value = key.decode(m, e)
        except Overflow:
            yield write("decode", key=name, m=m, exponent=e, overflow=True)
            continue
        try:
            nearest = value.numerator / value.denominator
        except OverflowError:
            nearest = None
        yield write("decode", key=name, m=m, exponent=e, decimal=decimal(value), double=nearest)


def cipher_vectors(key, name, draw, count):
    def number():
        scalar = (draw.below(2**40) - 2**39) if draw.below(2) else math.ldexp(draw.bits(53) - 2**52, -draw.below(80))
        return scalar, key.encode(scalar)

    def encrypted():
        scalar, (m, exponent) = number()
        return key.encrypt(m, draw.between(1, key.n - 1)), exponent

    def fits(a, b):
        return BASE**abs(a - b) <= key.max_int

    def fields(prefix, item):
        return {prefix: item[0], prefix + "_exponent": item[1]}

    for _ in range(count):
        scalar, (m, exponent) = number()
        r = draw.between(1, key.n - 1)
        c = key.encrypt(m, r)
        assert key.decrypt(c) == m
        yield write("encrypt", key=name, m=m, exponent=exponent, r=r, c=c, decimal=decimal(key.decode(m, exponent)))
        a, b = encrypted(), encrypted()
        while not fits(a[1], b[1]):
            b = encrypted()
        yield write("add", key=name, **fields("a", a), **fields("b", b), **fields("c", key.add(a, b)))
        minus_b = pow(b[0], -1, key.n2), b[1]
        yield write("subtract", key=name, **fields("a", a), **fields("b", b), **fields("c", key.add(a, minus_b)))
        scalar, encoded = number()
        while not fits(a[1], encoded[1]):
            scalar, encoded = number()
        try:
            total = key.add_encoded(a, encoded)
            yield write("add_encoded", key=name, **fields("a", a), **fields("m", encoded), **fields("c", total))
            plain = key.encode(scalar, None, a[1])
            yield write("add_plain", key=name, **fields("a", a), **scalar_fields(scalar),
                        **fields("c", key.add_encoded(a, plain)))
        except Overflow:
            yield write("add_encoded", key=name, **fields("a", a), **fields("m", encoded), overflow=True)
        yield write("multiply", key=name, **fields("a", a), **scalar_fields(scalar),
                    **fields("c", key.multiply(a, encoded)))
        lower = a[1] - draw.below(12)
        yield write("decrease", key=name, **fields("a", a), **fields("c", key.lower(a, lower)))
        terms = [encrypted() for _ in range(draw.between(1, 6))]
        total = terms[0]
        if all(fits(x[1], y[1]) for x in terms for y in terms):
            for term in terms[1:]:
                total = key.add(total, term)
            yield write("sum", key=name, numbers=[f"{c}:{e}" for c, e in terms], **fields("c", total))
    a = encrypted()
    for scalar in (0, -1, 1, 0.0, key.max_int, -key.max_int):
        yield write("multiply", key=name, **fields("a", a), **scalar_fields(scalar),
                    **fields("c", key.multiply(a, key.encode(scalar))))


def vectors():
    keys = {}
    for bits in (256, 384, 512):
        draw = generate.Draw(f"python-paillier key {bits}")
        primes = [plain_prime(draw, bits // 2) for _ in range(2)]
        while (primes[0] * primes[1]).bit_length() != bits:
            primes[1] = plain_prime(draw, bits // 2)
        keys[str(bits)] = Key(*primes)
    keys["2048"] = Key(*(int(prime, 16) for prime in generate.PUBLISHED[2048]))
    for name, key in keys.items():
        draw = generate.Draw(f"python-paillier {name}")
        yield write("key", key=name, p=key.p, q=key.q, n=key.n)
        if name != "384":
            yield from encode_vectors(key, name, draw)
            yield from decode_vectors(key, name, draw)
        yield from cipher_vectors(key, name, draw, 1 if name == "2048" else 8)


# Files of the command line

def to_base64url(number):
    return base64.urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8, "big")).decode().rstrip("=")


def from_base64url(text):
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


def new_key(bits):
    def prime():
        while True:
            candidate = secrets.randbits(bits // 2) | 1 << (bits // 2 - 1) | 1
            if generate.is_prime(candidate):
                return candidate
    p, q = prime(), prime()
    while (p * q).bit_length() != bits or p == q:
        p, q = prime(), prime()
    public = {"kty": "DAJ", "alg": "PAI-GN1", "key_ops": ["encrypt"], "n": to_base64url(p * q), "kid": "a test"}
    return {"kty": "DAJ", "key_ops": ["decrypt"], "p": to_base64url(p), "q": to_base64url(q), "pub": public,
            "kid": "a test"}


def encrypt_file(public, number):
    assert (public["kty"], public["alg"]) == ("DAJ", "PAI-GN1")
    key = Key(from_base64url(public["n"]))
    m, exponent = key.lower_encoded(*[(number := key.encode(float(number))), min(-32, number[1])])
    return {"v": str(key.encrypt(m, 1 + secrets.randbelow(key.n - 1))), "e": exponent}


def decrypt_file(private, number):
    assert private["kty"] == "DAJ" and "decrypt" in private["key_ops"]
    key = Key(from_base64url(private["p"]), from_base64url(private["q"]))
    assert key.n == from_base64url(private["pub"]["n"])
    value = key.decode(key.decrypt(int(number["v"])), number["e"])
    return value.numerator if number["e"] >= 0 else value.numerator / value.denominator


def load(path):
    return json.loads(pathlib.Path(path).read_text())


def main(verb="", *arguments):
    if verb == "key":
        print(json.dumps(new_key(int(arguments[0]))))
    elif verb == "extract":
        print(json.dumps(load(arguments[0])["pub"]))
    elif verb == "encrypt":
        print(json.dumps(encrypt_file(load(arguments[0]), arguments[1])))
    elif verb == "decrypt":
        print(decrypt_file(load(arguments[0]), load(arguments[1])))
    else:
        path = pathlib.Path(__file__).with_suffix(".json")
        lines = [json.dumps(vector) for vector in vectors()]
        text = "[\n" + ",\n".join(lines) + "\n]\n"
        if verb != "--check":
            path.write_text(text)
        elif path.read_text() != text:
            sys.exit(f"{path.name} is not what {pathlib.Path(__file__).name} writes")
        print(f"{path.name}: {len(lines)} vectors")


if __name__ == "__main__":
    main(*sys.argv[1:])
