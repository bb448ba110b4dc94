/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The LwM2M Bootstrap-Server Account (TS Core 1.1.1, section 6.1.4): the instance of object 0 whose
 * resource 1 is true. It has no partner in object 1 and no Short Server ID. And the check that
 * Bootstrap-Finish asks for (section 6.1.6): whether the accounts in the tree fit together. */
#include "lwm2m/account/account.h"

#define BS_SSID                                                                                    \
        0 /* how the bootstrap server is named in events and by D-Bus: no server of object 1       \
           */

/* As Account with ssid BS_SSID, the lowest such instance; NULL if there is none. */
Account *bs_account_load(const Tree *tree);
bool bs_account_is_one(const Tree *tree, uint16_t security_instance);
/* The instance of object 21 that instance of object 0 points to; false if it points nowhere. */
bool bs_account_oscore(const Tree *tree, uint16_t security_instance, uint16_t *ret);

/* Makes the instance, durably. -EEXIST there is one, others as account_add(). */
int bs_account_add(Tree *tree, const ServerAccount *account, char **ret_error);
/* Removes every such instance, and of object 21 what belongs to it; -ENOENT. */
int bs_account_remove(Tree *tree);

/* Whether the accounts of the tree are complete and consistent: 0, or -EBADE with *ret_error
 * (g_free()). At least one server must be left to register with. */
int bs_account_check(const Tree *tree, char **ret_error);
/* The same for a bootstrap server's account that stands alone. */
int bs_account_check_bootstrap(const Tree *tree, char **ret_error);
