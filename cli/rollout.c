/*
 * rollout.c - godwit rollout.
 */
#include "fleet.h"

const struct gwh_command cli_devices[] = {CLI_COMMANDS_END};
const struct gwh_command cli_rollout[] = {CLI_COMMANDS_END};
