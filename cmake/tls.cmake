# The TLS layer of boards (ports/tls): godwit-tls, with the full profile, godwit-tls-small, godwit-tls-tiny; on a board godwit-tls-board, with the
# crypto port on PSA as well. Each brings a Mbed TLS of its own, from scripts/fetch-sources.sh; a program links one of them. Code by others is compiled without our warnings and
# without sanitizers.

execute_process(COMMAND ${CMAKE_SOURCE_DIR}/scripts/fetch-sources.sh mbedtls
  OUTPUT_VARIABLE GW_MBEDTLS_SOURCE OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "no Mbed TLS sources")
endif()

set(tls_sources aes aesce aesni asn1parse asn1write base64 bignum bignum_core bignum_mod bignum_mod_raw block_cipher cipher cipher_wrap
  constant_time ecdh ecdsa ecp ecp_curves ecp_curves_new gcm md oid pem pk pk_ecc pk_wrap pkparse pkwrite platform platform_util
  psa_crypto psa_crypto_aead psa_crypto_cipher psa_crypto_client psa_crypto_driver_wrappers_no_static psa_crypto_ecp psa_crypto_ffdh
  psa_crypto_hash psa_crypto_mac psa_crypto_pake psa_crypto_random psa_crypto_rsa psa_crypto_slot_management psa_crypto_storage psa_util
  rsa rsa_alt_helpers sha256 sha512 ssl_ciphersuites ssl_client ssl_debug_helpers_generated ssl_msg ssl_tls ssl_tls12_client
  ssl_tls13_client ssl_tls13_generic ssl_tls13_keys x509 x509_crl x509_crt)
list(TRANSFORM tls_sources PREPEND ${GW_MBEDTLS_SOURCE}/library/)
list(TRANSFORM tls_sources APPEND .c)

function(gw_tls_library name config)
  add_library(${name}-mbedtls STATIC ${tls_sources})
  target_include_directories(${name}-mbedtls SYSTEM PUBLIC ${GW_MBEDTLS_SOURCE}/include PRIVATE ${GW_MBEDTLS_SOURCE}/library)
  target_include_directories(${name}-mbedtls PUBLIC ${CMAKE_SOURCE_DIR}/ports/tls)
  target_compile_definitions(${name}-mbedtls PUBLIC MBEDTLS_CONFIG_FILE="config/${config}")
  target_compile_options(${name}-mbedtls PRIVATE -w -ffunction-sections -fdata-sections)
  add_library(${name} STATIC ports/tls/tls.c ports/crypto/psa_random.c)
  if(GW_BOARD)
    target_sources(${name} PRIVATE ports/crypto/psa.c)
  else()
    target_compile_options(${name}-mbedtls PRIVATE -O2 -fno-sanitize=all)
  endif()
  target_include_directories(${name} PUBLIC ports/tls ports/crypto)
  target_compile_options(${name} PRIVATE ${GW_FLAGS_COMMON} -Wcast-qual -Wvla)
  target_link_libraries(${name} PUBLIC godwit-common ${name}-mbedtls)
endfunction()
if(GW_BOARD)
  gw_tls_library(godwit-tls-board tls_${GW_BOARD_TLS}_config.h)
else()
  gw_tls_library(godwit-tls tls_full_config.h)
  gw_tls_library(godwit-tls-small tls_small_config.h)
  gw_tls_library(godwit-tls-tiny tls_tiny_config.h)
endif()
