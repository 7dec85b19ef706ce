# shellcheck shell=bash
# lib.sh - what the scripts share. Source it; it moves to the root of the tree.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root" || exit 1
deps=$root/build/deps

say() { [ -n "${quiet:-}" ] || printf '%s\n' "$*" >&2; }
die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# locked COMMAND...: one builder at a time in a tree; two would write the same
# files.
locked() {
  mkdir -p build
  if command -v flock >/dev/null; then
    (flock 9 && "$@") 9>build/.lock
  else
    "$@"
  fi
}

# logged NAME COMMAND...: quiet when it works, its output when it does not.
logged() {
  local log=build/logs/$1.log
  shift
  mkdir -p build/logs
  "$@" >"$log" 2>&1 || {
    cat "$log" >&2
    die "failed: $*"
  }
}

# build PRESET [TARGET...]: configures when that is still to be done, then builds.
build() { locked build_unlocked "$@" || exit 1; }

build_unlocked() {
  local preset=$1 mode=private
  shift
  [ ! -e "$deps/system" ] || mode=system
  is_configured "$preset" $mode "$@" ||
    logged "configure-$preset" cmake --preset "$preset" -DNEAP_DEPS=$mode
  logged "build-$preset" cmake --build "build/$preset" --target "${@:-all}"
}

# As wanted now: it may have been for other dependencies, or before cmocka came.
is_configured() { # PRESET MODE TARGET...
  local cache=build/$1/CMakeCache.txt
  [ -e "build/$1/build.ninja" ] && grep -q "^NEAP_DEPS:STRING=$2\$" "$cache" || return 1
  [ "${*:3}" = all ] || [ $# -le 2 ] || grep -q '^cmocka_FOUND:INTERNAL=1' "$cache"
}
