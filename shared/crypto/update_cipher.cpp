#include "shared/crypto/update_cipher.h"

#include <cstring>
#include <string>
#include <utility>

#include <gmp.h>

#include "shared/core/error.h"
#include "shared/core/words.h"
#include "shared/crypto/kernels/kernel.h"
#include "shared/crypto/obfuscator_pool.h"
#include "shared/crypto/public_key_impl.h"

namespace blindsum::crypto {
namespace {

constexpr Words<CipherKind, 2> kCiphers("cipher", {"paillier", "none"});

class PaillierSealer : public UpdateSealer {
 public:
  explicit PaillierSealer(ObfuscatorSource source) : obfuscators_(std::move(source)) {}

  [[nodiscard]] Bytes seal(const PlaintextVector& plaintexts) override {
    return key().serialize_ciphertexts(obfuscators_.encrypt(plaintexts));
  }
  bool prepare(std::size_t chunks) override { return obfuscators_.prepare(chunks); }
  [[nodiscard]] TableInfo table() const override { return obfuscators_.source().table(); }
  [[nodiscard]] std::size_t bytes_each() const override { return key().ciphertext_bytes(); }

 private:
  [[nodiscard]] const PublicKey& key() const { return obfuscators_.source().key(); }

  ObfuscatorPool obfuscators_;
};

class PaillierAccumulator : public UpdateAccumulator {
 public:
  explicit PaillierAccumulator(ObfuscatorSource source) : obfuscators_(std::move(source)) {}

  void reset(std::size_t chunks) override {
    product_ = key().impl().context->make_product(chunks);
    chunks_ = chunks;
    added_ = 0;
  }

  void add(ByteView payload) override {
    if (product_ == nullptr) throw CryptoError("an update before the sum was begun");
    const CiphertextVector ciphertexts = key().parse_ciphertexts(payload, chunks_);
    const std::size_t width = ciphertexts.limbs_each();
    try {
      obfuscators_.source().over_ranges(chunks_, [&](std::size_t begin, std::size_t count) {
        product_->multiply(begin, ciphertexts.limbs().subspan(begin * width, count * width), count);
      });
    } catch (...) {
      product_.reset();  // some chunks may have been multiplied (out of memory): the sum is lost
      throw;
    }
    ++added_;
  }

  [[nodiscard]] Bytes finish() override {
    if (product_ == nullptr || added_ == 0) throw CryptoError("the sum of no update");
    CiphertextVector sum(chunks_, key().ciphertext_limbs());
    obfuscators_.source().over_ranges(chunks_, [&](std::size_t begin, std::size_t count) {
      product_->read(begin, count,
                     sum.limbs().subspan(begin * sum.limbs_each(), count * sum.limbs_each()));
    });
    return key().serialize_ciphertexts(obfuscators_.rerandomize(sum));
  }

  bool prepare(std::size_t chunks) override { return obfuscators_.prepare(chunks); }

 private:
  [[nodiscard]] const PublicKey& key() const { return obfuscators_.source().key(); }

  ObfuscatorPool obfuscators_;
  std::unique_ptr<kernels::Product> product_;
  std::size_t chunks_ = 0;
  std::size_t added_ = 0;
};

Bytes bytes_of(const PlaintextVector& plaintexts) {
  Bytes payload(plaintexts.limbs().size_bytes());
  if (!payload.empty()) std::memcpy(payload.data(), plaintexts.limbs().data(), payload.size());
  return payload;
}

PlaintextVector plaintexts_of(ByteView payload, std::size_t chunks, std::size_t limbs) {
  if (payload.size() % (limbs * 8) != 0 || payload.size() / (limbs * 8) != chunks) {
    throw CryptoError(std::to_string(payload.size()) + " bytes of plaintexts, expected " +
                      std::to_string(chunks) + " of " + std::to_string(limbs * 8));
  }
  PlaintextVector plaintexts(chunks, limbs);
  if (!payload.empty()) {
    std::memcpy(plaintexts.limbs().data(), payload.data(), payload.size());
  }
  return plaintexts;
}

class PlainSealer : public UpdateSealer {
 public:
  explicit PlainSealer(std::size_t limbs) : limbs_(limbs) {}

