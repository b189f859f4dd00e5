#!/usr/bin/env bash
# Get what the demo and the tests need: programs from Debian, Python packages
# into .venv. Says what is missing where it may not install. Quick when all is there.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.venv
outside=${PATH//"$PWD/$venv/bin:"/}
python=$(PATH=$outside command -v python3) || python=python3
export PATH="$PWD/$venv/bin:$outside"

main() {
    command -v cargo >/dev/null || fail "cargo is missing: install the Rust toolchain from https://rustup.rs"
    debian_packages
    python_environment
    docker_cli
    registry
    postgresql
    containerd
}

# notary brings notary-server too, and neither starts a service.
# valgrind needs libc6-dbg to know the dynamic loader's functions.
debian_packages() {
    local missing=()
    command -v cc >/dev/null || missing+=(gcc libc6-dev)
    command -v g++ >/dev/null || missing+=(g++)
    command -v pkg-config >/dev/null || missing+=(pkg-config)
    command -v go >/dev/null || missing+=(golang-go)
    command -v notary >/dev/null && command -v notary-server >/dev/null || missing+=(notary)
    command -v valgrind >/dev/null || missing+=(valgrind libc6-dbg)
    command -v cmake >/dev/null || missing+=(cmake)
    command -v groff >/dev/null || missing+=(groff-base)
    command -v skopeo >/dev/null || missing+=(skopeo)
    command -v openssl >/dev/null || missing+=(openssl)
    command -v curl >/dev/null || missing+=(curl)
    command -v mariadb-install-db >/dev/null || missing+=(mariadb-server-core mariadb-client-core)
    command -v chromium >/dev/null || missing+=(chromium)
    command -v softhsm2-util >/dev/null || missing+=(softhsm2)
    python_is_ready || "$python" -m pip --version &>/dev/null || missing+=(python3 python3-pip)
    [[ ${#missing[@]} -eq 0 ]] && return

    command -v apt-get >/dev/null || fail "missing programs; on Debian they are in the packages: ${missing[*]}"
    [[ $EUID -eq 0 ]] || fail "missing Debian packages; as root: apt-get install --no-install-recommends ${missing[*]}"
    say "installing Debian packages: ${missing[*]}"
    apt_get update
    apt_get install -y --no-install-recommends "${missing[@]}"
}

# Made without pip and filled by the pip outside, so that it needs no python3-venv.
python_environment() {
    python_is_ready && return
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || fail "the tests need Python 3.10 or later"
    say "installing Python packages into $venv"
    [[ -x $venv/bin/python ]] || "$python" -m venv --without-pip "$venv"
    "$python" -m pip --quiet --disable-pip-version-check --python "$venv/bin/python" install -r tests/requirements.txt
    cp tests/requirements.txt "$venv/"
}

python_is_ready() { cmp -s tests/requirements.txt "$venv/requirements.txt"; }

# Docker 29 has no `docker trust`.
docker_cli() {
    docker trust inspect --help &>/dev/null && return
    take docker docker.io "any docker CLI before version 29 will do"
}

registry() {
    command -v docker-registry >/dev/null || take docker-registry docker-registry "or install docker-registry"
}

# Installed, Debian's package would start a database: only what it needs is installed.
postgresql() {
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null && return
    compgen -G "$venv/postgresql/usr/lib/postgresql/*/bin/initdb" >/dev/null && return
    local missing="PostgreSQL is missing; install any version from 13 on" package needed
    command -v apt-get >/dev/null || fail "$missing"
    [[ $EUID -ne 0 ]] || apt_get update
    package=$(apt-cache depends postgresql | sed -n 's/^ *Depends: \(postgresql-[0-9]*\)$/\1/p')
    [[ -n $package ]] || fail "$missing"
    # Without LLVM, which is there for large queries.
    needed=$(apt-cache depends "$package" | sed -n 's/^ *|\?Depends: \(lib[^<]*\|tzdata\)$/\1/p' | grep -v -e llvm -e elogind)
    # shellcheck disable=SC2086
    [[ $EUID -ne 0 ]] || apt_get install -y --no-install-recommends $needed
    unpack "$venv/postgresql" "$package" "${package/-/-client-}" || fail "cannot download Debian's package $package; $missing"
}

# Debian's stable ones call no image verifiers: it is the next release's, unpacked.
containerd() {
    [[ -x $venv/containerd/usr/bin/containerd ]] && return
    command -v apt-get >/dev/null || { say "containerd 2 is missing; its tests are left out"; return; }
    local apt
    apt=$(mktemp -d)
    mkdir -p "$apt/lists/partial" "$apt/archives/partial"
    printf '%s\n' > "$apt/apt.conf" "Dir::Etc::SourceList \"$apt/sources.list\";" 'Dir::Etc::SourceParts "-";' \
        "Dir::State::Lists \"$apt/lists\";" "Dir::Cache \"$apt\";" 'Acquire::Languages "none";' 'APT::Sandbox::User "root";'
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian testing main" > "$apt/sources.list"
    say "taking containerd out of Debian's next release"
    APT_CONFIG=$apt/apt.conf apt_get update && APT_CONFIG=$apt/apt.conf unpack "$venv/containerd" containerd ||
        say "cannot download containerd 2 from Debian; its tests are left out"
    rm -r "$apt"
}

# Takes a program out of its Debian package into .venv/bin, because installing
# the package would also start a service.
take() {
    local program=$1 package=$2 otherwise=$3 unpacked
    command -v apt-get >/dev/null || fail "$program is missing; $otherwise"
    say "taking $program out of Debian's package $package"
    [[ $EUID -ne 0 ]] || apt_get update
    unpacked=$(mktemp -d)
    unpack "$unpacked" "$package" || fail "cannot download Debian's package $package; $otherwise"
    install -m 755 "$unpacked/usr/bin/$program" "$venv/bin/$program"
    rm -r "$unpacked"
}

# unpack DIRECTORY PACKAGE...
unpack() {
    local into=$1 downloads package
    shift
    mkdir -p "$into"
    downloads=$(mktemp -d)
    chmod 755 "$downloads" # apt downloads as the user _apt where it can
    (cd "$downloads" && apt_get download "$@") || return
    for package in "$downloads"/*.deb; do
        dpkg-deb -x "$package" "$into" || return
    done
    rm -r "$downloads"
}

apt_get() { DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" >&2; }
say() { echo "setup: $*" >&2; }
fail() { say "$*"; exit 1; }

main
