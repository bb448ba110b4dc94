/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/catalog.h"

#include <glib.h>
#include <string.h>

/* An id stands for its event for ever: none is changed or used again. */
static const struct {
        const char *event, *id;
} ids[] = {
        { "registration-complete", "972d2b1426224382b0d6696efa5bd1af" },
        { "registration-failure", "563bc02e5d4840e29f4f49e1122bddac" },
        { "reg-timeout", "230461aa680c471f9bc53266ff01c66d" },
        { "reg-update", "aecc0a39ef264d92820087be0bc90e39" },
        { "reg-update-complete", "82d165bab11046ababc7e4982d244a32" },
        { "deregister", "0539ce5b0e8447b5b79ef0154846d5e2" },
        { "deregister-failure", "417c1c00ffa34d7aa793486030b25b37" },
        { "disconnect", "6acc8cd3f8ee46e783ca3249a1777f80" },
        { "server-disabled", "4232692d2c9e4b9ea686eb7a8b5935a7" },
        { "queue-mode-rx-off", "85729d2cdbf54b4190a80704b34b0e47" },
        { "network-error", "3e83fd20b74346d4812521fa5ded38ce" },
        { "bootstrap-reg-failure", "34fd11320c76418caba8d1e4677515a8" },
        { "bootstrap-reg-complete", "2fce904941564dc0aae95f201cd8b571" },
        { "bootstrap-transfer-complete", "02b6f26405ae4a7ebf2d85d8d67db908" },
        { "est-enrolled", "0afa20dd43ca4b2e928c25c524892785" },
        { "est-failed", "4138b71dc7fe44cd82dd4573692d36e3" },
        { "est-delayed", "f655981ebd4d4bc88d6b8347d5118fb7" },
};

const char *catalog_id(const char *event) {
        for (size_t i = 0; i < G_N_ELEMENTS(ids); i++)
                if (strcmp(ids[i].event, event) == 0)
                        return ids[i].id;
        return NULL;
}