  [[nodiscard]] Bytes seal(const PlaintextVector& plaintexts) override {
    if (plaintexts.size() > 0 && plaintexts.limbs_each() != limbs_) {
      throw CryptoError("plaintexts of " + std::to_string(plaintexts.limbs_each()) +
                        " limbs, expected " + std::to_string(limbs_));
    }
    return bytes_of(plaintexts);
  }
  bool prepare(std::size_t /*chunks*/) override { return false; }
  [[nodiscard]] TableInfo table() const override { return {}; }
  [[nodiscard]] std::size_t bytes_each() const override { return limbs_ * 8; }

 private:
  std::size_t limbs_;
};

class PlainAccumulator : public UpdateAccumulator {
 public:
  explicit PlainAccumulator(std::size_t limbs) : limbs_(limbs) {}

  void reset(std::size_t chunks) override {
    sum_ = PlaintextVector(chunks, limbs_);
    chunks_ = chunks;
    added_ = 0;
  }

  void add(ByteView payload) override {
    PlaintextVector sum = plaintexts_of(payload, chunks_, limbs_);
    for (std::size_t i = 0; i < chunks_; ++i) {
      const auto limbs = sum[i];
      if (mpn_add_n(limbs.data(), limbs.data(), std::as_const(sum_)[i].data(),
                    static_cast<mp_size_t>(limbs_)) != 0) {
        throw CryptoError("plaintext " + std::to_string(i) + " overflows the sum");
      }
    }
    sum_ = std::move(sum);
    ++added_;
  }

  [[nodiscard]] Bytes finish() override {
    if (added_ == 0) throw CryptoError("the sum of no update");
    return bytes_of(sum_);
  }

  bool prepare(std::size_t /*chunks*/) override { return false; }

 private:
  std::size_t limbs_;
  std::size_t chunks_ = 0;
  std::size_t added_ = 0;
  PlaintextVector sum_;
};

class PlainOpener : public UpdateOpener {
 public:
  explicit PlainOpener(std::size_t limbs) : limbs_(limbs) {}

  [[nodiscard]] PlaintextVector open(ByteView payload, std::size_t chunks) override {
    return plaintexts_of(payload, chunks, limbs_);
  }

 private:
  std::size_t limbs_;
};

}  // namespace

std::string_view to_string(CipherKind kind) { return kCiphers.word(kind); }

CipherKind cipher_from_string(std::string_view name) { return kCiphers.value(name); }

std::unique_ptr<UpdateSealer> make_paillier_sealer(PublicKey key, Randomizer randomizer,
                                                   ThreadPool& pool, const TableOptions& table) {
  return std::make_unique<PaillierSealer>(
      ObfuscatorSource(std::move(key), randomizer, pool, table));
}

std::unique_ptr<UpdateAccumulator> make_paillier_accumulator(PublicKey key, Randomizer randomizer,
                                                             ThreadPool& pool,
                                                             const TableOptions& table) {
  return std::make_unique<PaillierAccumulator>(
      ObfuscatorSource(std::move(key), randomizer, pool, table));
}

std::unique_ptr<UpdateSealer> make_plain_sealer(std::size_t plaintext_limbs) {
  return std::make_unique<PlainSealer>(plaintext_limbs);
}

std::unique_ptr<UpdateAccumulator> make_plain_accumulator(std::size_t plaintext_limbs) {
  return std::make_unique<PlainAccumulator>(plaintext_limbs);
}

std::unique_ptr<UpdateOpener> make_plain_opener(std::size_t plaintext_limbs) {
  return std::make_unique<PlainOpener>(plaintext_limbs);
}

}  // namespace blindsum::crypto
