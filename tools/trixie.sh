# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by tools/check, after tools/setup.sh: a Debian 13 in a folder, made by debootstrap from the mirror
# that apt uses here, for its compiler and libraries. What is mounted for it lives in the mount namespace of
# one command, and is gone with the last process of that, however it ends.

# trixie_obstacle FOLDER MAY-INSTALL: why there is no Debian 13 to be had here; nothing if there is.
trixie_obstacle() {
        if ((EUID)); then
                echo 'it takes root'
        elif ! unshare --mount --pid --fork --kill-child --mount-proc true 2>/dev/null; then
                echo 'no mount namespaces here'
        elif [[ -e $1/packages ]]; then
                return 0
        elif ((!$2)); then
                echo 'no tree of an earlier run is kept, and nothing may be installed'
        elif ! command -v apt-get >/dev/null; then
                echo 'no apt-get here'
        elif ! (install_packages debootstrap debian-archive-keyring) >&2; then
                echo 'debootstrap cannot be had'
        elif [[ -z $(debian_mirror) ]]; then
                echo 'apt knows no mirror of Debian'
        fi
}

# trixie_bootstrap FOLDER: the base system. Fails when the mirror does not answer or has no Debian 13.
trixie_bootstrap() {
        local proxy='' settings
        settings=$(apt-config dump | grep -E '^Acquire::(Check-|https?::Proxy )')
        eval "$(apt-config shell proxy Acquire::http::Proxy)"
        [[ -z $proxy ]] || export http_proxy=$proxy
        rm -rf --one-file-system "$1"
        # In a namespace because it mounts /proc in the tree.
        unshare --mount --pid --fork --kill-child --mount-proc debootstrap --force-check-gpg \
                --variant=minbase --include=ca-certificates trixie "$1" "$(debian_mirror)" || return 1
        printf '%s\n' "$settings" 'Acquire::Languages "none";' >"$1/etc/apt/apt.conf.d/50lwm2md"
        printf '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n' >"$1/etc/hosts" # as an installed one has
        echo force-unsafe-io >"$1/etc/dpkg/dpkg.cfg.d/50lwm2md" # the tree can be made again
        : >"$1/packages"
}

# trixie_install FOLDER PACKAGE...: FOLDER/packages says what has been installed.
trixie_install() {
        # shellcheck disable=SC2016
        in_trixie "$1" env DEBIAN_FRONTEND=noninteractive sh -euc 'apt-get -q -o Acquire::Retries=3 update
                apt-get -q -y -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 install --no-install-recommends "$@"
                apt-get clean' install "${@:2}" && echo "${*:2}" >"$1/packages"
}

# in_trixie FOLDER COMMAND...: runs it in the tree, in the working directory. That is there under its own
# name, to be read only, except for build-check/trixie.
in_trixie() {
        # shellcheck disable=SC2016
        unshare --mount --pid --fork --kill-child bash -euc 'root=$1 source=$2 build=$2/build-check/trixie
                shift 2
                mount --rbind /dev "$root/dev"
                mount --rbind /sys "$root/sys"
                mount -t proc proc "$root/proc"
                mount -t tmpfs tmpfs "$root/tmp"
                mount -t tmpfs tmpfs "$root/run"
                mkdir -p "$root$source" "$build" # perhaps below /tmp
                mount --bind "$source" "$root$source"
                mount --bind "$build" "$root$build"
                mount -o remount,bind,ro "$root$source"
                exec chroot "$root" env -C "$source" -u TMPDIR -u OMA_REGISTRY HOME=/tmp \
                        PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"' in_trixie "$1" "$PWD" "${@:2}"
}
