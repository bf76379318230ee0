# A process can use a Ray only from one of Ray's nodes, so that this container is one, without CPUs for tasks. When Ray is lost,
# the process stays (a runner's jobs wait), and the node joins again. The arguments are the command; brink runner without any.
join() {
  while true; do
    ray start --address="$BRINK_RAY_ADDRESS" --num-cpus=0 --object-store-memory="$RAY_OBJECT_STORE_BYTES" \
      --disable-usage-stats --block || true
    sleep 5
  done
}
join &
[ $# -gt 0 ] || set -- brink runner
"$@" &
process=$!
trap 'kill -TERM "$process"' TERM INT
status=0
while kill -0 "$process" 2>/dev/null; do
  wait "$process" && status=0 || status=$?
done
exit "$status"
