# lwIP 2.2 as ports/lwip configures it, from scripts/fetch-sources.sh; boards and tests on a PC use the same files.
# gw_lwip_library(name): lwIP's part as a library; ports/lwip itself is the caller's.

execute_process(COMMAND ${CMAKE_SOURCE_DIR}/scripts/fetch-sources.sh lwip
  OUTPUT_VARIABLE GW_LWIP_SOURCE OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "no lwIP sources")
endif()

set(lwip_sources core/init core/def core/dns core/inet_chksum core/ip core/mem core/memp core/netif core/pbuf core/stats core/altcp
  core/altcp_alloc core/altcp_tcp core/tcp core/tcp_in core/tcp_out core/timeouts core/udp core/ipv4/dhcp core/ipv4/etharp core/ipv4/icmp
  core/ipv4/ip4 core/ipv4/ip4_addr core/ipv4/acd netif/ethernet apps/mqtt/mqtt)
list(TRANSFORM lwip_sources PREPEND ${GW_LWIP_SOURCE}/src/)
list(TRANSFORM lwip_sources APPEND .c)

function(gw_lwip_library name)
  add_library(${name} STATIC ${lwip_sources})
  target_include_directories(${name} SYSTEM PUBLIC ${GW_LWIP_SOURCE}/src/include)
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR}/ports/lwip)
  target_compile_options(${name} PRIVATE -w -ffunction-sections -fdata-sections)
endfunction()
