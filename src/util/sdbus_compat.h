/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What sd-bus of systemd 252 has, and older ones and basu (which is that of 240) have not or not
 * right; meson puts it behind <systemd/sd-bus.h> then (HAVE_SDBUS_ARGS, HAVE_SDBUS_CLOSE_UNREF).
 * The macros mean what sd_bus_add_object_vtable(3) says: types and names of arguments by turns. A
 * vtable of those sd-bus has no place for names: they are put behind the NUL of the signature
 * ("sv\0path\0value\0"), where sd-bus does not look; a flag says that they are there. Of
 * introspection see bus/introspect.h. */

/* Flag of a member: its signatures, if not empty, have the names behind their NUL. A bit no sd-bus
 * has given a meaning; they keep the flags of a member and ask for the bits they know. */
#define SDBUS_NAMES (UINT64_C(1) << 39)

#define SDBUS_TYPES_2(t, n) t
#define SDBUS_TYPES_4(t, n, ...) t SDBUS_TYPES_2(__VA_ARGS__)
#define SDBUS_TYPES_6(t, n, ...) t SDBUS_TYPES_4(__VA_ARGS__)
#define SDBUS_TYPES_8(t, n, ...) t SDBUS_TYPES_6(__VA_ARGS__)
#define SDBUS_TYPES_10(t, n, ...) t SDBUS_TYPES_8(__VA_ARGS__)
#define SDBUS_TYPES_12(t, n, ...) t SDBUS_TYPES_10(__VA_ARGS__)

#define SDBUS_NAMES_2(t, n) #n "\0"
#define SDBUS_NAMES_4(t, n, ...) #n "\0" SDBUS_NAMES_2(__VA_ARGS__)
#define SDBUS_NAMES_6(t, n, ...) #n "\0" SDBUS_NAMES_4(__VA_ARGS__)
#define SDBUS_NAMES_8(t, n, ...) #n "\0" SDBUS_NAMES_6(__VA_ARGS__)
#define SDBUS_NAMES_10(t, n, ...) #n "\0" SDBUS_NAMES_8(__VA_ARGS__)
#define SDBUS_NAMES_12(t, n, ...) #n "\0" SDBUS_NAMES_10(__VA_ARGS__)

/* The macro of that many arguments; an odd number or more than six pairs does not compile. */
#define SDBUS_PICK(a, b, c, d, e, f, g, h, i, j, k, l, n, ...) n
#define SDBUS_ROW(name, ...)                                                                       \
        SDBUS_PICK(__VA_ARGS__, name##_12, odd, name##_10, odd, name##_8, odd, name##_6, odd,      \
                   name##_4, odd, name##_2, odd, odd)

#if !HAVE_SDBUS_ARGS
#undef SD_BUS_ARGS
#undef SD_BUS_RESULT
#undef SD_BUS_NO_ARGS
#undef SD_BUS_NO_RESULT
#undef SD_BUS_METHOD_WITH_ARGS
#undef SD_BUS_SIGNAL_WITH_ARGS
#endif

#ifndef SD_BUS_METHOD_WITH_ARGS
#define SD_BUS_ARGS(...)                                                                           \
        SDBUS_ROW(SDBUS_TYPES, __VA_ARGS__)                                                        \
        (__VA_ARGS__) "\0" SDBUS_ROW(SDBUS_NAMES, __VA_ARGS__)(__VA_ARGS__)
#define SD_BUS_RESULT(...) SD_BUS_ARGS(__VA_ARGS__)
#define SD_BUS_NO_ARGS ""
#define SD_BUS_NO_RESULT ""
#define SD_BUS_METHOD_WITH_ARGS(member, args, result, handler, flags)                              \
        SD_BUS_METHOD(member, args, result, handler, (flags) | SDBUS_NAMES)
#define SD_BUS_SIGNAL_WITH_ARGS(member, args, flags)                                               \
        SD_BUS_SIGNAL(member, args, (flags) | SDBUS_NAMES)
#endif

#if !HAVE_SDBUS_CLOSE_UNREF
static inline sd_bus *sd_bus_close_unref(sd_bus *bus) {
        if (bus)
                sd_bus_close(bus);
        return sd_bus_unref(bus);
}
#endif
