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

# One builder at a time in a tree: two would write the same files. Child
# processes inherit the lock, and so the permission to go on.
lock_build() {
  [ -z "${NEAP_BUILD_LOCKED:-}" ] && command -v flock >/dev/null || return 0
  mkdir -p build
  exec 9>build/.lock
  flock 9
  export NEAP_BUILD_LOCKED=1
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
build() {
  local preset=$1 how=(-DNEAP_DEPS=private)
  shift
  [ -e "$deps/system" ] && how=(-DNEAP_DEPS=system)
  if [ ! -e "build/$preset/build.ninja" ] ||
    ! grep -q "^NEAP_DEPS:STRING=${how[0]#*=}$" "build/$preset/CMakeCache.txt"; then
    logged "configure-$preset" cmake --preset "$preset" "${how[@]}"
  fi
  logged "build-$preset" cmake --build "build/$preset" --target "${@:-all}"
}
