/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The one table that turns an errno into a CoAP response code (Transport 1.1.1, section 6.4,
 * "Response Codes"). -EMEDIUMTYPE stands for a Content-Format we cannot take, -ENOMEDIUM for an
 * Accept we cannot serve; everything that is not in the table is 5.00. */
#include <stdint.h>

uint8_t code_from_errno(int error); /* negative or positive errno; 0 is 2.04 */
