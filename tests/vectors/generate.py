#!/usr/bin/env python3
"""Known-answer vectors for shared/crypto: Paillier, packing and fixed point in plain Python integers.

An independent oracle: it shares no code with the product, only the definitions (shared/crypto/README.md).
Deterministic: every number is drawn from SHA-256 in counter mode.

    generate.py           write vectors.txt beside this script
    generate.py --check   exit with 1 unless vectors.txt is what would be written

One vector a line: an operation and its fields, name=value, numbers in hexadecimal, lists with commas.
"""
import hashlib
import math
import pathlib
import struct
import sys

# The published test keys of tests/support/test_keys.h.
PUBLISHED = {
    2048: (
        "d9f8da24250124c0a3634242f6b3d98b121f6dc4d7243845da9567e86890d7003fdd2998b8ceac16f8d8"
        "9e69c1629f61900fb21eb25c8fd299b0e825e0d37e542ea477519058edbe6aefcdc57513dae3d1a89325"
        "e972d4ad5852c6604da29a3ee19ba5a344346992445d3bc85afab89b7f6fca0ee8432f2e8e9b1f8cbe94"
        "001f",
        "c12206e99ccb542922414f495c5b08c8b9b72654b1711779b6321971cfb355868b5cb421cebcd8a72a36"
        "33773a111dcba50fcd10b47367b34c663ee96dc5bfed0e295f90d95daa17aba75b84f806bb6f759900f6"
        "6d699cab9ef73eafb4ce8b991cc0dcf1e9a443ebbde542ad0798061156dd5a87b5063679239e89afc0a3"
        "0eb3",
    ),
    3072: (
        "e1b952bc1c0113b697d81f679412fff22244a1ad7407003642b05742cc4e26069848d95f20cf497629c6"
        "8473482e087d08ecd41a91202baf83f0ab80e887895dac46b6daf6b974ed4e8bb43addcdec44c88837fb"
        "1c10d163431c9fc02214f9c9307b9caeb79db96921b42218acc5d19206387ed6a5bb1700f8ea060e8823"
        "5458d10d44101e2869c918bea53e8b95004f0d8d3ecbaa9a10822c7b216e9dee10a517dda283fb7f1594"
        "a3118f2cb915c1c8203a04e46b24c5051d3a1be338166513",
        "ca26f7bb097a5a7df5c6cf730673ef96f300f65f84908db903e0f327599b32d38e09c64b83475b5c27fa"
        "8190f5bd514f74489b98f4e6996e4ceea9405589394419c749bf6c561c4bb6a08a98522411b76c3edcae"
        "4e9449ede48a6da24fd49ab86642c3efc7049febbeb544e1bd46b36ef7253de0a7bef37f8389f2f63a32"
        "31d76bbdbc944eaa575eecc91d004fa82e13c7a9e0d9c7bd81021c5d13181caa053d420091356da74707"
        "40bf28fee18e0c3713dab5f021392c3267385c70baedd5df",
    ),
}


class Draw:
    """Numbers from SHA-256(label, counter)."""

    def __init__(self, label):
        self.label, self.counter = label.encode(), 0

    def bits(self, count):
        stream = b""
        while 8 * len(stream) < count:
            stream += hashlib.sha256(self.label + struct.pack("<Q", self.counter)).digest()
            self.counter += 1
        return int.from_bytes(stream, "big") % (1 << count)

    def below(self, bound):
        return self.bits(bound.bit_length() + 64) % bound

    def between(self, low, high):
        return low + self.below(high - low + 1)


def is_prime(number):
    for small in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37):
        if number % small == 0:
            return number == small
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    draw = Draw("miller-rabin")
    for _ in range(24):
        power = pow(2 + draw.below(number - 3), odd, number)
        if power in (1, number - 1):
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True


def draw_prime(draw, bits):
    while True:
        number = draw.bits(bits) | (3 << (bits - 2)) | 1
        if is_prime(number):
            return number


def field(data):
    return struct.pack("<Q", len(data)) + data


