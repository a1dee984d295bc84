#!/usr/bin/env bash
# The tests of the PyTorch engine, in a virtual environment of their own that is kept in STEPDPO_TORCH_VENV, or for this
# run alone. Needs a built package (npm run build). The last line is "N passed, N failed, N skipped".
# `python/ci.sh install` makes the environment, and nothing else.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
venv=${STEPDPO_TORCH_VENV:-}
said=$(mktemp)
own=''
if [ -z "$venv" ]; then
  own=$(mktemp -d)
  venv=$own/venv
fi
trap 'rm -rf "$said" "$own"' EXIT

fail() {
  tail -n 20 "$said"
  echo "python: $1"
  echo '0 passed, 1 failed, 0 skipped'
  exit 1
}

if ! cmp -s "$here/requirements-ci.txt" "$venv/installed"; then
  python3 -m venv "$venv" >"$said" 2>&1 || fail 'no virtual environment can be made'
  "$venv/bin/python" -m pip install --quiet --no-cache-dir -r "$here/requirements-ci.txt" >"$said" 2>&1 ||
    fail 'what the tests run on cannot be installed'
  cp "$here/requirements-ci.txt" "$venv/installed"
fi

[ "${1:-}" != install ] || exit 0

export HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1
# A process that waits for another without end would otherwise hold up everything.
limit=()
if command -v timeout >/dev/null; then limit=(timeout --kill-after=30 1200); fi
${limit[@]+"${limit[@]}"} "$venv/bin/python" -m pytest -q -p no:cacheprovider "$here/tests" 2>&1 | tee "$said"
code=${PIPESTATUS[0]}
count() { grep -Eo "[0-9]+ $1" "$said" | tail -n 1 | grep -Eo '^[0-9]+' || echo 0; }
failed=$(($(count failed) + $(count error)))
[ "$code" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
echo "$(count passed) passed, $failed failed, $(count skipped) skipped"
[ "$failed" -eq 0 ]
