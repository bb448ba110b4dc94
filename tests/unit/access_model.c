/* SPDX-License-Identifier: Apache-2.0 */
#include "access_model.h"

const int model_objects[MODEL_OBJECTS] = { 33000, 3303 };
const int model_resources[MODEL_OBJECTS] = { 1, 5700 };

static int n_accounts(const AccessModel *m) {
        int n = 0;

        for (int s = 1; s <= MODEL_SERVERS; s++)
                n += m->account[s];
        return n;
}

int model_control_of(const AccessModel *m, int object, int instance) {
        for (int i = 0; i < MODEL_CONTROLS; i++)
                if (m->controls[i].used && m->controls[i].object == object &&
                    m->controls[i].instance == instance)
                        return i;
        return -1;
}

/* A bootstrap that provides any means all (8.1.2.2: each object instance has one). */
static bool is_provided(const AccessModel *m) {
        for (int i = 0; i < MODEL_CONTROLS; i++)
                if (m->controls[i].used && m->controls[i].owner == MODEL_NOBODY)
                        return true;
        return false;
}

/* 8.2.1 */
int model_rights(const AccessModel *m, int server, int object, int instance) {
        const int all = MODEL_R | MODEL_W | MODEL_E | MODEL_D;
        const ModelControl *c;
        int number;

        if (n_accounts(m) == 1)
                return all;
        number = model_control_of(m, object, instance);
        if (number < 0)
                return is_provided(m) ? 0 : all;
        c = &m->controls[number];
        if (c->entry[server] >= 0)
                return c->entry[server] & all;
        if (c->owner == server)
                return all;
        return c->entry[0] >= 0 ? c->entry[0] & all : 0;
}

/* 8.2: "only if the associated Access Control Object Instance exists and contains an ACL Resource
 * Instance for that LwM2M Server set with the Access Right Create". */
bool model_may_create(const AccessModel *m, int server, int object) {
        int number;

        if (n_accounts(m) == 1)
                return true;
        number = model_control_of(m, object, MODEL_NOBODY);
        if (number < 0)
                return !is_provided(m);
        return m->controls[number].entry[server] >= 0 &&
               m->controls[number].entry[server] & MODEL_C;
}

bool model_may_manage(const AccessModel *m, int server, int number) {
        return n_accounts(m) == 1 || m->controls[number].owner == server;
}

bool model_keeps_controls(const AccessModel *m) {
        bool any = false;

        for (int i = 0; i < MODEL_CONTROLS; i++)
                any = any || m->controls[i].used;
        return any || n_accounts(m) > 1;
}

void model_remove_instance(AccessModel *m, int object, int instance) {
        const int number = model_control_of(m, model_objects[object], instance);

        m->exists[object][instance] = false;
        if (number >= 0)
                m->controls[number].used = false;
}

/* E.1.3: who has most of the rights Write and Delete; 0: no server has any. */
static int heir(const AccessModel *m, const ModelControl *c) {
        int best = 0, best_sum = 0;

        for (int s = 1; s <= MODEL_SERVERS; s++) {
                const int rights = c->entry[s] >= 0 ? c->entry[s] : c->entry[0];
                int sum;

                if (!m->account[s] || rights <= 0)
                        continue;
                sum = 1 + ((rights & MODEL_W) != 0) + ((rights & MODEL_D) != 0);
                if (sum > best_sum) {
                        best = s;
                        best_sum = sum;
                }
        }
        return best;
}

void model_remove_account(AccessModel *m, int server) {
        m->account[server] = false;
        for (int i = 0; i < MODEL_CONTROLS; i++) {
                ModelControl *c = &m->controls[i];
                int next;

                if (!c->used)
                        continue;
                c->entry[server] = -1;
                if (c->owner != server)
                        continue;
                next = heir(m, c);
                if (next > 0) {
                        c->owner = next;
                        continue;
                }
                c->used = false;
                for (int o = 0; o < MODEL_OBJECTS; o++)
                        if (model_objects[o] == c->object && c->instance < MODEL_INSTANCES)
                                m->exists[o][c->instance] = false;
        }
}
