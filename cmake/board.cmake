# Firmware for a board: bootloader and example images, as ELF and as raw binaries in build/<preset>/. One port so far: qemu-rv32.
# Mbed TLS comes from scripts/fetch-sources.sh; cmake/mbedtls.cmake has the list of its files, and the crypto ports on it.

set(GW_PORT ${CMAKE_SOURCE_DIR}/ports/${GW_BOARD})
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(GW_BOARD_TLS tiny CACHE STRING "Profile of TLS, ports/tls/config: tiny, small, full")
if(NOT GW_BOARD_TLS STREQUAL "tiny")
  add_compile_definitions(GW_SHA256_STATE=256u) # PSA's hash holds SHA-512 then
endif()
# Images that go online are optimized as a whole when they are linked (LTO), which makes them 7 % smaller; the others, the bootloader
# first of all, are linked from the same objects without it.
add_compile_options($<$<COMPILE_LANGUAGE:C>:-flto> $<$<COMPILE_LANGUAGE:C>:-ffat-lto-objects>)

# gw_firmware(name [LTO] LD script LINK library... SOURCES file...): name.elf and name.bin.
function(gw_firmware name)
  cmake_parse_arguments(A "LTO" "LD" "SOURCES;LINK;DEFINE" ${ARGN})
  add_executable(${name} ${GW_PORT}/start.S ${A_SOURCES})
  set_target_properties(${name} PROPERTIES SUFFIX .elf LINK_DEPENDS ${A_LD} RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
  target_compile_definitions(${name} PRIVATE ${A_DEFINE})
  target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:C>:${GW_FLAGS_STRICT}>)
  target_link_libraries(${name} PRIVATE ${A_LINK} gcc)
  if(A_LTO)
    target_link_options(${name} PRIVATE -flto -flto-partition=one)
  else()
    target_link_options(${name} PRIVATE -fno-lto)
  endif()
  target_link_options(${name} PRIVATE -nostartfiles -T${A_LD} -Wl,--gc-sections -Wl,--no-warn-rwx-segments -Wl,-Map=${CMAKE_BINARY_DIR}/${name}.map)
  add_custom_command(TARGET ${name} POST_BUILD
    COMMAND ${CMAKE_OBJCOPY} -O binary $<TARGET_FILE:${name}> ${CMAKE_BINARY_DIR}/${name}.bin)
endfunction()

gw_library(godwit-board STRICT GLOB ports/${GW_BOARD}/*.c ports/${GW_BOARD}/virtio/*.c EXCLUDE "boot_main\\.c$" LINK godwit)
target_include_directories(godwit-board PUBLIC ${GW_PORT})
# The flash driver runs from RAM while flash is busy: no calls to the compiler's shared prologues, which lie in flash.
set_source_files_properties(${GW_PORT}/flash.c PROPERTIES COMPILE_OPTIONS -mno-save-restore)

gw_firmware(boot LD ${GW_PORT}/boot.ld DEFINE BOOTLOADER SOURCES ${GW_PORT}/boot_main.c
  LINK godwit-boot-main godwit-board godwit-crypto-mbedtls-boot)
gw_firmware(selftest LD ${GW_PORT}/app.ld SOURCES tests/board/selftest.c
  LINK godwit-board godwit-boot-main godwit-crypto-psa godwit-crypto-mbedtls-boot)
gw_firmware(started LD ${GW_PORT}/app.ld SOURCES tests/board/started.c LINK godwit-board godwit-boot-main)

# The network: lwIP with what ports/lwip puts around it, and TLS with a Mbed TLS that serves the crypto port too.
include(${CMAKE_SOURCE_DIR}/cmake/lwip.cmake)
include(${CMAKE_SOURCE_DIR}/cmake/tls.cmake)
gw_lwip_library(lwip)
gw_library(godwit-lwip GLOB ports/lwip/*.c LINK godwit-common lwip)
target_include_directories(godwit-lwip PUBLIC ports/lwip)

# Examples. A version of the sensor: its name, and the files that make it differ (examples/sensor/README.md).
file(GLOB GW_EXAMPLE_COMMON CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/examples/common/*.c)
function(gw_example name)
  cmake_parse_arguments(A "" "" "SOURCES;DEFINE" ${ARGN})
  gw_firmware(${name} LTO LD ${GW_PORT}/app.ld SOURCES ${A_SOURCES} ${GW_EXAMPLE_COMMON} DEFINE ${A_DEFINE}
    LINK godwit-lwip godwit-common godwit-board godwit-boot-main godwit-tls-board)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/examples/common)
endfunction()
function(gw_sensor version)
  list(PREPEND ARGN main.c reading.c samples.c)
  list(TRANSFORM ARGN PREPEND ${CMAKE_SOURCE_DIR}/examples/sensor/ OUTPUT_VARIABLE sources)
  gw_example(sensor-${version} DEFINE SENSOR_VERSION="${version}" SOURCES ${sources})
endfunction()
gw_sensor(1.0 text_1_0.c no_stats.c well.c)
gw_sensor(1.1 text.c no_stats.c well.c)
gw_sensor(2.0 text.c stats.c well.c)
gw_sensor(crashes text.c no_stats.c crashes.c)
gw_sensor(hangs text.c no_stats.c hangs.c)
gw_sensor(scribbles text.c no_stats.c scribbles.c)
gw_sensor(never-confirms text.c no_stats.c never_confirms.c)
gw_example(recovery SOURCES ${CMAKE_SOURCE_DIR}/examples/recovery/main.c)
