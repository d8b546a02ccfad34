#!/usr/bin/env bash
# Sets up what is missing, then runs everything: the test cases in the simulator, a few of them and a few
# Twins scenarios on DistAlgo, lint, types, import rules, all of these at once; and the test suite, whose closing line
# comes last. Exit status 0 only if all pass.
#
# PYTHON=python3.12 ./run_tests.sh   takes another Python (3.11 or newer) for setting up
# WORKERS=8 ./run_tests.sh           takes another number of test processes than there are cores and one
set -u
cd "$(dirname "$0")" || exit 2

# Hundreds of processes are started here, and each would compile the project anew where this is set.
unset PYTHONDONTWRITEBYTECODE

bin=.venv/bin
scratch=$(mktemp -d) || exit 2
names=()
pids=()
failed=()
trap 'kill ${pids[@]+"${pids[@]}"} 2>/dev/null; rm -rf "$scratch"' EXIT

setup() {
    local ready=.venv/.set-up-for wanted
    wanted=$(cksum pyproject.toml) || return
    [ -f "$ready" ] && [ "$(cat "$ready")" = "$wanted" ] && return
    echo "== set up .venv"
    [ -x "$bin/python" ] || "${PYTHON:-python3}" -m venv .venv || return
    # Older versions of pip know no dependency groups.
    "$bin/python" -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1' &&
        "$bin/python" -m pip install --quiet --editable '.[all]' --group dev &&
        echo "$wanted" >"$ready"
}

# The pages are tested in a real browser, which is no package of Python. Where it cannot be installed, its tests say so.
browser() {
    { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null && return
    echo "== set up Chromium"
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "run_tests.sh: Chromium is missing, and only root can install it: apt-get install chromium" >&2
        return 1
    fi
    apt-get update --quiet=2 &&
        DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends chromium
}

# Begins a step, beside those that have begun before.
begin() {
    local name=$1
    shift
    "$@" >"$scratch/${#names[@]}" 2>&1 &
    names+=("$name")
    pids+=($!)
}

# Shows what came of all steps, in their order.
finish() {
    local index status
    for index in "${!names[@]}"; do
        echo "== ${names[index]}"
        wait "${pids[index]}"
        status=$?
        cat "$scratch/$index"
        [ $status -eq 0 ] || failed+=("${names[index]}")
    done
    pids=()
}

echo "== takes about twelve minutes on two cores; setting up, the first time, a minute or two more"
setup || {
    echo "run_tests.sh: setting up .venv failed" >&2
    exit 1
}
browser || echo "run_tests.sh: the tests in a browser will fail" >&2

begin "test cases in the simulator" "$bin/diembft" test
begin "test cases on DistAlgo" "$bin/python" -m da --message-buffer-size 80000 --no-log \
    src/run.da faulty_dropouts multiple_clients set_attribute
for scenarios in conflicting_votes_bug small_quorum_bug rotating_quorums; do
    begin "Twins scenarios on DistAlgo: $scenarios" "$bin/python" -m da --message-buffer-size 80000 --no-log \
        src/testexec.da "executor_configs/$scenarios.py"
done
begin "lint" "$bin/ruff" check
begin "format" "$bin/ruff" format --check
begin "types" "$bin/mypy"
begin "import rules" "$bin/lint-imports"
finish

if [ ${#failed[@]} -gt 0 ]; then
    printf '== FAILED: %s\n' "${failed[@]}"
fi
echo "== test suite"
"$bin/python" -m pytest -n "${WORKERS:-auto}" || exit 1
[ ${#failed[@]} -eq 0 ]
