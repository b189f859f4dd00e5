#!/usr/bin/env bash
# Run every fuzz target, or those that are named, for FUZZ_SECONDS (600), FUZZ_JOBS (1)
# at a time, and print a line for each. An input that fails is kept in fuzz/artifacts;
# once fixed it belongs in tests/vectors/regressions/TARGET, where `cargo test` runs it.
set -euo pipefail
cd "$(dirname "$0")/.."

main() {
    cargo +nightly --version &>/dev/null || fail "nightly is missing: rustup toolchain install nightly"
    command -v cargo-fuzz >/dev/null || fail "cargo-fuzz is missing: cargo install cargo-fuzz --locked"
    host=$(rustc +nightly -vV | sed -n 's/^host: //p')
    cargo +nightly fuzz build --target "$host" --target-dir fuzz/target
    export programs=fuzz/target/$host/release
    export -f fuzz

    local targets=("$@")
    [[ $# -gt 0 ]] || mapfile -t targets < <(cargo +nightly fuzz list)
    printf '%s\n' "${targets[@]}" |
        xargs -P "${FUZZ_JOBS:-1}" -I TARGET bash -euo pipefail -c 'fuzz TARGET'
}

fuzz() {
    local target=$1 status=0
    local corpus=fuzz/corpus/$target artifacts=fuzz/artifacts/$target
    local log=$artifacts/log options=() regressions=()
    mkdir -p "$corpus" "$artifacts"
    [[ ! -d ../tests/vectors/regressions/$target ]] || regressions=("../tests/vectors/regressions/$target")
    # The others are not JSON.
    [[ $target =~ ^(key|certificate|reference)$ ]] || options=(-dict=fuzz/json.dict)
    # libFuzzer writes new inputs to the first folder and only reads the others.
    "$programs/$target" "$corpus" "fuzz/seeds/$target" "${regressions[@]}" "${options[@]}" \
        -max_total_time="${FUZZ_SECONDS:-600}" -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="$artifacts/" &>"$log" || status=$?

    local runs seconds edges
    runs=$(sed -n 's/^stat::number_of_executed_units: //p' "$log")
    if [[ $status -ne 0 ]]; then
        echo "$target: FAILED after ${runs:-no} runs; see core/$log"
        return 1
    fi
    seconds=$(sed -n 's/^Done .* in \([0-9]*\) second.*/\1/p' "$log")
    edges=$(sed -n 's/^.*DONE *cov: \([0-9]*\).*/\1/p' "$log" | tail -n 1)
    echo "$target: $runs runs in $seconds s, $edges edges covered, no crash"
}

fail() {
    echo "fuzz: $1" >&2
    exit 2
}

main "$@"
