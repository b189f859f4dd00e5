#!/bin/sh
# Makes every file here anew, with OpenSSL 3.0: token servers, and one that is none.
set -eu
cd "$(dirname "$0")"
rm -f ./*.pem ./*.key
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT

key() { # NAME ALGORITHM…
    name=$1; shift
    openssl genpkey -quiet -out "$name.key" "$@"
}
ec() { key "$1" -algorithm EC -pkeyopt "ec_paramgen_curve:$2" -pkeyopt ec_param_enc:named_curve; }

cert() { # NAME ISSUER DAYS EXTENSIONS
    openssl req -new -key "$1.key" -subj "/CN=$1" -out "$made/request"
    printf '%b' "$4" > "$made/extensions"
    if [ "$2" = "$1" ]; then set -- "$@" -signkey "$1.key"; else set -- "$@" -CA "$2.pem" -CAkey "$2.key"; fi
    name=$1 days=$3; shift 4
    openssl x509 -req -in "$made/request" -days "$days" -set_serial "0x$(openssl rand -hex 8)" \
        -extfile "$made/extensions" -out "$name.pem" "$@" 2>/dev/null
}

CA='basicConstraints=critical,CA:TRUE\n'
LEAF='keyUsage=critical,digitalSignature\n'
for name in ca between leaf self stranger late other; do ec "$name" P-256; done
ec p384 P-384
ec p521 P-521
key rsa -algorithm RSA -pkeyopt rsa_keygen_bits:2048

cert ca ca 36500 "$CA"
cert between ca 36500 "$CA"
# Go asks for no purpose.
cert leaf between 36500 "${LEAF}extendedKeyUsage=codeSigning\n"
cert late ca 1 "$LEAF"
cert other other 36500 "$CA"
cert stranger other 36500 "$LEAF"
for name in self p384 p521 rsa; do cert "$name" "$name" 36500 "$LEAF"; done

cat ca.pem self.pem p384.pem p521.pem rsa.pem > bundle.pem
rm ca.key between.key other.key
