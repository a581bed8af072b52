/*
 * net.c - see net.h. The driver side of lwIP (NO_SYS): what lwIP asks of a port is here.
 */
#include "net.h"

#include <string.h>

#include <lwip/dhcp.h>
#include <lwip/dns.h>
#include <lwip/etharp.h>
#include <lwip/init.h>
#include <lwip/netif.h>
#include <lwip/stats.h>
#include <lwip/sys.h>
#include <lwip/timeouts.h>

#define STEP_MAX 1000u /* ms: longest time between two looks at the timers */

static const struct gwl_net_config *net;
static struct netif card;

/* ---- What lwIP asks for ----------------------------------------------------------------------------------------- */

unsigned gwl_random(void)
{
    return net->random(net->ctx);
}

u32_t sys_now(void) /* declared in sys.h */
{
    return net->now_ms(net->ctx);
}

static err_t put(struct netif *n, struct pbuf *p)
{
    uint8_t *frame = p->tot_len <= GWL_FRAME_MAX ? net->frame(net->ctx) : NULL;

    (void)n;
    if (frame == NULL) {
        return ERR_MEM; /* lost: TCP sends again */
    }
    net->send(net->ctx, frame, pbuf_copy_partial(p, frame, p->tot_len, 0));
    return ERR_OK;
}

static err_t set_up(struct netif *n)
{
    n->name[0] = 'e';
    n->name[1] = 'n';
    n->output = etharp_output;
    n->linkoutput = put;
    n->mtu = 1500;
    n->hwaddr_len = 6;
    memcpy(n->hwaddr, net->mac, 6);
    n->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_LINK_UP;
    return ERR_OK;
}

/* ---- Life ------------------------------------------------------------------------------------------------------- */

static ip4_addr_t to_lwip(uint32_t address)
{
    ip4_addr_t a = { lwip_htonl(address) };
    return a;
}

int gwl_net_start(const struct gwl_net_config *config)
{
    ip4_addr_t address = to_lwip(config->address), mask = to_lwip(config->mask), gateway = to_lwip(config->gateway);

    if (net != NULL || config->frame == NULL || config->send == NULL || config->random == NULL ||
        config->now_ms == NULL) {
        return GW_ERR_CONFIG;
    }
    net = config;
    lwip_init();
    if (netif_add(&card, &address, &mask, &gateway, NULL, set_up, netif_input) == NULL) {
        return GW_ERR_CONFIG;
    }
    netif_set_default(&card);
    netif_set_up(&card);
    if (config->name_server != 0) {
        ip_addr_t server = IPADDR4_INIT(lwip_htonl(config->name_server));
        dns_setserver(0, &server);
    }
    return config->address == 0 && dhcp_start(&card) != ERR_OK ? GW_ERR_CONFIG : GW_OK;
}

void gwl_net_receive(const uint8_t *frame, uint32_t n)
{
    struct pbuf *p = n <= GWL_FRAME_MAX + 4 ? pbuf_alloc(PBUF_RAW, (u16_t)n, PBUF_POOL) : NULL;

    if (p != NULL && (pbuf_take(p, frame, (u16_t)n) != ERR_OK || card.input(p, &card) != ERR_OK)) {
        pbuf_free(p);
    }
}

uint32_t gwl_net_step(void)
{
    sys_check_timeouts();
    uint32_t wait = sys_timeouts_sleeptime();
    return wait < STEP_MAX ? wait : STEP_MAX;
}

uint32_t gwl_net_address(void)
{
    return net == NULL ? 0 : lwip_ntohl(netif_ip4_addr(&card)->addr);
}

void gwl_net_peak(struct gwl_net_peak *peak)
{
    *peak = (struct gwl_net_peak){
        .heap = lwip_stats.mem.max,
        .heap_size = MEM_SIZE,
        .pbufs = lwip_stats.memp[MEMP_PBUF_POOL]->max,
        .pbuf_count = PBUF_POOL_SIZE,
        .refused = lwip_stats.mem.err,
    };
    for (unsigned i = 0; i < MEMP_MAX; i++) {
        peak->refused += lwip_stats.memp[i]->err;
    }
}
