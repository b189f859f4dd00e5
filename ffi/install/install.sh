#!/usr/bin/env bash
# install.sh install|uninstall: put what cargo has built where it belongs, or remove it.
# Its variables are those of the Makefile, which says what they mean.
set -euo pipefail

here=$(dirname "$0")

soname=libtagtrust.so.$ABI_VERSION
library=libtagtrust.so.$VERSION
cmakedir=$LIBDIR/cmake/tagtrust
# What the header must not declare, because the library does not have it.
case " $FFI_FEATURES " in
    *" default "* | *" server "*) define= ;;
    *" signing "*) define=-DTAGTRUST_NO_SERVER ;;
    *" http "*) define=-DTAGTRUST_NO_SIGNING ;;
    *) define=-DTAGTRUST_NO_HTTP ;;
esac

main() {
    case $1 in
        install)
            file() { install -D -m "$1" "$2" "$DESTDIR$3"; }
            link() { ln -sf "$1" "$DESTDIR$2"; }
            filled() { fill "$1" | install -D -m 644 /dev/stdin "$DESTDIR$2"; }
            temporary=$(mktemp -d)
            trap 'rm -r "$temporary"' EXIT
            native_libs=$(native_libraries)
            close_static_library
            everything
            ;;
        uninstall)
            file() { rm -f "$DESTDIR$3"; }
            link() { rm -f "$DESTDIR$2"; }
            filled() { rm -f "$DESTDIR$2"; }
            temporary=
            everything
            [[ ! -d $DESTDIR$cmakedir ]] || rmdir --ignore-fail-on-non-empty "$DESTDIR$cmakedir"
            ;;
    esac
}

# The one list of what belongs to an installation, for both directions.
everything() {
    if [[ -z $define ]]; then
        file 755 "$ARTEFACTS/tagtrust-server" "$BINDIR/tagtrust-server"
        filled tagtrust-server.1.in "$MANDIR/man1/tagtrust-server.1"
    fi
    # It asks a trust server.
    [[ $define == -DTAGTRUST_NO_HTTP ]] || file 755 "$ARTEFACTS/tagtrust-containerd" "$BINDIR/tagtrust-containerd"
    file 755 "$ARTEFACTS/libtagtrust.so" "$LIBDIR/$library"
    link "$library" "$LIBDIR/$soname"
    link "$library" "$LIBDIR/libtagtrust.so"
    file 644 "$temporary/libtagtrust.a" "$LIBDIR/libtagtrust.a"
    file 644 "$here/../../include/tagtrust.h" "$INCLUDEDIR/tagtrust.h"
    filled tagtrust.pc.in "$PKGCONFIGDIR/tagtrust.pc"
    filled tagtrust-config.cmake.in "$cmakedir/tagtrust-config.cmake"
    filled tagtrust-config-version.cmake.in "$cmakedir/tagtrust-config-version.cmake"
    filled tagtrust.3.in "$MANDIR/man3/tagtrust.3"
}

# What a static library of Rust needs. Compilers add libgcc_s, or for -static another one.
native_libraries() {
    local said
    said=$(rustc --crate-type staticlib --print native-static-libs -o "$temporary/empty.a" - < /dev/null 2>&1)
    [[ $said =~ native-static-libs:\ ([^$'\n']*) ]] || { echo "$said" >&2; return 1; }
    echo "${BASH_REMATCH[1]/-lgcc_s /}"
}

# Cargo's static library shows everything in it: SQLite, and Rust's runtime, which a
# program may have from elsewhere. One object of it all shows what the shared library does.
close_static_library() {
    local object=$temporary/tagtrust.o
    nm -D --defined-only --format=just-symbols "$ARTEFACTS/libtagtrust.so" > "$temporary/exported"
    sed 's/^/--undefined=/' "$temporary/exported" > "$temporary/roots"
    # Without groups of sections: the linker would drop one for that of another library.
    ld -r --force-group-allocation "@$temporary/roots" -o "$object" "$ARTEFACTS/libtagtrust.a"
    # Programs have no use for LLVM's bitcode, and some versions of ar cannot read it.
    objcopy --keep-global-symbols="$temporary/exported" --remove-section=.llvmbc --remove-section=.llvmcmd "$object"
    ar rcs "$temporary/libtagtrust.a" "$object"
}

fill() {
    local text
    text=$(< "$here/$1")
    text=${text//@PREFIX@/"${PREFIX// /\\ }"}
    text=${text//@LIBDIR@/"$(below_prefix "$LIBDIR")"}
    text=${text//@INCLUDEDIR@/"$(below_prefix "$INCLUDEDIR")"}
    text=${text//@INCLUDEDIR_FROM_HERE@/"$(realpath -ms --relative-to="$cmakedir" "$INCLUDEDIR")"}
    text=${text//@VERSION@/"$VERSION"}
    text=${text//@ABI_VERSION@/"$ABI_VERSION"}
    text=${text//@SONAME@/"$soname"}
    text=${text//@LIBRARY@/"$library"}
    text=${text//@NATIVE_LIBS@/"$native_libs"}
    text=${text//@NATIVE_LIBS_LIST@/"${native_libs// /;}"}
    text=${text//@DEFINE@/"$define"}
    printf '%s\n' "$text"
}

# For pkg-config, which can move a tree only if everything hangs on its prefix,
# and where a space ends an argument.
below_prefix() {
    local path=$1
    [[ $path != "$PREFIX"/* ]] || path="\${prefix}${path#"$PREFIX"}"
    echo "${path// /\\ }"
}

main "$@"
