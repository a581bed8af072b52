#!/bin/sh
# Runs every libFuzzer target for some seconds, two at a time.
#
#   scripts/fuzz.sh build/fuzz 60
#
# What a target finds new is kept in build/fuzz/corpus; crashes lie in build/fuzz/crash-<target>-*, and make the run
# fail.
set -u
folder=$1/fuzz seconds=$2 work=$1
targets=$(cd "$(dirname "$0")/.." && ls fuzz/fuzz_*.c 2>/dev/null | sed 's,.*/,,; s,\.c$,,')
[ -n "$targets" ] || {
    echo "fuzz: no targets" >&2
    exit 1
}

one() {
    mkdir -p "$work/corpus/$1"
    if "$folder/$1" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=16384 -print_final_stats=1 \
        -artifact_prefix="$work/crash-$1-" "$work/corpus/$1" "fuzz/seeds/$1" >"$work/$1.log" 2>&1; then
        echo "$1: $(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$1.log") runs, no finding"
    else
        echo "$1: FAILED, see $work/$1.log"
        tail -n 25 "$work/$1.log" | sed 's/^/    | /'
        return 1
    fi
}

failed=0
running=
for target in $targets; do
    one "$target" &
    if [ -n "$running" ]; then # the oldest of the two
        wait "$running" || failed=$((failed + 1))
    fi
    running=$!
done
wait "$running" || failed=$((failed + 1))
echo "fuzz: $(echo "$targets" | wc -w) targets, $failed failed"
[ "$failed" = 0 ]
