/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The methods of the Data interface; data.c has their table. */
#include "bus/bus_internal.h"

int method_set(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_set_many(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_push(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_push_series(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_apply(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_create(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_delete(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_set_fd(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_send(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_execute(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_configure(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_get(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_get_many(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_get_fd(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_list(sd_bus_message *m, void *userdata, sd_bus_error *error);
/* The error for a path that has nothing: what of it is missing. */
int data_not_found(const Tree *tree, const Path *p, sd_bus_error *error);
