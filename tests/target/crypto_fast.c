/* crypto_fast.c - the stand-ins of fastcrypto.h, for programs that would use OpenSSL on a PC. See keys_target.h. */
#include "fastcrypto.h"
#include "keys_target.h"

const struct gwh_crypto *gwh_openssl(void)
{
    return &fastcrypto_host;
}
