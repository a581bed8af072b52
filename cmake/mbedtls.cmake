# Known answers over the two Mbed TLS ports (kat-psa, kat-mbedtls-boot), each with a library of its own, built from the sources that
# scripts/fetch-sources.sh provides. GW_CMOCKA is the library to link, GW_KAT_START the start file if there is no system. The distribution's 2.28 is never seen: headers come from the fetched tree alone.

execute_process(COMMAND ${CMAKE_SOURCE_DIR}/scripts/fetch-sources.sh mbedtls
  OUTPUT_VARIABLE GW_MBEDTLS_SOURCE OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "no Mbed TLS sources")
endif()

# A library from Mbed TLS sources with a config of ours, and one of our ports on it.
function(gw_mbedtls_port name config)
  cmake_parse_arguments(A "" "" "PORT;SOURCES;INCLUDE" ${ARGN})
  list(TRANSFORM A_SOURCES PREPEND ${GW_MBEDTLS_SOURCE}/)
  add_library(${name}-mbedtls STATIC ${A_SOURCES})
  target_include_directories(${name}-mbedtls SYSTEM PUBLIC ${GW_MBEDTLS_SOURCE}/include PRIVATE ${GW_MBEDTLS_SOURCE}/library ${A_INCLUDE})
  target_include_directories(${name}-mbedtls PUBLIC ${CMAKE_SOURCE_DIR}/ports/crypto)
  target_compile_definitions(${name}-mbedtls PRIVATE MBEDTLS_CONFIG_FILE="config/${config}")
  target_compile_options(${name}-mbedtls PRIVATE -ffunction-sections -fdata-sections)
  add_library(godwit-crypto-${name} STATIC ${A_PORT})
  target_include_directories(godwit-crypto-${name} SYSTEM PRIVATE ${A_INCLUDE})
  target_compile_definitions(godwit-crypto-${name} PRIVATE MBEDTLS_CONFIG_FILE="config/${config}")
  target_compile_options(godwit-crypto-${name} PRIVATE ${GW_FLAGS_COMMON})
  target_link_libraries(godwit-crypto-${name} PUBLIC ${name}-mbedtls godwit)
endfunction()

gw_mbedtls_port(psa psa_config.h
  PORT ports/crypto/psa.c ports/crypto/psa_random.c
  SOURCES
    library/aes.c library/aesce.c library/aesni.c library/asn1parse.c library/asn1write.c library/bignum.c library/bignum_core.c
    library/bignum_mod.c library/bignum_mod_raw.c library/block_cipher.c library/cipher.c library/cipher_wrap.c
    library/constant_time.c library/ecdh.c library/ecdsa.c library/ecp.c library/ecp_curves.c library/ecp_curves_new.c
    library/md.c library/oid.c library/pk.c library/pk_ecc.c library/pk_wrap.c library/pkparse.c library/pkwrite.c
    library/platform.c library/platform_util.c library/psa_crypto.c library/psa_crypto_aead.c library/psa_crypto_cipher.c
    library/psa_crypto_client.c library/psa_crypto_driver_wrappers_no_static.c library/psa_crypto_ecp.c
    library/psa_crypto_ffdh.c library/psa_crypto_hash.c library/psa_crypto_mac.c library/psa_crypto_pake.c
    library/psa_crypto_random.c library/psa_crypto_rsa.c library/psa_crypto_slot_management.c library/psa_crypto_storage.c
    library/psa_util.c library/rsa.c library/rsa_alt_helpers.c library/sha256.c)

gw_mbedtls_port(mbedtls-boot mbedtls_boot_config.h
  PORT ports/crypto/mbedtls_boot.c
  SOURCES library/sha256.c library/platform_util.c 3rdparty/p256-m/p256-m/p256-m.c
  INCLUDE ${GW_MBEDTLS_SOURCE}/3rdparty/p256-m/p256-m)

if(GW_BOARD)
  return()
endif()
foreach(port psa mbedtls-boot)
  string(REPLACE "-" "_" file ${port})
  gw_program(kat-${port} SOURCES tests/crypto/kat.c tests/crypto/kat_${file}.c ${GW_KAT_START} DIR tests
    LINK godwit-crypto-${port} ${GW_CMOCKA} -Wl,--gc-sections)
endforeach()
