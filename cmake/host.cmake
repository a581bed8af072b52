# What is built for PCs only: host library, crypto port, simulated device, command line, tests, fuzz targets, benchmarks.

find_package(OpenSSL 3.0 REQUIRED COMPONENTS Crypto SSL)
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_library(DIVSUFSORT divsufsort REQUIRED)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl>=7.87)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3>=3.40)
pkg_check_modules(EVENT REQUIRED IMPORTED_TARGET libevent libevent_openssl)
pkg_check_modules(INIH REQUIRED IMPORTED_TARGET inih)
pkg_check_modules(MOSQUITTO REQUIRED IMPORTED_TARGET libmosquitto)
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)

gw_library(godwit-crypto-openssl GLOB ports/crypto/openssl.c LINK godwit OpenSSL::Crypto)
target_include_directories(godwit-crypto-openssl ${GW_SCOPE_godwit-crypto-openssl} ports/crypto)

# Host code reads lib's internal CBOR and COSE interfaces (lib/src): one encoder and one decoder for both sides.
gw_library(godwit-host GLOB host/*.c LINK godwit godwit-common godwit-crypto-openssl Threads::Threads ${DIVSUFSORT} OpenSSL::Crypto
  PkgConfig::JANSSON PkgConfig::CURL PkgConfig::MOSQUITTO OpenSSL::SSL)
target_include_directories(godwit-host ${GW_SCOPE_godwit-host} . host lib/src)

include(cmake/tls.cmake)

# MQTT for boards (ports/lwip) on a PC: with lwIP's pools, as on a board; and for tests that look for faults of memory, with malloc.
include(cmake/lwip.cmake)
gw_lwip_library(lwip)
gw_lwip_library(lwip-malloc)
target_compile_definitions(lwip-malloc PUBLIC MEMP_MEM_MALLOC=1)
target_compile_options(lwip-malloc PRIVATE -include ${CMAKE_SOURCE_DIR}/tests/support/lwipmem.h)
foreach(lwip lwip lwip-malloc)
  gw_library(godwit-${lwip} GLOB ports/lwip/mqtt.c ports/lwip/altcp_secure.c LINK godwit-common ${lwip})
endforeach()

gw_library(godwit-posix GLOB ports/posix/*.c EXCLUDE "_main\\.c$" LINK godwit-host godwit-boot-main godwit-tls
  PkgConfig::CURL OpenSSL::SSL)
target_include_directories(godwit-posix ${GW_SCOPE_godwit-posix} ports/posix)

file(GLOB cli CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR} cli/*.c)
gw_program(godwit-cli SOURCES ${cli} LINK godwit-server godwit-posix godwit-host)
if(TARGET godwit-cli)
  set_target_properties(godwit-cli PROPERTIES OUTPUT_NAME godwit)
endif()
gw_program(godwit-device SOURCES ports/posix/device_main.c LINK godwit-posix)
gw_program(godwit-boot SOURCES ports/posix/boot_main.c LINK godwit-posix)

# The distribution server: all but its main.
if(EXISTS ${CMAKE_SOURCE_DIR}/server/mqtt.c)
  set(GW_NO_MQTT mqtt_none)
else()
  set(GW_NO_MQTT mqtt)
endif()
gw_library(godwit-server GLOB server/*.c EXCLUDE "/(main|${GW_NO_MQTT})\\.c$" LINK godwit-posix godwit-host PkgConfig::SQLITE
  PkgConfig::EVENT PkgConfig::INIH PkgConfig::MOSQUITTO OpenSSL::SSL Threads::Threads)
target_include_directories(godwit-server ${GW_SCOPE_godwit-server} server)
gw_program(godwitd SOURCES server/main.c LINK godwit-server)

# ---- tests: each tests/unit/test_x.c is one cmocka program build/<preset>/tests/test_x --------------------------
gw_library(godwit-testing GLOB tests/support/*.c tests/flashsim/*.c LINK godwit-server godwit-posix godwit-host PkgConfig::CMOCKA)
target_include_directories(godwit-testing ${GW_SCOPE_godwit-testing} tests tests/support tests/flashsim)

file(GLOB units CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR} tests/unit/test_*.c)
foreach(unit ${units})
  get_filename_component(name ${unit} NAME_WE)
  gw_program(${name} SOURCES ${unit} LINK godwit-testing DIR tests)
  target_compile_definitions(${name} PRIVATE GW_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
endforeach()

# lwIP's MQTT client with a broker that the test is.
foreach(unit test_mqtt_lwip test_altcp_secure)
  target_link_libraries(${unit} PRIVATE godwit-lwip-malloc)
endforeach()

# What a board does, with each profile of TLS: tests/tls/run.py. Each program links one of them.
foreach(profile full small tiny)
  gw_program(tls-fetch-${profile} SOURCES tests/tls/fetch_main.c ports/posix/posix_socket.c DIR tests
    LINK $<IF:$<STREQUAL:${profile},full>,godwit-tls,godwit-tls-${profile}>)
  target_include_directories(tls-fetch-${profile} PRIVATE ports/posix)
endforeach()

# The same with a broker, over lwIP's client: tests/lwip/run.py.
gw_program(lwip-mqtt SOURCES tests/lwip/mqtt_main.c ports/posix/posix_socket.c DIR tests LINK godwit-lwip godwit-tls-small godwit-crypto-openssl)
target_include_directories(lwip-mqtt PRIVATE ports/posix)

gw_program(kat-openssl SOURCES tests/crypto/kat.c tests/crypto/kat_openssl.c LINK godwit-testing DIR tests)

# Doors with toy routes instead of the server's: tests/server-http/run.py, bench/server/run.py.
gw_program(toy-server SOURCES tests/server-http/toy.c LINK godwit-server DIR tests)

gw_program(curl-transport SOURCES tests/curl/curl_main.c LINK godwit-posix DIR tests)

file(GLOB powercut CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR} tests/powercut/*.c)
gw_program(powercut SOURCES ${powercut} LINK godwit-testing)

# ---- fuzz targets: with a driver that reads files or stdin, and with libFuzzer --------------------------------
file(GLOB fuzzers CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR} fuzz/fuzz_*.c)
foreach(fuzzer ${fuzzers})
  get_filename_component(name ${fuzzer} NAME_WE)
  if(GW_LIBFUZZER)
    gw_program(${name} SOURCES ${fuzzer} LINK godwit-testing -fsanitize=fuzzer DIR fuzz)
  else()
    gw_program(${name} SOURCES ${fuzzer} fuzz/driver.c LINK godwit-testing DIR fuzz)
  endif()
endforeach()
target_link_libraries(fuzz_mqtt PRIVATE godwit-lwip-malloc)

file(GLOB benches CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR} bench/bench_*.c)
foreach(bench ${benches})
  get_filename_component(name ${bench} NAME_WE)
  gw_program(${name} SOURCES ${bench} LINK godwit-testing DIR bench)
endforeach()

# The other examples are for boards.
gw_library(godwit-examples STRICT GLOB examples/minimal/*.c LINK godwit)
gw_library(godwit-example-agent STRICT GLOB examples/agent/*.c LINK godwit)

# Boards that `godwit device provision --board NAME` knows: ../share/godwit/boards beside the programs.
file(GLOB boards CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR} ports/*/board.json)
foreach(board ${boards})
  get_filename_component(name ${board} DIRECTORY)
  get_filename_component(name ${name} NAME)
  configure_file(${board} ${CMAKE_BINARY_DIR}/share/godwit/boards/${name}.board.json COPYONLY)
endforeach()

gw_program(patch_decode SOURCES bench/patch/decode.c LINK godwit-host DIR bench)
gw_program(bench-reports SOURCES bench/server/reports.c LINK godwit-server DIR bench)
gw_program(server-load SOURCES tests/server-kill/load_main.c LINK godwit-server DIR tests)
gw_program(agents SOURCES bench/agent/agents.c LINK godwit-posix DIR bench)
gw_program(server-client SOURCES bench/server/client.c LINK OpenSSL::SSL Threads::Threads DIR bench)
target_compile_definitions(server-client PRIVATE _GNU_SOURCE)
gw_program(server-fleet SOURCES bench/server/fleet.c bench/server/crowd.c LINK godwit-host OpenSSL::SSL DIR bench)
target_compile_definitions(server-fleet PRIVATE _GNU_SOURCE)
