/*
 * flash.c - the flash seam with its errors named, and the arithmetic of erase blocks and slots.
 *
 * Keeps true: no call to the port leaves the regions, crosses a write unit, or starts an erase inside a block.
 */
#include "store.h"

static bool inside(struct gw_area outer, uint32_t address, uint32_t n)
{
    return address >= outer.start && n <= outer.size && address - outer.start <= outer.size - n;
}

static struct gw_area region_area(const struct gw_flash_region *r)
{
    return (struct gw_area){ r->start, r->count * r->erase_size };
}

/* The contiguous bytes from `address` on that exist, over adjoining regions. */
static uint32_t bytes_from(const struct gw_flash *flash, uint32_t address)
{
    uint32_t end = address;

    for (uint32_t i = 0; i < flash->region_count; i++) {
        struct gw_area a = region_area(&flash->regions[i]);
        if (inside(a, end, 1)) {
            end = a.start + a.size;
        }
    }
    return end - address;
}

int gw_flash_block(const struct gw_flash *flash, uint32_t address, struct gw_area *block)
{
    for (uint32_t i = 0; i < flash->region_count; i++) {
        const struct gw_flash_region *r = &flash->regions[i];
        if (inside(region_area(r), address, 1)) {
            block->start = address - (address - r->start) % r->erase_size;
            block->size = r->erase_size;
            return GW_OK;
        }
    }
    return GW_ERR_LAYOUT;
}

static void idle(const struct gw_flash *flash)
{
    if (flash->idle != NULL) {
        flash->idle(flash->ctx);
    }
}

int gw_flash_read(const struct gw_flash *flash, uint32_t address, void *data, uint32_t n)
{
    if (n > bytes_from(flash, address)) {
        return GW_ERR_LAYOUT;
    }
    for (unsigned try = 0; try < 2; try++) { /* a failing read may be a passing disturbance */
        if (flash->read(flash->ctx, address, data, n) == 0) {
            return GW_OK;
        }
    }
    return GW_ERR_FLASH_READ;
}

int gw_flash_write(const struct gw_flash *flash, uint32_t address, const void *data, uint32_t n)
{
    if (n > bytes_from(flash, address) || address % flash->write_size != 0 || n % flash->write_size != 0) {
        return GW_ERR_LAYOUT;
    }
    int err = flash->write(flash->ctx, address, data, n);
    idle(flash);
    return err == 0 ? GW_OK : GW_ERR_FLASH_WRITE;
}

int gw_flash_erase(const struct gw_flash *flash, uint32_t address)
{
    struct gw_area block;

    if (gw_flash_block(flash, address, &block) != GW_OK || block.start != address) {
        return GW_ERR_LAYOUT;
    }
    int err = flash->erase(flash->ctx, address);
    idle(flash);
    return err == 0 ? GW_OK : GW_ERR_FLASH_ERASE;
}

/* Whole erase blocks, inside the flash? */
static bool whole_blocks(const struct gw_flash *flash, struct gw_area area)
{
    struct gw_area block;

    if (area.size == 0 || area.size > bytes_from(flash, area.start)) {
        return false;
    }
    if (gw_flash_block(flash, area.start, &block) != GW_OK || block.start != area.start) {
        return false;
    }
    return gw_flash_block(flash, area.start + area.size - 1, &block) == GW_OK &&
           block.start + block.size == area.start + area.size;
}

/* Takes whole blocks of at least n bytes from the end of `area`. */
static int cut_tail(const struct gw_flash *flash, struct gw_area *area, uint32_t n, struct gw_area *tail)
{
    struct gw_area block;

    tail->start = area->start + area->size;
    tail->size = 0;
    while (tail->size < n) {
        if (tail->start <= area->start || gw_flash_block(flash, tail->start - 1, &block) != GW_OK) {
            return GW_ERR_LAYOUT;
        }
        tail->start = block.start;
        tail->size += block.size;
    }
    area->size -= tail->size;
    return area->size > 0 ? GW_OK : GW_ERR_LAYOUT;
}

static uint32_t largest_block(const struct gw_flash *flash, struct gw_area area)
{
    struct gw_area block;
    uint32_t largest = 0;

    for (uint32_t at = area.start; at < area.start + area.size; at = block.start + block.size) {
        if (gw_flash_block(flash, at, &block) != GW_OK) {
            return 0;
        }
        largest = block.size > largest ? block.size : largest;
    }
    return largest;
}

