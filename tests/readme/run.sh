#!/bin/sh
# The commands of the README, as a newcomer types them, in an empty folder: each must succeed.
# GODWIT_BIN: folder of the programs. GODWIT_TMP: an empty folder. Ends with `N passed, N failed`.
set -u
readme=$(pwd)/README.md
PATH=$GODWIT_BIN:$PATH
cd "$GODWIT_TMP" || exit 1
head -c 300000 /dev/urandom > firmware.bin
sed -n '/^```sh/,/^```/p' "$readme" | grep -v '^```' | sed 's/ ; /\n/g' | grep -v '^ *#' | grep -v '^ *$' > commands
passed=0
failed=0
while IFS= read -r line; do
    if sh -c "$line" > out 2>&1 < /dev/null; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "failed: $line"
        cat out
    fi
done < commands
case $(godwit-device status dev1) in
    *CONFIRMED*) passed=$((passed + 1)) ;;
    *) failed=$((failed + 1)); echo "the device did not confirm the release" ;;
esac
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 15 ]
