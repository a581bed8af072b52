/*
 * uuid.h - vendor and class ids: UUIDv5 (RFC 9562), as SPEC.md section 1 says.
 */
#ifndef GWH_UUID_H
#define GWH_UUID_H

#include "godwit/godwit.h"

/* UUIDv5(DNS namespace, domain). */
GW_MUST_USE int gwh_uuid_vendor(const char *domain, uint8_t vendor[16]);
/* UUIDv5(vendor, name). */
GW_MUST_USE int gwh_uuid_class(const uint8_t vendor[16], const char *name, uint8_t class_id[16]);
/* "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" */
void gwh_uuid_text(char out[37], const uint8_t uuid[16]);

#endif
