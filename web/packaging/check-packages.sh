#!/bin/sh
# Whether these packages, as npm would pack them, are what every bundler and TypeScript finds its way in. Asks no network.
set -eu
for folder in "$@"; do
  npm pack --dry-run --json "./$folder" | grep -q '"path": "LICENSE"' || {
    echo "$folder: its package has no LICENSE." >&2
    exit 1
  }
  publint run "$folder" --strict --pack npm
  attw --pack "$folder" --profile esm-only --no-definitely-typed --no-emoji --format ascii --quiet ||
    attw --pack "$folder" --profile esm-only --no-definitely-typed --no-emoji --format ascii
done
