/*
 * posix_board.h - a real board's flash as files: what a factory programs, what an emulator runs, what a dump holds.
 *
 * A board is described by its board.json ("godwit board 1"): the files, each with the address and size of what it
 * holds, the bootloader's place, that of the settings if it has one, and the layout. A unit is a folder with these
 * files and a copy of board.json.
 * Keeps true: a unit is made by the code that a device runs (install, boot, confirm), over a flash with NOR's rules in
 * memory; nothing is written before all of that was well. Does not know what a bootloader is: it is bytes.
 */
#ifndef GWP_POSIX_BOARD_H
#define GWP_POSIX_BOARD_H

#include "posix_device.h"

#define GWP_BOARD_FILES_MAX 4u

struct gwp_board_file {
    char name[32];
    struct gw_area area; /* addresses that it holds */
};
/* Do not move it; free with gwp_board_free(). */
struct gwp_board {
    char name[32];
    struct gwp_board_file file[GWP_BOARD_FILES_MAX];
    uint32_t file_count;
    struct gw_area bootloader;
    struct gw_area settings; /* ports/common/settings.h; size 0: none */
    struct gwp_layout layout;
    struct gwh_buf text; /* board.json as it was read */
};
int gwp_board_parse(struct gwp_board *b, struct gw_span text, const char *name, struct gwh_error *err);
/*
 * `given` is the path of a board.json, or a name: NAME.board.json in $GODWIT_BOARDS, or in ../share/godwit/boards
 * beside the program.
 */
int gwp_board_load(struct gwp_board *b, const char *given, struct gwh_error *err);
void gwp_board_free(struct gwp_board *b);

struct gwp_unit {
    struct gwp_init init;      /* all but its layout */
    struct gw_span bootloader; /* n 0: none */
    struct gw_span settings;   /* the text; n 0: none */
    const char *release;       /* folder of the first release, installed and confirmed; NULL: none */
    bool dry_run;              /* do all but write */
    void (*tell)(const char *line);
};
/* Makes a unit's folder. */
int gwp_board_provision(const struct gwp_board *b, const struct gwp_unit *unit, const char *folder,
                        struct gwh_error *err);

/* Is this the folder of a unit? */
bool gwp_board_is_unit(const char *folder);
/* A unit's flash described, as gwp_show_device() does; the files are not changed. */
int gwp_board_show(json_t **tree, const char *folder, struct gwh_error *err);

#endif
