#!/usr/bin/env bash
# Makes data_of_the_version_before.tar.xz: a small data folder that has every domain, as the version
# before leaves it, for test_takeover.py. Run it with a checkout of that version, not with this one:
#
#   git worktree add --detach ../before 9a40a86      # and an environment in ../before/.venv
#   sprint_platform_tests/make_data_of_the_version_before.sh ../before
#
# The archive holds titles/ (YAML files) and data/ (SPRINT_DATA_DIR). Only the views in
# data/published/sprint.duckdb name the folder that they were made in; the next publish mends that.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
before=$(cd "$1" && pwd)
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT

# no setting comes from the shell: what is made follows from this file alone
unset "${!SPRINT_@}" "${!SNOWFLAKE_@}" N_PLAYERS MAX_SESSIONS_PER_PLAYER GAME_VERSION \
    GAME_DATA_SEED LOAD_BATCH_ID
export SPRINT_DATA_DIR=$made/data SPRINT_TITLES_DIR=$made/titles DAGSTER_HOME=$made/dagster
export PYTHONPATH=$before NO_COLOR=1
mkdir -p "$made/titles" "$made/dagster"
cd "$before"
sprint() { .venv/bin/sprint "$@"; }

# A simulated title with a hole: 4 January is not made.
simulation='
encounters: {distance: 50, gap_seconds: 180}
simulation:
  growth: {kind: compound, starting_players: 24, daily_growth: 0.02, daily_decay: 0.001}
  archetypes: {daily: 0.7, weekday: 0.1, cyclical: 0.2}
  countries: {US: 0.4, BR: 0.16, MX: 0.12, FR: 0.1, ES: 0.1, DE: 0.12}
  platforms: {pc: 0.35, playstation: 0.25, xbox: 0.15, switch: 0.1, mobile: 0.15}
  sessions:
    play_share: 0.9
    shortest_seconds: 120
    typical_seconds: 240
    longest_seconds: 360
    lobbies: {2x2: 0.5, 5x1: 0.5}
  movement: {models: {lorentzian: 0.5, bezier: 0.5}, cohesion: 0.7}
  spending:
    clusters:
      none: {share: 0.4}
      minnow: {share: 0.5, chance: 1.0, purchases: [1, 2], price: [1, 10]}
      whale: {share: 0.1, chance: 1.0, purchases: [2, 4], price: [10, 50]}
    pass_share: 0.2
    pass_within_days: 3
'
cat > "$made/titles/tiny.yaml" <<YAML
name: tiny
description: A simulated title of two dozen players
launch_date: 2025-01-01
seed: 12
source: simulated
$simulation
YAML
sprint run --title tiny --from 2025-01-01 --to 2025-01-03
sprint run --title tiny --from 2025-01-05 --to 2025-01-05

# The same, dirtied: its days are delivered as files, and landed.
cat > "$made/titles/muddy.yaml" <<YAML
name: muddy
description: A simulated title that dirties its data
launch_date: 2025-01-01
seed: 7
source: simulated
$simulation
faults:
  late: 0.05
  late_days: 1
  duplicate: 0.04
  malformed: 0.04
  null_session_end: 0.05
  negative_amount: 0.05
YAML
sprint run --title muddy --from 2025-01-01 --to 2025-01-02

# A landed title: two days, a duplicate, a rejected record, and one whose session never comes.
cat > "$made/titles/dropped.yaml" <<'YAML'
name: dropped
description: A landed title
launch_date: 2025-03-01
seed: 0
source: landing
grid: {x: [-500, 500], y: [-500, 500], z: [0, 100]}
heartbeat_seconds: 30
encounters: {distance: 50, gap_seconds: 180}
landing:
  datasets: [sessions, heartbeats]
  reject_limit: 0.2
  mapping:
    columns:
      sessions: {session_id: match, player_id: user, team_id: squad, event_datetime: finished}
      heartbeats: {session_id: match, player_id: user, event_datetime: ts,
                   position_x: px, position_y: py, position_z: pz}
    defaults:
      sessions: {kills: 0, deaths: 0}
    position_scale: [0.01, 0.01, 0.01]
    teams: labels
YAML
mkdir -p "$SPRINT_DATA_DIR"/landing/dropped/{sessions,heartbeats}
cat > "$SPRINT_DATA_DIR/landing/dropped/sessions/all.csv" <<'CSV'
match,user,squad,started_at,finished
m-1,anna,red,2025-03-01 20:00:00,2025-03-01 20:05:00
m-1,ben,blue,2025-03-01 20:00:00,2025-03-01 20:05:00
m-2,anna,red,2025-03-02 20:00:00,2025-03-02 20:05:00
m-2,cleo,blue,2025-03-02 20:00:00,2025-03-02 20:05:00
CSV
cat > "$SPRINT_DATA_DIR/landing/dropped/heartbeats/all.csv" <<'CSV'
match,user,squad,ts,px,py,pz
m-1,anna,red,2025-03-01 20:00:00,1000,2000,0
m-1,ben,blue,2025-03-01 20:00:00,3000,2000,0
m-1,anna,red,2025-03-01 20:00:30,1500,2000,0
m-1,ben,blue,2025-03-01 20:00:30,9500,2000,0
m-1,anna,red,2025-03-01 20:00:30,1500,2000,0
m-1,ben,blue,soon,9500,2000,0
m-2,anna,red,2025-03-02 20:00:00,0,0,0
m-2,cleo,blue,2025-03-02 20:00:00,1000,0,0
m-3,anna,red,2025-03-03 21:00:00,0,0,0
CSV
sprint land --title dropped

# Two batches of the event log; only the files of the last lie in data/eventlog.
for batch in 1 2; do
    sprint eventlog generate --batch "$batch" --players 10 --max-sessions 2
done
sprint eventlog build

# A store of settings that only its manifests and the warehouse say: no variable does.
sprint storefront generate --customers 20 --products 10 --orders 20 --days 5 --load
sprint storefront build

# What dbt parsed is no data, and locks are of processes that have ended.
rm -rf "$SPRINT_DATA_DIR/dbt"
find "$SPRINT_DATA_DIR" -name '*.lock' -delete
find "$SPRINT_DATA_DIR" -name '*.tmp' -delete

# Blocks that are hardly filled are most of the database's 35 MB; packed they are nothing.
archive=$here/data_of_the_version_before.tar.xz
tar --sort=name --owner=0 --group=0 --numeric-owner -C "$made" -c titles data | xz -9e > "$archive"
ls -l "$archive"
