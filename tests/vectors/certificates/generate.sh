#!/bin/sh
# Makes every PEM file here anew, with OpenSSL 3.0. Private keys are thrown away.
set -eu
cd "$(dirname "$0")"
keys=$(mktemp -d)
trap 'rm -rf "$keys"' EXIT
GUN=registry.example/team/app

key() { # NAME ALGORITHM…
    name=$1; shift
    openssl genpkey -quiet -out "$keys/$name.key" "$@"
}
p256() { key "$1" -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:named_curve; }

# cert NAME CN ISSUER DAYS EXTENSIONS [OPTIONS…]: ISSUER may be NAME itself.
cert() {
    name=$1 cn=$2 issuer=$3 days=$4 extensions=$5; shift 5
    [ -f "$keys/$name.key" ] || p256 "$name"
    printf '%b' "$extensions" > "$keys/extensions"
    openssl req -new -key "$keys/$name.key" -subj "/CN=$(echo "$cn" | sed 's|/|\\/|g')" -out "$keys/request"
    if [ "$issuer" = "$name" ]; then
        set -- -signkey "$keys/$name.key" "$@"
    else
        set -- -CA "$keys/$issuer.pem" -CAkey "$keys/$issuer.key" "$@"
    fi
    openssl x509 -req -in "$keys/request" -days "$days" -set_serial "0x$(openssl rand -hex 8)" \
        -extfile "$keys/extensions" -out "$keys/$name.pem" "$@" 2>/dev/null
}
bundle() { # FILE CERTIFICATE…
    file=$1; shift
    for name; do cat "$keys/$name.pem"; done > "$file"
}
own() { # NAME CN EXTENSIONS [OPTIONS…]: a self-signed certificate in a file of its own
    name=$1 cn=$2 extensions=$3; shift 3
    cert "$name" "$cn" "$name" 36500 "$extensions" "$@"
    bundle "$name.pem" "$name"
}

EVER=36500
NOTARY='keyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=codeSigning\nbasicConstraints=critical,CA:FALSE\n'
LEAF='basicConstraints=critical,CA:FALSE\n'
CA='basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n'

# Self-signed.
own notary "$GUN" "$NOTARY"
own wildcard 'registry.example/team/**' "$LEAF"
own inner-star 'registry.example/*/app' "$LEAF"
own everything '*' "$LEAF"
own ca-as-leaf "$GUN" "$CA"
own sha1 "$GUN" "$LEAF" -sha1
key rsa -algorithm RSA -pkeyopt rsa_keygen_bits:2048
own rsa "$GUN" "$LEAF"
key rsa-2047 -algorithm RSA -pkeyopt rsa_keygen_bits:2047
own rsa-2047 "$GUN" "$LEAF"
key p384 -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -pkeyopt ec_param_enc:named_curve
own p384 "$GUN" "$LEAF"
key ed25519 -algorithm ED25519
own ed25519 "$GUN" "$LEAF"
p256 no-name
openssl req -x509 -new -key "$keys/no-name.key" -subj "/O=nobody" -days $EVER -addext basicConstraints=CA:FALSE -out no-name.pem
p256 two-names
openssl req -x509 -new -key "$keys/two-names.key" -subj "/CN=other/CN=$(echo $GUN | sed 's|/|\\/|g')" -days $EVER -addext basicConstraints=CA:FALSE -out two-names.pem

# A CA, one below it, and certificates of the second.
cert root 'Test Root CA' root $EVER "$CA"
cert intermediate 'Test CA' root $EVER "$CA"
cert intermediate-short 'Test CA of a Year' root 365 "$CA"
cert intermediate-sha1 'Test CA with SHA-1' root $EVER "$CA" -sha1
cert intermediate-no-sign 'Test CA without Rights' root $EVER 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,cRLSign\n'
bundle root-ca.pem root

cert direct "$GUN" root $EVER "$LEAF"
bundle chain-direct.pem direct
cert plain "$GUN" intermediate $EVER "$LEAF"
bundle chain.pem plain intermediate
bundle chain-without-intermediate.pem plain
bundle chain-reversed.pem intermediate plain
bundle chain-two-leaves.pem plain direct intermediate
bundle chain-ca-only.pem intermediate root
cert server "$GUN" intermediate $EVER "$LEAF"'extendedKeyUsage=serverAuth\n'
bundle chain-server-auth.pem server intermediate
cert code "$GUN" intermediate $EVER "$LEAF"'extendedKeyUsage=codeSigning\n'
bundle chain-code-signing.pem code intermediate
cert critical "$GUN" intermediate $EVER "$LEAF"'1.2.3.4=critical,ASN1:NULL\n'
bundle chain-critical.pem critical intermediate
cert of-short "$GUN" intermediate-short $EVER "$LEAF"
bundle chain-short-intermediate.pem of-short intermediate-short
cert of-sha1 "$GUN" intermediate-sha1 $EVER "$LEAF"
bundle chain-sha1-intermediate.pem of-sha1 intermediate-sha1
cert of-no-sign "$GUN" intermediate-no-sign $EVER "$LEAF"
bundle chain-no-cert-sign.pem of-no-sign intermediate-no-sign
# A certificate signed by one that is no CA.
cert of-leaf "$GUN" direct $EVER "$LEAF"
bundle issued-by-leaf.pem of-leaf
# The same names as the real chain, signed by somebody else.
cert forged-root 'Test Root CA' forged-root $EVER "$CA"
cert forged-intermediate 'Test CA' forged-root $EVER "$CA"
cert forged "$GUN" forged-intermediate $EVER "$LEAF"
bundle chain-forged.pem forged forged-intermediate

# Other CAs over the same key and name as the root: what an anchor may not do.
same_key() { cp "$keys/root.key" "$keys/$1.key"; cert "$1" 'Test Root CA' "$1" "$2" "$3"; bundle "$1.pem" "$1"; }
same_key anchor-pathlen-0 $EVER 'basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\n'
same_key anchor-pathlen-1 $EVER 'basicConstraints=critical,CA:TRUE,pathlen:1\nkeyUsage=critical,keyCertSign\n'
same_key anchor-no-ca $EVER "$LEAF"
same_key anchor-no-cert-sign $EVER 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,cRLSign\n'
same_key anchor-code-signing $EVER "$CA"'extendedKeyUsage=codeSigning\n'
same_key anchor-critical $EVER "$CA"'1.2.3.4=critical,ASN1:NULL\n'
same_key anchor-short 365 "$CA"

# An RSA chain.
key rsa-root -algorithm RSA -pkeyopt rsa_keygen_bits:2048
cert rsa-root 'Test RSA CA' rsa-root $EVER "$CA"
bundle rsa-ca.pem rsa-root
key rsa-leaf -algorithm RSA -pkeyopt rsa_keygen_bits:2048
cert rsa-leaf "$GUN" rsa-root $EVER "$LEAF"
bundle chain-rsa.pem rsa-leaf
