// Carrying out the verbs of 'blindsum crypt'.
#pragma once

#include "party/key_holder/crypt_options.h"

namespace blindsum::key_holder {

// run_crypt returns 0, or throws ConfigError for a number or an option, KeyError for a key,
// DataError for an encrypted number, CryptoError for a result that overflowed. Notes go to standard
// error.
int run_crypt(const CryptCommand& command);

}  // namespace blindsum::key_holder