class Key:
    def __init__(self, p, q):
        self.p, self.q, self.n = p, q, p * q
        self.n2 = self.n * self.n
        self.bits = self.n.bit_length()
        self.phi = (p - 1) * (q - 1)
        self.name = f"k{self.bits}"
        self.h = self.root()
        self.hs = pow(self.h, self.n, self.n2)

    def root(self):
        modulus = self.n.to_bytes((self.bits + 7) // 8, "big")
        wanted = (self.bits + 128 + 7) // 8
        stream, block = b"", 0
        while len(stream) < wanted:
            stream += hashlib.sha256(field(b"blindsum/paillier-fixed-base/1") + field(modulus) +
                                     struct.pack("<Q", block)).digest()
            block += 1
        x = int.from_bytes(stream[:wanted], "big") % self.n
        return -x * x % self.n

    def random_bits(self, randomizer):
        if randomizer == "full":
            return self.bits
        if randomizer == "half":
            return self.bits // 2
        return {2048: 288, 3072: 320, 4096: 352}.get(self.bits, min(256, self.bits // 2))

    def draw_r(self, draw, randomizer):
        if randomizer == "full":
            return 1 + draw.below(self.n - 1)
        return draw.bits(self.random_bits(randomizer))

    def encrypt(self, m, randomizer, r):
        mask = pow(r, self.n, self.n2) if randomizer == "full" else pow(self.hs, r, self.n2)
        return (1 + m * self.n) * mask % self.n2

    def decrypt(self, c):
        """Paillier 1999, section 4, without the Chinese remainder theorem."""
        u = pow(c, self.phi, self.n2)
        return (u - 1) // self.n * pow(self.phi, -1, self.n) % self.n

    def draw_unit(self, draw):
        while True:
            c = 1 + draw.below(self.n2 - 1)
            if math.gcd(c, self.n) == 1:
                return c


def chacha20_words(key, block):
    """One block of ChaCha20 with 64-bit counter and zero nonce, as 16 words."""
    start = list(struct.unpack("<4I", b"expand 32-byte k") + struct.unpack("<8I", key))
    start += [block & 0xFFFFFFFF, block >> 32, 0, 0]
    x = start[:]

    def quarter(a, b, c, d):
        for add_to, add, turn, by in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            x[add_to] = (x[add_to] + x[add]) & 0xFFFFFFFF
            x[turn] ^= x[add_to]
            x[turn] = ((x[turn] << by) | (x[turn] >> (32 - by))) & 0xFFFFFFFF

    for _ in range(10):
        quarter(0, 4, 8, 12), quarter(1, 5, 9, 13), quarter(2, 6, 10, 14), quarter(3, 7, 11, 15)
        quarter(0, 5, 10, 15), quarter(1, 6, 11, 12), quarter(2, 7, 8, 13), quarter(3, 4, 9, 14)
    return [(a + b) & 0xFFFFFFFF for a, b in zip(x, start)]


def seeded_uniforms(seed, purpose, indices, count):
    """SeededRandom::uniform of shared/core: multiples of 2^-53 from a ChaCha20 stream."""
    message = field(b"blindsum/seeded-random/1") + struct.pack("<Q", seed) + field(purpose)
    key = hashlib.sha256(message + b"".join(struct.pack("<Q", i) for i in indices)).digest()
    words, block = [], 0
    while len(words) < 2 * count:
        words += chacha20_words(key, block)
        block += 1
    return [((words[2 * i] | words[2 * i + 1] << 32) >> 11) * 2.0**-53 for i in range(count)]


def quantise(reals, bits, clip, rounding, seed, party, round_):
    largest = 2**(bits - 1) - 1
    scale = largest / clip
    uniforms = seeded_uniforms(seed, b"stochastic-rounding", (party, round_), len(reals))
    values = []
    for real, uniform in zip(reals, uniforms):
        scaled = max(-clip, min(clip, real)) * scale
        if rounding == "nearest":
            rounded = round(scaled)
        else:
            rounded = math.floor(scaled) + (uniform < scaled - math.floor(scaled))
        values.append(max(-largest, min(largest, rounded)))
    return values, sum(abs(real) > clip for real in reals)


def pack(vectors, value_bits, max_addends, plaintext_bits):
    """The sum of packed vectors, as plaintexts."""
    slot_bits = value_bits + math.ceil(math.log2(max_addends)) + 2
    slots = plaintext_bits // slot_bits
    plaintexts = [0] * -(-len(vectors[0]) // slots)
    for vector in vectors:
        for i, value in enumerate(vector):
            plaintexts[i // slots] += (value + 2**(value_bits - 1)) << (i % slots * slot_bits)
    return plaintexts


def write(operation, **fields):
    def text(value):
        if isinstance(value, (list, tuple)):
            return ",".join(text(item) for item in value)
        if isinstance(value, float):
            return value.hex()
        return value if isinstance(value, str) else f"{value:x}" if value >= 0 else f"-{-value:x}"
    return " ".join([operation] + [f"{name}={text(value)}" for name, value in fields.items()])


def key_vectors(key, scale):
    draw = Draw(f"vectors {key.name}")
    edges = [0, 1, key.n - 1]
    yield write("key", key=key.name, p=key.p, q=key.q, n=key.n)
    yield write("base", key=key.name, h=key.h, hs=key.hs)
    for randomizer in ("full", "half", "short"):
        for i in range(scale):
            m = edges[i] if i < 3 else draw.below(key.n)
            r = key.draw_r(draw, randomizer)
            if i == 0:
                r = 1 if randomizer == "full" else 0
            elif i == 1:
                r = key.n - 1 if randomizer == "full" else 2**key.random_bits(randomizer) - 1
            yield write("encrypt", key=key.name, randomizer=randomizer, m=m, r=r,
                        c=key.encrypt(m, randomizer, r))
    for i in range(scale):
        a, b = key.draw_unit(draw), key.draw_unit(draw)
        m = edges[i] if i < 3 else draw.below(key.n)
        yield write("add", key=key.name, a=a, b=b, c=a * b % key.n2)
        yield write("add_plain", key=key.name, a=a, m=m, c=a * (1 + m * key.n) % key.n2)
        yield write("multiply_plain", key=key.name, a=a, m=m, c=pow(a, m, key.n2))
        yield write("negate", key=key.name, a=a, c=pow(a, -1, key.n2))
        yield write("decrypt", key=key.name, c=b, m=key.decrypt(b))
        c = key.encrypt(m, "half", key.draw_r(draw, "half"))
        yield write("decrypt", key=key.name, c=c, m=m)


def packing_vectors():
    draw = Draw("packing")
    for value_bits, max_addends, plaintext_bits in ((2, 1, 127), (8, 3, 127), (16, 10, 255), (24, 10, 511),
                                                    (24, 16, 2047), (24, 1000, 3071), (32, 7, 1023),
                                                    (60, 4, 767), (62, 1, 64), (52, 1000, 3071)):
        largest = 2**(value_bits - 1) - 1
        for addends in sorted({1, max(1, max_addends // 2), min(max_addends, 12)}):
            for count in (1, 7, 40):
                kind = draw.below(3)
                vectors = []
                for _ in range(addends):
                    vectors.append([draw.between(-largest, largest) if kind == 0 else
                                    (-largest if kind == 1 else largest) for _ in range(count)])
                if addends == 1:
                    yield write("pack", bits=value_bits, addends=max_addends, size=plaintext_bits,
                                values=vectors[0], out=pack(vectors, value_bits, max_addends, plaintext_bits))
                yield write("unpack", bits=value_bits, addends=max_addends, size=plaintext_bits,
                            count=addends, out=[sum(column) for column in zip(*vectors)],
                            plaintexts=pack(vectors, value_bits, max_addends, plaintext_bits))


def fixed_point_vectors():
    draw = Draw("fixed point")
    for bits in (2, 8, 16, 24, 32):
        for clip in (0.5, 8.0, 3.7):
            for rounding in ("nearest", "stochastic"):
                step = clip / (2**(bits - 1) - 1)
                reals = [0.0, -0.0, clip, -clip, 2 * clip, -1e300, 5e-324, step / 2, 1.5 * step, -2.5 * step]
                reals += [(draw.bits(53) * 2.0**-52 - 1) * 1.1 * clip for _ in range(20)]
                seed, party, round_ = draw.bits(64), draw.bits(10), draw.bits(16)
                values, clipped = quantise(reals, bits, clip, rounding, seed, party, round_)
                yield write("fixed", bits=bits, clip=clip, rounding=rounding, seed=seed, party=party,
                            round=round_, reals=reals, values=values, clipped=clipped)


def vectors():
    for bits in (128, 130, 192, 202, 256, 320, 384, 448, 512):
        draw = Draw(f"key {bits}")
        yield from key_vectors(Key(draw_prime(draw, bits // 2), draw_prime(draw, bits // 2)), 14)
    for primes in PUBLISHED.values():
        yield from key_vectors(Key(*(int(prime, 16) for prime in primes)), 4)
    yield from packing_vectors()
    yield from fixed_point_vectors()


def main():
    path = pathlib.Path(__file__).with_name("vectors.txt")
    text = "\n".join(vectors()) + "\n"
    if sys.argv[1:] != ["--check"]:
        path.write_text(text)
    elif path.read_text() != text:
        sys.exit(f"{path.name} is not what generate.py writes")
    print(f"{path.name}: {text.count(chr(10))} vectors, sha256 {hashlib.sha256(text.encode()).hexdigest()}")


if __name__ == "__main__":
    main()
