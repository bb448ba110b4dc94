# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by tools/try and tools/check: installs what is missing, and says so. Everything else the
# two have in common is here as well. Nothing is installed when all of it is there.

# What a build needs, what its unit tests and most of the integration tests need beside that, and all tests and
# checks: names of Debian packages.
# shellcheck disable=SC2034 # used by those who source this
BUILD_PACKAGES=(meson ninja-build gcc libc6-dev pkg-config libglib2.0-dev libcoap3-dev libssl-dev
        libcjson-dev libcbor-dev libsystemd-dev)
UNIT_PACKAGES=(libcmocka-dev dbus-daemon systemd openssl python3)
# A software TPM and a software token for PKCS#11, the latter's provider since Debian 13.
TPM_PACKAGES=(tpm2-openssl swtpm tpm2-tools)
# shellcheck disable=SC2034
PKCS11_PACKAGES=(pkcs11-provider softhsm2)
# shellcheck disable=SC2034
TEST_PACKAGES=("${UNIT_PACKAGES[@]}" clang libclang-rt-14-dev clang-format clang-tidy valgrind
        python3-venv mandoc libxml2-utils zsh bash-completion iproute2 shellcheck "${TPM_PACKAGES[@]}")
# shellcheck disable=SC2034
PYTHON_PACKAGES=(pytest pytest-xdist dbus-fast)
# Peers to talk to, of PyPI alone; their tests are skipped without.
PYTHON_PEERS=('aiocoap>=0.4.7,<0.5')

if [[ -t 1 && -z ${NO_COLOR-} ]]; then
        bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
else
        bold='' dim='' red='' green='' plain=''
fi

say() {
        printf '%s\n' "$bold$*$plain"
}

die() {
        printf '%s\n' "$red$*$plain" >&2
        exit 1
}

# as_root COMMAND...
as_root() {
        if ((EUID == 0)); then
                "$@"
        elif command -v sudo >/dev/null; then
                sudo "$@"
        else
                die "Not root, and there is no sudo: cannot run '$*'"
        fi
}

missing_packages() {
        local name
        for name in "$@"; do
                dpkg-query -W -f '${db:Status-Status}\n' "$name" 2>/dev/null |
                        grep -qx installed || printf '%s\n' "$name"
        done
}

# install_packages NAME...
install_packages() {
        local missing
        if ! command -v apt-get >/dev/null; then
                say "No apt-get here; these Debian packages are needed under whatever name: $*"
                return 0
        fi
        mapfile -t missing < <(missing_packages "$@")
        ((${#missing[@]})) || return 0
        say "Installing with apt-get: ${missing[*]}"
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o Acquire::Retries=3 update ||
                die "apt-get update failed"
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Acquire::Retries=3 \
                -o Dpkg::Use-Pty=0 install --no-install-recommends "${missing[@]}" ||
                die "Could not install: ${missing[*]}"
}

# The first archive of Debian that the sources of apt name.
debian_mirror() {
        # shellcheck disable=SC2016 # apt's variables
        apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -n 1
}

# True when a JDK (not only a JRE) of version 17 or later is there.
have_jdk() {
        local version
        command -v java >/dev/null && command -v javac >/dev/null || return 1
        version=$(javac -version 2>&1) || return 1
        [[ $version =~ ^javac\ ([0-9]+) ]] && ((BASH_REMATCH[1] >= 17))
}

install_java() {
        local wanted=()
        have_jdk || wanted+=(openjdk-17-jdk-headless)
        command -v mvn >/dev/null || wanted+=(maven)
        ((${#wanted[@]} == 0)) || install_packages "${wanted[@]}"
}

# python_environment FOLDER: a virtual environment of Debian's Python with PYTHON_PACKAGES, first in
# PATH, so that meson finds the same one whatever other Pythons are installed.
python_environment() {
        local folder=$1 python=/usr/bin/python3
        [[ -x $python ]] || python=python3
        if ! [[ -x $folder/bin/python3 ]] ||
                ! "$folder/bin/python3" -c 'import pytest, xdist, dbus_fast, aiocoap' 2>/dev/null; then
                say "Installing with pip into ${folder#"$PWD"/}: ${PYTHON_PACKAGES[*]} ${PYTHON_PEERS[*]}"
                rm -rf "$folder"
                "$python" -m venv "$folder" || die "Could not make the Python environment $folder"
                "$folder/bin/python3" -m pip --disable-pip-version-check -q install \
                        --retries 3 "${PYTHON_PACKAGES[@]}" "${PYTHON_PEERS[@]}" ||
                        die "Could not install with pip: ${PYTHON_PACKAGES[*]}"
        fi
        PATH=$folder/bin:$PATH
        export PATH
}
