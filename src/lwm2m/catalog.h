/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The journal's MESSAGE_ID= of what happens to a registration: by it a program or `journalctl -x`
 * knows the message, whatever its words. The texts are in systemd/lwm2md.catalog. */

/* Of an event by its name, 32 hexadecimal digits; NULL for one that has none. */
const char *catalog_id(const char *event);