int gw_layout_slot(const struct gw_flash *flash, const struct gw_layout *layout, enum gw_slot slot,
                   struct gw_slot_map *map)
{
    *map = (struct gw_slot_map){ 0 };
    if (slot == GW_SLOT_FACTORY) {
        map->image = layout->factory;
        return layout->factory.size > 0 ? GW_OK : GW_ERR_LAYOUT;
    }
    map->image = layout->slot[slot == GW_SLOT_B];
    uint32_t work = largest_block(flash, map->image);
    if (work == 0 || cut_tail(flash, &map->image, GW_MANIFEST_MAX + GW_STORE_HEADER, &map->manifest) != GW_OK) {
        return GW_ERR_LAYOUT;
    }
    return cut_tail(flash, &map->image, work, &map->work);
}

static int check_geometry(const struct gw_flash *flash)
{
    uint32_t end = 0;

    if (flash == NULL || flash->read == NULL || flash->write == NULL || flash->erase == NULL) {
        return GW_ERR_CONFIG;
    }
    if (flash->write_size == 0 || flash->write_size > GW_WRITE_MAX ||
        (flash->write_size & (flash->write_size - 1)) != 0 || flash->region_count == 0) {
        return GW_ERR_LAYOUT;
    }
    for (uint32_t i = 0; i < flash->region_count; i++) {
        const struct gw_flash_region *r = &flash->regions[i];
        if (r->count == 0 || r->erase_size == 0 || r->erase_size % flash->write_size != 0 || r->start < end ||
            r->erase_size > (0xffffffffu - r->start) / r->count) {
            return GW_ERR_LAYOUT;
        }
        end = r->start + r->count * r->erase_size;
    }
    return GW_OK;
}

/* Area number i of a layout, in no particular order; size 0 where there is none. */
static struct gw_area area_number(const struct gw_layout *l, uint32_t i)
{
    const struct gw_area fixed[] = { l->identity, l->trust[0], l->trust[1], l->journal,
                                     l->factory,  l->slot[0],  l->slot[1] };

    if (i < sizeof fixed / sizeof fixed[0]) {
        return fixed[i];
    }
    i -= (uint32_t)(sizeof fixed / sizeof fixed[0]);
    return l->data[i / 2].area[i % 2];
}

static int check_areas(const struct gw_flash *flash, const struct gw_layout *layout)
{
    uint32_t count = 7 + 2 * layout->data_count;

    for (uint32_t i = 0; i < count; i++) {
        struct gw_area a = area_number(layout, i);
        if (i == 4 && a.size == 0) {
            continue; /* limited layout */
        }
        if (!whole_blocks(flash, a)) {
            return GW_ERR_LAYOUT;
        }
        for (uint32_t k = 0; k < i; k++) {
            struct gw_area b = area_number(layout, k);
            if (b.size > 0 && a.start < b.start + b.size && b.start < a.start + a.size) {
                return GW_ERR_LAYOUT;
            }
        }
    }
    return GW_OK;
}

int gw_layout_check(const struct gw_flash *flash, const struct gw_layout *layout)
{
    struct gw_slot_map map;
    struct gw_area bank;

    int err = check_geometry(flash);
    if (err != GW_OK) {
        return err;
    }
    if (layout->data_count >= GW_COMPONENTS_MAX || check_areas(flash, layout) != GW_OK ||
        layout->identity.size < GW_IDENTITY_MAX + GW_STORE_HEADER) {
        return GW_ERR_LAYOUT;
    }
    for (uint32_t i = 0; i < 2 * layout->data_count; i++) { /* the slots' work blocks serve data areas too */
        if (largest_block(flash, area_number(layout, 7 + i)) > largest_block(flash, layout->slot[i % 2])) {
            return GW_ERR_LAYOUT;
        }
    }
    for (uint32_t i = 0; i < 2; i++) {
        bank = (struct gw_area){ layout->journal.start + i * (layout->journal.size / 2), layout->journal.size / 2 };
        if (bank.size < 1024 || !whole_blocks(flash, bank) ||
            layout->trust[i].size < GW_TRUST_MAX + GW_STORE_HEADER ||
            gw_layout_slot(flash, layout, (enum gw_slot)i, &map) != GW_OK) {
            return GW_ERR_LAYOUT;
        }
    }
    return GW_OK;
}

int gw_layout_spare(const struct gw_flash *flash, struct gw_area place, uint32_t size, struct gw_area *spare)
{
    struct gw_area last;

    int err = gw_flash_block(flash, place.start + size - 1, &last);
    if (err == GW_OK) {
        uint32_t used = last.start + last.size - place.start;
        *spare = (struct gw_area){ place.start + used, used < place.size ? place.size - used : 0 };
    }
    return err;
}
