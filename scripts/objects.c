/*
 * objects.c - one array for each public object, as large as it: scripts/size.py reads their sizes from the symbol
 * table.
 */
#include "godwit/agent.h"
#include "courier.h"
#include "fetch.h"
#include "godwit/install.h"

#define OBJECT(name)                                                                                                   \
    extern const char size_of_##name[sizeof(struct name)];                                                             \
    const char size_of_##name[sizeof(struct name)] = {0}

OBJECT(gw_sha256);
OBJECT(gw_device);
OBJECT(gw_journal);
OBJECT(gw_boot_state);
OBJECT(gw_decision);
OBJECT(gw_manifest);
OBJECT(gw_trust);
OBJECT(gw_identity);
OBJECT(gw_head);
OBJECT(gw_offer);
OBJECT(gw_plan);
OBJECT(gw_facts);
OBJECT(gw_install);
OBJECT(gw_install_config);
OBJECT(gw_agent);
OBJECT(gw_agent_config);
OBJECT(gwc_http);
OBJECT(gwc_fetch);
OBJECT(gwc_courier);

#define CONSTANT(name)                                                                                                 \
    extern const char size_of_##name[name];                                                                            \
    const char size_of_##name[name] = {0}
CONSTANT(GW_INSTALL_BUFFER);
CONSTANT(GW_MANIFEST_MAX);
CONSTANT(GW_OFFER_BUFFER);
CONSTANT(GW_VERIFY_MEMORY);
