#!/bin/sh
# Embeds a folder on several machines, one shard each, then clusters it here:
#   ./ssh.sh FOLDER WORKSPACE HOST…
# Both folders have the same absolute path on all machines. Repeat the command if a machine fails.
set -eu
quoted() { printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")"; }
folder=$1 workspace=$2
shift 2
number=0 jobs=
for host; do
    ssh "$host" "imgcluster embed $(quoted "$folder") -w $(quoted "$workspace") --shard $number/$#" &
    jobs="$jobs $!" number=$((number + 1))
done
failed=0
for job in $jobs; do wait "$job" || failed=1; done
[ $failed = 0 ]
imgcluster cluster -w "$workspace"
