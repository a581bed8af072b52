/*
 * lwipopts.h - lwIP 2.2 as Godwit uses it: no operating system, the raw API, IPv4, TCP with a window of four segments,
 * DHCP and DNS, its MQTT client over a TLS layer of ours (altcp_secure.c). Sizes are a board's; tests on a PC use the
 * same.
 */
#ifndef LWIPOPTS_H
#define LWIPOPTS_H

#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0 /* interrupts never call lwIP */
#define LWIP_SOCKET 0
#define LWIP_NETCONN 0

#define LWIP_IPV4 1
#define LWIP_IPV6 0
#define IP_REASSEMBLY 0
#define IP_FRAG 0
#define LWIP_ICMP 1
#define LWIP_IGMP 0
#define LWIP_RAW 0
#define LWIP_UDP 1
#define LWIP_DHCP 1
#define LWIP_DHCP_DOES_ACD_CHECK 0
#define LWIP_ACD 0
#define LWIP_DNS 1
#define DNS_TABLE_SIZE 2
#define LWIP_DNS_SECURE                                                                                                \
    (LWIP_DNS_SECURE_RAND_XID | LWIP_DNS_SECURE_RAND_SRC_PORT | LWIP_DNS_SECURE_NO_MULTIPLE_OUTSTANDING)

#define LWIP_TCP 1
#define TCP_MSS 1460
#define TCP_WND (4 * TCP_MSS)
#define TCP_SND_BUF (2 * TCP_MSS)
#define TCP_SND_QUEUELEN 8
#define MEMP_NUM_TCP_SEG 16
#define MEMP_NUM_TCP_PCB 5 /* HTTPS, the broker, and what is still closing */
#define MEMP_NUM_TCP_PCB_LISTEN 1
#define TCP_LISTEN_BACKLOG 0
#define TCP_QUEUE_OOSEQ 1
#define TCP_OOSEQ_MAX_PBUFS 6 /* the rest of the pool stays for what is in order */
#define LWIP_TCP_KEEPALIVE 0

#define MEM_LIBC_MALLOC 0
#define MEM_ALIGNMENT __SIZEOF_POINTER__
#define MEM_SIZE 10240
#define MEMP_NUM_UDP_PCB 3
#define MEMP_NUM_PBUF 8
#define PBUF_POOL_SIZE 12
#define PBUF_POOL_BUFSIZE 1536
#define LWIP_NETIF_TX_SINGLE_PBUF 0
#define LWIP_ARP 1
#define ARP_TABLE_SIZE 4
#define ETH_PAD_SIZE 0

#define LWIP_ALTCP 1
#define LWIP_ALTCP_TLS 1
#define LWIP_ALTCP_TLS_MBEDTLS 0 /* ours instead */

/* Longest topic: "godwit/" 48 "/report"; longest message out: a report of 512 bytes. Checked in mqtt.c. */
#define MQTT_OUTPUT_RINGBUF_SIZE 768
#define MQTT_VAR_HEADER_BUFFER_LEN 136
#define MQTT_REQ_MAX_IN_FLIGHT 4
#define MQTT_CYCLIC_TIMER_INTERVAL 5
#define MEMP_NUM_SYS_TIMEOUT (LWIP_NUM_SYS_TIMEOUT_INTERNAL + 1) /* and its MQTT client's */
#define MEMP_NUM_ALTCP_PCB 1

#define LWIP_STATS 1 /* high-water marks of memory, for people; nothing else */
#define LWIP_STATS_DISPLAY 0
#define MEM_STATS 1
#define MEMP_STATS 1
#define SYS_STATS 0
#define LINK_STATS 0
#define ETHARP_STATS 0
#define IP_STATS 0
#define ICMP_STATS 0
#define UDP_STATS 0
#define TCP_STATS 0

#define LWIP_CHKSUM_ALGORITHM 3
#define LWIP_NETIF_HOSTNAME 0
#define LWIP_NETIF_STATUS_CALLBACK 0
#define LWIP_NETIF_LINK_CALLBACK 0
#define LWIP_NETIF_API 0

unsigned gwl_random(void); /* net.c: sequence numbers, ports, DNS ids */
#define LWIP_RAND() gwl_random()

#endif
