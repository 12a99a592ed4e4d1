#!/bin/sh
# Whether these packages, as npm would pack them, are what every bundler and TypeScript finds its way in. Asks no network.
set -eu
for folder in "$@"; do
  publint run "$folder" --strict --pack npm
  attw --pack "$folder" --profile esm-only --no-definitely-typed --no-emoji --format ascii --quiet ||
    attw --pack "$folder" --profile esm-only --no-definitely-typed --no-emoji --format ascii
done
