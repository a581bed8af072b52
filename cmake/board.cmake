# Firmware for a board: bootloader and example images, as ELF and as raw binaries in build/<preset>/. One port so far: qemu-rv32.
# Mbed TLS comes from scripts/fetch-sources.sh; cmake/mbedtls.cmake has the list of its files, and the crypto ports on it.

set(GW_PORT ${CMAKE_SOURCE_DIR}/ports/${GW_BOARD})
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# gw_firmware(name LD script LINK library... SOURCES file...): name.elf and name.bin.
function(gw_firmware name)
  cmake_parse_arguments(A "" "LD" "SOURCES;LINK;DEFINE" ${ARGN})
  add_executable(${name} ${GW_PORT}/start.S ${A_SOURCES})
  set_target_properties(${name} PROPERTIES SUFFIX .elf LINK_DEPENDS ${A_LD} RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
  target_compile_definitions(${name} PRIVATE ${A_DEFINE})
  target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:C>:${GW_FLAGS_STRICT}>)
  target_link_libraries(${name} PRIVATE ${A_LINK} gcc)
  target_link_options(${name} PRIVATE -nostartfiles -T${A_LD} -Wl,--gc-sections -Wl,--no-warn-rwx-segments -Wl,-Map=${CMAKE_BINARY_DIR}/${name}.map)
  add_custom_command(TARGET ${name} POST_BUILD
    COMMAND ${CMAKE_OBJCOPY} -O binary $<TARGET_FILE:${name}> ${CMAKE_BINARY_DIR}/${name}.bin)
endfunction()

gw_library(godwit-board STRICT GLOB ports/${GW_BOARD}/*.c EXCLUDE "boot_main\\.c$" LINK godwit)
target_include_directories(godwit-board PUBLIC ${GW_PORT})
# The flash driver runs from RAM while flash is busy: no calls to the compiler's shared prologues, which lie in flash.
set_source_files_properties(${GW_PORT}/flash.c PROPERTIES COMPILE_OPTIONS -mno-save-restore)

gw_firmware(boot LD ${GW_PORT}/boot.ld DEFINE BOOTLOADER SOURCES ${GW_PORT}/boot_main.c
  LINK godwit-boot-main godwit-board godwit-crypto-mbedtls-boot)
gw_firmware(selftest LD ${GW_PORT}/app.ld SOURCES tests/board/selftest.c
  LINK godwit-board godwit-boot-main godwit-crypto-psa godwit-crypto-mbedtls-boot)
gw_firmware(started LD ${GW_PORT}/app.ld SOURCES tests/board/started.c LINK godwit-board godwit-boot-main)
