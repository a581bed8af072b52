# Tests that run under emulation, without an operating system (presets target-rv32, target-cortex-m): see tests/target/README.md.
# tests/target/plan.txt says which cryptography each unit test is linked with, and which tests are left out, and why.

set(target_dir tests/target)
if(CMAKE_SYSTEM_PROCESSOR STREQUAL riscv32)
  # picolibc's start file and linker script, on the virt board: code in the first 4 MB of its RAM.
  set(target_start "")
  set(target_link --crt0=semihost --oslib=semihost -Wl,--defsym=__flash=0x80000000 -Wl,--defsym=__flash_size=4M
    -Wl,--defsym=__ram=0x80400000 -Wl,--defsym=__ram_size=60M -Wl,--defsym=__stack_size=512K)
else()
  set(target_start ${target_dir}/start_cortex_m.c)
  set(target_link --specs=rdimon.specs -nostartfiles -T${CMAKE_SOURCE_DIR}/${target_dir}/cortex_m.ld)
endif()

add_library(target-cmocka STATIC ${target_dir}/cmocka.c ${target_dir}/random.c)
target_include_directories(target-cmocka PUBLIC ${target_dir})
target_link_options(target-cmocka PUBLIC ${target_link} -Wl,--gc-sections)
set(GW_CMOCKA target-cmocka)
set(GW_KAT_START ${target_start})
include(cmake/mbedtls.cmake)

gw_library(target-testing GLOB tests/support/*.c tests/flashsim/*.c host/encode.c host/encode_cose.c EXCLUDE "(faultvfs|serverdb)\\.c$" LINK godwit-boot-main godwit-common target-cmocka)
target_include_directories(target-testing PUBLIC . host lib/src tests tests/support tests/flashsim)

set(target_fast ${target_dir}/crypto_fast.c ${target_dir}/keys_fast.c)
set(target_mixed ${target_dir}/crypto_psa.c ${target_dir}/keys_fast.c)
set(target_real ${target_dir}/crypto_psa.c ${target_dir}/keys_psa.c)

# gw_target_program(name kind source...): kind is fast, mixed or real.
function(gw_target_program name kind)
  set(link target-testing)
  set(config "")
  if(NOT kind STREQUAL fast)
    list(APPEND link godwit-crypto-psa)
    set(config MBEDTLS_CONFIG_FILE="config/psa_config.h")
  endif()
  gw_program(${name} SOURCES ${ARGN} ${target_${kind}} ${target_start} LINK ${link} DIR tests)
  target_compile_definitions(${name} PRIVATE GW_SOURCE_DIR="${CMAKE_SOURCE_DIR}" ${config})
endfunction()

file(STRINGS ${target_dir}/plan.txt plan REGEX "^test_")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${target_dir}/plan.txt)
file(GLOB units CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR} tests/unit/test_*.c)
foreach(unit ${units})
  get_filename_component(name ${unit} NAME_WE)
  set(kind "")
  foreach(line ${plan})
    if(line MATCHES "^${name} +([a-z]+)")
      set(kind ${CMAKE_MATCH_1})
    endif()
  endforeach()
  if(NOT kind)
    message(FATAL_ERROR "tests/target/plan.txt does not say what is to be done with ${name}")
  endif()
  if(NOT kind STREQUAL out)
    gw_target_program(${name} ${kind} ${unit})
  endif()
endforeach()

gw_target_program(powercut fast ${target_dir}/powercut.c tests/powercut/run.c tests/powercut/cuts.c tests/powercut/scenarios.c tests/powercut/agent.c)

if(CMAKE_SYSTEM_PROCESSOR STREQUAL riscv32) # what it costs: scripts/measure.py
  gw_mbedtls_port(ecp ecp_config.h
    PORT tests/target/measure_ecp.c
    SOURCES library/asn1parse.c library/asn1write.c library/bignum.c library/bignum_core.c library/constant_time.c library/ecdsa.c
      library/ecp.c library/ecp_curves.c library/platform_util.c library/sha256.c)
  target_include_directories(ecp-mbedtls PUBLIC ${target_dir})
  foreach(port psa mbedtls-boot ecp)
    string(REPLACE "-" "_" file ${port})
    gw_program(measure-${port} SOURCES ${target_dir}/measure.c ${target_dir}/measure_${file}.c DIR measure
      LINK godwit-crypto-${port} target-cmocka -Wl,-Map=${CMAKE_BINARY_DIR}/measure/${port}.map)
    target_include_directories(measure-${port} PRIVATE tests)
  endforeach()
endif()
