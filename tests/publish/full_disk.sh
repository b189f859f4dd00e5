# Runs a publisher on a full disk, in a mount namespace of its own.
# usage: full_disk.sh TRUST_DIR MOUNT_POINT COPY_AFTERWARDS COMMAND...
set -eu
trust=$1 disk=$2 after=$3
shift 3
mount -t tmpfs -o size=1m tmpfs "$disk"
cp -a "$trust" "$disk/trust"
cat /dev/zero >"$disk/filler" 2>/dev/null || true
"$@"
rm "$disk/filler"
cp -a "$disk/trust" "$after"
