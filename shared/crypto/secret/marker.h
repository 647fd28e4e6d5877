// How to tell from a program's file that it contains secret arithmetic.
#pragma once

namespace blindsum::crypto {

// kSecretMarker is in the data of every program that any source of crypto_secret was linked into,
// stripped or not, whether or not it is used: both headers that these sources share include it.
[[gnu::used, gnu::retain]] inline constexpr char kSecretMarker[] =
    "blindsum: this program contains arithmetic on the secret key 7d1f0a94c26b";

}  // namespace blindsum::crypto
